// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

// The programs that Berth starts may be wrapper scripts (NixOS, administrators): one that becomes the program (exec), one
// that waits for it, one that leaves it in the background. So what was started is not what works in the end.

// AwaitPid reads a process's number from r, a line that a helper writes when it is ready. Lines that are no number, a
// wrapper's own words, are skipped. It returns io.EOF where everybody who could write it has gone.
func AwaitPid(r *os.File, limit time.Duration) (int, error) {
	if err := r.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return 0, err
	}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		if pid, bad := strconv.Atoi(strings.TrimSpace(line)); bad == nil && pid > 0 {
			return pid, nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, errors.New("did not get ready in time")
		}
		if err != nil {
			return 0, io.EOF
		}
	}
}

// HelperPid returns the process that serves the network namespace netns, given that child was started for it and says that it
// is ready: child, or the process that a wrapper has left behind, known by netns among its arguments. 0 is none.
func HelperPid(child int, netns string) int {
	alive := false
	if child > 0 {
		_, _, alive = ProcessStat(child)
		below, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", child, child))
		if alive && err == nil && len(bytes.TrimSpace(below)) == 0 {
			return child
		}
	}
	if pid := findByArgument(netns); pid != 0 {
		return pid
	}
	if alive {
		return child
	}
	return 0
}

// findByArgument returns the youngest process with arg among its arguments that has no child of that kind: a wrapper has the
// same arguments as what it waits for.
func findByArgument(arg string) int {
	parents := map[int]bool{}
	starts := map[int]uint64{}
	entries, _ := os.ReadDir("/proc")
	for _, d := range entries {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if !HasArgument(pid, arg) {
			continue
		}
		if ppid, start, ok := ProcessStat(pid); ok {
			parents[ppid], starts[pid] = true, start
		}
	}
	var found int
	var since uint64
	for pid, start := range starts {
		if !parents[pid] && start >= since {
			found, since = pid, start
		}
	}
	return found
}

// HasArgument reports whether the process was started with arg among its arguments. Berth's own relay of a namespace
// counts as none of it.
func HasArgument(pid int, arg string) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(cmdline, []byte("\x00"+arg+"\x00")) && !bytes.Contains(cmdline, []byte("\x00--udp-relay\x00"))
}

// ProcessStat returns a process's parent and start time from /proc/PID/stat (proc(5)); ok is false without such a process, or
// with its zombie only.
func ProcessStat(pid int) (ppid int, start uint64, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 20 || f[0][0] == 'Z' || f[0][0] == 'X' {
		return 0, 0, false
	}
	ppid, _ = strconv.Atoi(string(f[1]))
	start, err = strconv.ParseUint(string(f[19]), 10, 64)
	return ppid, start, err == nil
}

// IsScript reports whether a program is a script: it may then end before what it has started does.
func IsScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [2]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && magic == [2]byte{'#', '!'}
}
