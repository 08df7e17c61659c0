// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

func health(h record.Healthcheck) func(*container) {
	return func(c *container) { c.cfg.Health = &h }
}

func TestHealthBecomesHealthyAndUnhealthy(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, []string{"sleep", "100"}, health(record.Healthcheck{
			Test: []string{"CMD-SHELL", "echo checked; test -e /tmp/good"}, Interval: 50 * time.Millisecond, Retries: 2,
		}))
		c.startDetached()
		if s := c.state(); s.Health == nil {
			t.Fatalf("state = %+v, want a health", s)
		}
		execIn(t, c, []string{"touch", "/tmp/good"})
		s := c.waitState("healthy", func(s *record.State) bool { return s.Health.Status == "healthy" })
		if p := s.Health.Log[len(s.Health.Log)-1]; p.ExitCode != 0 || p.Output != "checked\n" || p.End.Before(p.Start) {
			t.Errorf("probe = %+v", p)
		}
		execIn(t, c, []string{"rm", "/tmp/good"})
		s = c.waitState("unhealthy", func(s *record.State) bool { return s.Health.Status == "unhealthy" })
		if s.Health.FailingStreak < 2 {
			t.Errorf("health = %+v", s.Health)
		}
		c.waitState("five probes", func(s *record.State) bool { return len(s.Health.Log) == 5 })
		if e := call(t, c.dial(), ctl.Request{Op: "health"}); e.Health.Status != "unhealthy" || len(e.Health.Log) != 5 {
			t.Errorf("health = %+v", e.Health)
		}
		call(t, c.dial(), ctl.Request{Op: "stop"})
		c.waitMonitor()
		events := string(must(os.ReadFile(c.cfg.EventsLog)))
		if !strings.Contains(events, `"Status":"health_status"`) || !strings.Contains(events, `"health_status":"unhealthy"`) {
			t.Errorf("events = %s", events)
		}
	})
}

func TestHealthRequest(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "100"}, health(record.Healthcheck{Test: []string{"CMD", "nope"}, Retries: 1}))
	c.startDetached()
	e := call(t, c.dial(), ctl.Request{Op: "health"})
	if e.Health.Status != "unhealthy" || e.Health.Log[0].ExitCode != 127 {
		t.Errorf("health = %+v", e.Health)
	}
	call(t, c.dial(), ctl.Request{Op: "stop"})
	none := newContainer(t, "crun", []string{"sleep", "100"})
	none.startDetached()
	if re := callError(t, none.dial(), ctl.Request{Op: "health"}); re.Kind != "no-healthcheck" {
		t.Errorf("health = %+v", re)
	}
	call(t, none.dial(), ctl.Request{Op: "stop"})
}

func TestHealthCheckThatHangsIsKilled(t *testing.T) {
	c := newContainer(t, "crun", []string{"sleep", "100"}, health(record.Healthcheck{
		Test: []string{"CMD", "sleep", "50"}, Timeout: 100 * time.Millisecond, Retries: 1,
	}))
	c.startDetached()
	e := call(t, c.dial(), ctl.Request{Op: "health"})
	if e.Health.Status != "unhealthy" || e.Health.Log[0].Output != "health check took longer than 100ms" {
		t.Errorf("health = %+v", e.Health)
	}
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
}

func TestOnFailure(t *testing.T) {
	for action, restarts := range map[string]bool{"kill": false, "stop": false, "restart": true} {
		t.Run(action, func(t *testing.T) {
			c := newContainer(t, "crun", sh("trap 'exit 8' TERM; echo ready; while :; do sleep 0.02; done"), health(record.Healthcheck{
				Test: []string{"CMD", "false"}, Interval: 30 * time.Millisecond, Retries: 1, OnFailure: action,
			}))
			conn := ready(t, c)
			if restarts {
				until(t, conn, "ready\n")
				call(t, c.dial(), ctl.Request{Op: "stop"})
				c.waitMonitor()
				return
			}
			_, _, e := output(t, conn)
			if want := map[string]int{"kill": 137, "stop": 8}[action]; e.ExitCode != want {
				t.Errorf("exited = %+v, want %d", e, want)
			}
			c.waitMonitor()
		})
	}
}
