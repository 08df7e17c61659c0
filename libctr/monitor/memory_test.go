// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
)

// pss returns the proportional set size of a process in KiB (proc(5), smaps_rollup).
func pss(t *testing.T, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	check(t, err)
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Pss:" {
			return must(strconv.Atoi(f[1]))
		}
	}
	t.Fatalf("no Pss in %s", data)
	return 0
}

// wakeUps counts how often the threads of a process have gone to sleep.
func wakeUps(t *testing.T, pid int) (n int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	check(t, err)
	for _, task := range tasks {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/status", pid, task.Name()))
		check(t, err)
		for line := range strings.Lines(string(data)) {
			if f := strings.Fields(line); len(f) == 2 && f[0] == "voluntary_ctxt_switches:" {
				n += must(strconv.Atoi(f[1]))
			}
		}
	}
	return n
}

// TestIdleMonitorIsSmallAndAsleep is the budget of docs/architecture.md.
func TestIdleMonitorIsSmallAndAsleep(t *testing.T) {
	const monitors, budget = 10, 1480 // KiB
	var pids []int
	var all []*container
	for range monitors {
		c := newContainer(t, "crun", sh("echo ready; sleep 100"))
		conn := ready(t, c)
		defer conn.Close() // it is attached to, as by berth run
		pids = append(pids, c.proc.Pid)
		all = append(all, c)
	}
	var sizes []int
	var mean int
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(500 * time.Millisecond) { // a second after its start it gives memory back
		sizes, mean = nil, 0
		for _, pid := range pids {
			size := pss(t, pid)
			sizes, mean = append(sizes, size), mean+size/monitors
		}
		if mean <= budget || time.Now().After(end) {
			break
		}
	}
	before := wakeUps(t, pids[0])
	time.Sleep(3 * time.Second)
	woken := wakeUps(t, pids[0]) - before
	t.Logf("proportional set sizes %v KiB; woken %d times in 3 s", sizes, woken)
	if mean > budget {
		t.Errorf("a monitor of %d has %d KiB on average, more than %d", monitors, mean, budget)
	}
	if woken > 3 { // sysmon, the Go runtime's watch, may look once
		t.Errorf("an idle monitor woke %d times in 3 s", woken)
	}
	for _, c := range all {
		call(t, c.dial(), ctl.Request{Op: "stop"})
	}
}
