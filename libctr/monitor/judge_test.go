// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/record"
)

func TestJudge(t *testing.T) {
	started := now()
	for name, tc := range map[string]struct {
		check  record.Healthcheck
		before record.Health
		code   int
		after  time.Duration
		status string
		streak int
	}{
		"first success":              {record.Healthcheck{}, record.Health{Status: "starting"}, 0, 0, "healthy", 0},
		"success ends a streak":      {record.Healthcheck{}, record.Health{Status: "unhealthy", FailingStreak: 9}, 0, 0, "healthy", 0},
		"failure while starting":     {record.Healthcheck{StartPeriod: time.Minute, Retries: 1}, record.Health{Status: "starting"}, 1, time.Second, "starting", 0},
		"failure after starting":     {record.Healthcheck{StartPeriod: time.Minute, Retries: 1}, record.Health{Status: "starting"}, 1, time.Hour, "unhealthy", 1},
		"failure of the healthy":     {record.Healthcheck{StartPeriod: time.Minute, Retries: 2}, record.Health{Status: "healthy"}, 1, time.Second, "healthy", 1},
		"the third is one too many":  {record.Healthcheck{}, record.Health{Status: "healthy", FailingStreak: 2}, 1, 0, "unhealthy", 3},
		"the second is not, by rule": {record.Healthcheck{}, record.Health{Status: "healthy", FailingStreak: 1}, 1, 0, "healthy", 2},
	} {
		t.Run(name, func(t *testing.T) {
			h := judge(&tc.check, tc.before, record.HealthProbe{Start: started.Add(tc.after), ExitCode: tc.code}, started)
			if h.Status != tc.status || h.FailingStreak != tc.streak || len(h.Log) != 1 {
				t.Errorf("judge = %+v, want %s, streak %d", h, tc.status, tc.streak)
			}
		})
	}
}

func TestBackoff(t *testing.T) {
	var b backoff
	for i, tc := range []struct{ ran, want time.Duration }{
		{0, 100 * time.Millisecond}, {time.Second, 200 * time.Millisecond}, {0, 400 * time.Millisecond},
		{11 * time.Second, 100 * time.Millisecond}, {0, 200 * time.Millisecond},
	} {
		if got := b.next(tc.ran); got != tc.want {
			t.Errorf("step %d: next(%s) = %s, want %s", i, tc.ran, got, tc.want)
		}
	}
	for range 20 {
		b.next(0)
	}
	if got := b.next(0); got != time.Minute {
		t.Errorf("the longest pause is %s, want a minute", got)
	}
}

func TestWantsRestart(t *testing.T) {
	for _, tc := range []struct {
		policy record.Restart
		state  record.State
		want   bool
	}{
		{record.Restart{}, record.State{ExitCode: 1}, false},
		{record.Restart{Policy: "no"}, record.State{ExitCode: 1}, false},
		{record.Restart{Policy: "always"}, record.State{}, true},
		{record.Restart{Policy: "unless-stopped"}, record.State{ExitCode: 3}, true},
		{record.Restart{Policy: "always"}, record.State{StoppedBy: "user"}, false},
		{record.Restart{Policy: "on-failure"}, record.State{}, false},
		{record.Restart{Policy: "on-failure"}, record.State{ExitCode: 1, Restarts: 99}, true},
		{record.Restart{Policy: "on-failure", MaxRetries: 2}, record.State{ExitCode: 1, Restarts: 1}, true},
		{record.Restart{Policy: "on-failure", MaxRetries: 2}, record.State{ExitCode: 1, Restarts: 2}, false},
	} {
		if got := wantsRestart(tc.policy, &tc.state); got != tc.want {
			t.Errorf("wantsRestart(%+v, %+v) = %t", tc.policy, tc.state, got)
		}
	}
}

func TestParseCgroup(t *testing.T) {
	const v1 = "12:pids:/a\n5:cpu,memory:/b/c\n0::/u\n"
	if p, dir := parseCgroup(v1, false); p != "/b/c" || dir != "/sys/fs/cgroup/memory" {
		t.Errorf("v1: %q in %q", p, dir)
	}
	if p, dir := parseCgroup("0::/user.slice/x.scope\n", true); p != "/user.slice/x.scope" || dir != "/sys/fs/cgroup" {
		t.Errorf("v2: %q in %q", p, dir)
	}
}

func TestEnviron(t *testing.T) {
	got := Environ([]string{"A=b", "NOTIFY_SOCKET=/x", "LISTEN_FDS=1", "PATH=/bin", "PATHS=/x", "AWS_SECRET_ACCESS_KEY=x", "LANG"})
	if len(got) != 1 || got[0] != "PATH=/bin" {
		t.Errorf("Environ = %q", got)
	}
}

func TestProbeInterval(t *testing.T) {
	for asked, want := range map[time.Duration]time.Duration{
		0: 0, -1: 0, time.Nanosecond: MinProbeInterval, time.Millisecond: MinProbeInterval, MinProbeInterval: MinProbeInterval, 30 * time.Second: 30 * time.Second,
	} {
		if got := probeInterval(asked); got != want {
			t.Errorf("probeInterval(%s) = %s, want %s", asked, got, want)
		}
	}
}
