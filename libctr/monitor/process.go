// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errExitUnknown is why an exit code is 255.
var errExitUnknown = errors.New("exit status unknown: the monitor was killed")

// errNotExecuted is why an exit code is 126, although the runtime has started the process: a file with
// a bad interpreter, or of a format that the kernel does not know.
var errNotExecuted = errors.New("the command cannot be executed: its output says why")

// process is the container's init or an exec'd process.
type process struct {
	pid    int
	start  uint64
	pidfd  int           // -1 where it had ended already
	exited chan struct{} // closed when it has ended; the fields below are set then
	code   int
	err    error // errExitUnknown, errNotExecuted, or nil

	timedOut bool // it was killed since its --timeout was over; guarded by Monitor.mu
}

// watchChild follows a process that the runtime has left to this one.
func (r *reaper) watchChild(pid int) *process {
	p := newProcess(pid)
	status := r.claim(pid)
	go func() {
		p.code = exitCode(<-status)
		if r.takeNever(pid) && (p.code == 1 || p.code == 255) { // the runtimes' own codes
			p.code, p.err = 126, errNotExecuted
		}
		close(p.exited)
	}()
	return p
}

// watchStranger follows a process that is nobody's child here (the monitor
// that was its parent was killed).
func watchStranger(pid int) *process {
	p := newProcess(pid)
	go func() {
		p.code, p.err = awaitStranger(p.pidfd)
		close(p.exited)
	}()
	return p
}

func newProcess(pid int) *process {
	p := &process{pid: pid, exited: make(chan struct{})}
	var err error
	if p.pidfd, err = unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK); err != nil {
		p.pidfd = -1
	}
	_, p.start, _ = procStat(pid)
	return p
}

// awaitStranger waits until a process has ended, and asks the kernel for its
// status. Linux 6.15 keeps that for who holds a pid file descriptor, from the
// moment when its parent has reaped it (ioctl PIDFD_GET_INFO, PIDFD_INFO_EXIT).
func awaitStranger(pidfd int) (int, error) {
	if pidfd < 0 {
		return 255, errExitUnknown
	}
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err != unix.EINTR {
			break
		}
	}
	for range 200 {
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		if err := unix.IoctlPidfdInfo(pidfd, &info); err == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
			return exitCode(syscall.WaitStatus(info.Exit_code)), nil
		} else if err != nil && err != unix.ESRCH && err != unix.EINTR {
			break // an older kernel
		}
		time.Sleep(10 * time.Millisecond)
	}
	return 255, errExitUnknown
}

// signal sends a signal to the process, and to no other that has its pid by now.
func (p *process) signal(sig syscall.Signal) error {
	if p.pidfd < 0 {
		return unix.ESRCH
	}
	return unix.PidfdSendSignal(p.pidfd, sig, nil, 0)
}

// close frees the descriptor, once the process has ended and nobody signals it.
func (p *process) close() {
	if p.pidfd >= 0 {
		unix.Close(p.pidfd)
		p.pidfd = -1
	}
}

func (p *process) hasExited() bool { return isClosed(p.exited) }
