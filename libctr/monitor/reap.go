// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// reaper is the only caller of wait4(2): the monitor is a subreaper, so that
// processes which it did not start become its children too.
//
// It waits for SIGCHLD and not in wait4 itself: that would cost a thread, and some
// 40 KiB.
type reaper struct {
	ended chan os.Signal // SIGCHLD

	mu    sync.Mutex // guards the fields below
	want  map[int]chan syscall.WaitStatus
	early map[int]syscall.WaitStatus // ended before somebody asked
	// never are those that failed without having executed a program: a fork of the OCI runtime's, which
	// could not execute the command.
	never map[int]bool
	calls int // runtime calls in progress: each may leave a child to be claimed
}

func newReaper() *reaper {
	r := &reaper{
		ended: make(chan os.Signal, 1),
		want:  make(map[int]chan syscall.WaitStatus),
		early: make(map[int]syscall.WaitStatus),
		never: make(map[int]bool),
	}
	signal.Notify(r.ended, syscall.SIGCHLD)
	go r.run()
	return r
}

func (r *reaper) run() {
	for range r.ended {
		for r.reapOne() {
		}
	}
}

// reapOne takes the status of one child that has ended, if there is one.
func (r *reaper) reapOne() bool {
	// Held, so that a child cannot end before it is known: see spawn.
	r.mu.Lock()
	defer r.mu.Unlock()
	pid := endedChild()
	if pid <= 0 {
		return false
	}
	forked := neverExecuted(pid)
	var ws syscall.WaitStatus
	_, err := syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
	for err == syscall.EINTR {
		_, err = syscall.Wait4(pid, &ws, syscall.WNOHANG, nil)
	}
	if err != nil {
		return false
	}
	if forked && ws.Exited() && ws.ExitStatus() != 0 {
		r.never[pid] = true
	}
	if c, ok := r.want[pid]; ok {
		delete(r.want, pid)
		c <- ws
	} else if r.calls > 0 {
		r.early[pid] = ws
	} else {
		delete(r.never, pid)
	}
	return true
}

// endedChild returns a child that has ended, and leaves its zombie; 0 is none.
func endedChild() int {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	}
	if err != nil {
		return 0
	}
	// sigaction(2): si_pid is the first of the fields that follow the code, at the alignment of a pointer.
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(&info), 3*4+unsafe.Sizeof(uintptr(0))-4)))
}

// takeNever says once whether the process ended without having executed a program.
func (r *reaper) takeNever(pid int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	never := r.never[pid]
	delete(r.never, pid)
	return never
}

// spawn starts a program. Its status comes through the channel, once.
func (r *reaper) spawn(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	return pid, r.expect(pid), nil
}

// expect requires r.mu.
func (r *reaper) expect(pid int) <-chan syscall.WaitStatus {
	c := make(chan syscall.WaitStatus, 1)
	r.want[pid] = c
	return c
}

// begin announces a call that makes a process which will be claimed by its pid;
// end is to be called after the claim.
func (r *reaper) begin() (end func()) {
	r.mu.Lock()
	r.calls++
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.calls--; r.calls == 0 {
			for pid := range r.early {
				delete(r.never, pid)
			}
			clear(r.early)
		}
	}
}

// claim returns the channel of a process that became this one's child, or will.
func (r *reaper) claim(pid int) <-chan syscall.WaitStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ws, ok := r.early[pid]; ok {
		delete(r.early, pid)
		c := make(chan syscall.WaitStatus, 1)
		c <- ws
		return c
	}
	return r.expect(pid)
}

// exitCode is the status as a shell says it: 128+n for signal n.
func exitCode(ws syscall.WaitStatus) int {
	if ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return ws.ExitStatus()
}
