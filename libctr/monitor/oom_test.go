// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/record"
)

func TestAroundScope(t *testing.T) {
	for _, tc := range []struct {
		own, slice string
		root       bool
		want       string
	}{
		{"/system.slice/ssh.service", "machine.slice", true, "/c/machine.slice"},
		{"/system.slice/ssh.service", "a-b-c.slice", true, "/c/a.slice"},
		{"/user.slice/user-7.slice/user@7.service/app.slice/x.scope", "user.slice", false, "/c/user.slice/user-7.slice"},
		{"/user.slice/user-7.slice/session-1.scope", "user.slice", false, "/c/user.slice/user-7.slice"},
		{"/system.slice/cron.service", "user.slice", false, ""},
	} {
		if got := aroundScope(tc.own, "/c", tc.slice, tc.root); got != tc.want {
			t.Errorf("aroundScope(%q, %q, %v) = %q, want %q", tc.own, tc.slice, tc.root, got, tc.want)
		}
	}
}

func TestKillsBeforeTheWatch(t *testing.T) {
	around := t.TempDir()
	if err := os.WriteFile(filepath.Join(around, "memory.events"), []byte("low 0\nmax 9\noom_kill 3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		m    *Monitor
		want bool
	}{
		"killed at once":         {&Monitor{around: around, killsBefore: 2}, true},
		"killed by somebody":     {&Monitor{around: around, killsBefore: 3}, false},
		"its cgroup is there":    {&Monitor{around: around, killsBefore: 2, memory: around}, false},
		"ran for long":           {&Monitor{around: around, killsBefore: 2, state: &record.State{StartedAt: time.Now().Add(-time.Minute)}}, false},
		"no cgroup of systemd's": {&Monitor{}, false},
	} {
		if tc.m.state == nil {
			tc.m.state = &record.State{StartedAt: time.Now()}
		}
		if got := tc.m.killedUnseen(); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestCountersFromBeforeTheWatchCount(t *testing.T) {
	var w oomWatch
	w.note(map[string]int{"max": 4})
	if !w.limit.Load() || w.seen.Load() {
		t.Error("a limit that was met is not noted, or taken for a kill")
	}
	w.note(map[string]int{"oom_kill": 1})
	if !w.seen.Load() {
		t.Error("a kill is not noted")
	}
}
