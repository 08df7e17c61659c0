// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/proc"
	"github.com/berth-containers/berth/internal/thread"
)

// What is found under a helper's name may be a wrapper script (NixOS, administrators): one that becomes the program (exec), one
// that waits for it, one that leaves it in the background, with its standard output or without. So what was started is not
// what serves the namespace in the end, and not everything that a helper says arrives. Where it does not, the
// namespace itself is asked: it has an address once it is connected.

var errNotReady = errors.New("did not get ready in time")

// awaitDaemon waits until the program says the number of the process that it leaves. It returns as well what else was said
// there.
func (s *starting) awaitDaemon() (pid int, said string, err error) {
	pid, said, err = awaitPid(s.ready, ReadyTimeout)
	if errors.Is(err, io.EOF) {
		pid, err = s.awaitAddress(true)
	}
	return pid, said, err
}

// awaitPid reads a process's number from r, a line that a helper writes when it is ready. Other lines, a
// wrapper's own words, are returned. The error is io.EOF where everybody who could write the number has gone.
func awaitPid(r *os.File, limit time.Duration) (pid int, said string, err error) {
	if err := r.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return 0, "", err
	}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadString('\n')
		line = strings.TrimSpace(line)
		if pid, bad := strconv.Atoi(line); bad == nil && pid > 0 {
			return pid, said, nil
		}
		if line != "" {
			said = strings.TrimPrefix(said+"; "+line, "; ")
			said = strings.ToValidUTF8(said[max(0, len(said)-600):], "\uFFFD")
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, said, errNotReady
		}
		if err != nil {
			return 0, said, io.EOF
		}
	}
}

// awaitReady waits until the program has written to its {ready}.
func (s *starting) awaitReady() (int, error) {
	s.ready.SetReadDeadline(time.Now().Add(ReadyTimeout))
	var one [1]byte
	got, err := s.ready.Read(one[:])
	if got == 1 {
		return helperPid(s.child, s.netns), nil
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return s.child, errNotReady
	}
	pid, err := s.awaitAddress(false)
	if pid == 0 {
		pid = s.child
	}
	return pid, err
}

// awaitAddress waits for a helper that says nothing until the namespace has an address, and returns the process that serves it. It
// fails when the program has, and when nothing is left of it. A daemon begins a session of its own when it has left its first process.
func (s *starting) awaitAddress(daemon bool) (int, error) {
	alone := 0    // looks in a row at which nothing was left
	patience := 0 // looks at a process that has connected the namespace
	if !daemon {
		patience = 50
	}
	for end := time.Now().Add(ReadyTimeout); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		select {
		case ws := <-s.ended:
			if !ws.Exited() || ws.ExitStatus() != 0 {
				return 0, exitError(ws)
			}
			s.ended = nil
		default:
		}
		pid := findHelper(s.netns)
		switch {
		case pid != 0 && hasAddress(s.netns):
			if sid, err := unix.Getsid(pid); err == nil && sid == pid || patience == 50 {
				return pid, nil
			}
			patience++
		case pid != 0 || s.ended != nil:
			alone = 0
		case alone == 5: // a process that forks and exits may be missed once
			return 0, errors.New("left no process")
		default:
			alone++
		}
	}
	return 0, errNotReady
}

// exitError has the status as a shell says it: 128+n for signal n.
func exitError(ws syscall.WaitStatus) error {
	if ws.Signaled() {
		return fmt.Errorf("exited with %d", 128+int(ws.Signal()))
	}
	return fmt.Errorf("exited with %d", ws.ExitStatus())
}

// markVariable is one by which the processes of a namespace's helper are known, whatever a wrapper makes of the arguments.
const markVariable = "BERTH_NETNS"

func mark(netns string) string { return markVariable + "=" + netns }

// Served returns the path of the namespace that a process was started for, as a helper or by a helper's wrapper; "" for
// all other processes, and for helpers that Berth 0.1 started.
func Served(pid int) string { return proc.Variable(pid, markVariable) }

// serves checks whether a process is of the helper of a namespace. Berth's own relay is not.
func serves(pid int, netns string) bool {
	return (proc.HasArgument(pid, netns) || Served(pid) == netns) && !proc.HasArgument(pid, "--udp-relay")
}

// helperPid returns the process that serves the namespace, given that child was started for it and says that it is
// ready: child, or the process that a wrapper has left behind.
func helperPid(child int, netns string) int {
	below, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", child, child))
	if _, _, alive := proc.Stat(child); alive && err == nil && strings.TrimSpace(string(below)) == "" {
		return child
	}
	if pid := findHelper(netns); pid != 0 {
		return pid
	}
	return child
}

// findHelper returns the youngest process of a namespace's helper that has no child of that kind: a wrapper has the
// same arguments as what it waits for. 0 is none.
func findHelper(netns string) int {
	starts, parents := helpers(netns)
	var found int
	var since uint64
	for pid, start := range starts {
		if !parents[pid] && start >= since {
			found, since = pid, start
		}
	}
	return found
}

// helpers returns the start times of the processes of a namespace's helpers, and what are parents.
func helpers(netns string) (starts map[int]uint64, parents map[int]bool) {
	starts, parents = map[int]uint64{}, map[int]bool{}
	entries, _ := os.ReadDir("/proc")
	for _, d := range entries {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() || !serves(pid, netns) {
			continue
		}
		if ppid, start, ok := proc.Stat(pid); ok {
			parents[ppid], starts[pid] = true, start
		}
	}
	return starts, parents
}

// hasAddress checks whether the namespace has an interface with an address that reaches further than the link.
func hasAddress(netns string) bool {
	found := false
	_ = thread.Own(func() error {
		fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return err
		}
		found = anyIPv4() || anyIPv6()
		return nil
	})
	return found
}

// anyIPv4 asks for the address of each interface but the loopback (netdevice(7)).
func anyIPv4() bool {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(sock)
	data, _ := os.ReadFile("/proc/thread-self/net/dev")
	for line := range strings.Lines(string(data)) {
		name, _, isDevice := strings.Cut(strings.TrimSpace(line), ":")
		if !isDevice || name == "lo" {
			continue
		}
		req, err := unix.NewIfreq(name)
		if err == nil && unix.IoctlIfreq(sock, unix.SIOCGIFADDR, req) == nil {
			return true
		}
	}
	return false
}

// anyIPv6 reads /proc/net/if_inet6: address, index, prefix length, scope, flags, name.
func anyIPv6() bool {
	const global = "00"
	data, _ := os.ReadFile("/proc/thread-self/net/if_inet6")
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 6 && f[3] == global && f[5] != "lo" {
			return true
		}
	}
	return false
}
