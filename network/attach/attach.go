// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/lastwords"
	"github.com/berth-containers/berth/internal/proc"
)

// ReadyTimeout bounds how long a helper may take to be ready.
const ReadyTimeout = 20 * time.Second

// Namespace is a network namespace.
type Namespace struct {
	// Path is the file that it is mounted on, for nobody else. A helper that may not be signalled (AppArmor) ends when the
	// file is removed, and so does one whose Endpoint is lost.
	Path string
	Pid  int // a process in it; 0 where there is none yet
}

// Runner attaches namespaces in the name of one process.
type Runner struct {
	// Socket is the path for a helper's API socket; it has at most 107 bytes. PidFile is what {pidfile} stands for.
	Socket, PidFile string
	Env             []string

	// Spawn starts a program; its end comes through the channel, once. Nil is for a process that reaps its own children and no others.
	Spawn func(path string, argv []string, attr *syscall.ProcAttr) (pid int, ended <-chan syscall.WaitStatus, err error)

	// Relay is the program that relays UDP, berth-monitor; empty where no attachment wants that.
	Relay string
}

// Endpoint is an attached namespace's end of one network. A nil Endpoint is none, and can be detached.
type Endpoint struct {
	helper running
	relay  running  // carries UDP for it; zero for none
	exit   *os.File // its {exit}: closing it ends the helper
	denied bool     // Detach could not signal one of them

	// Of a shared network.
	attachment Attachment
	netns      string
	joined     *Joined
	runner     *Runner
	held       held // host ports
	left       bool
	leaving    atomic.Bool               // Detach has begun
	gone       <-chan syscall.WaitStatus // the end of what Detach has started
}

// Attach connects the namespace, and returns once the network is up. An error has the last words of a helper that has failed, and
// leaves nothing.
func (r *Runner) Attach(a Attachment, ns Namespace) (*Endpoint, error) {
	if a.CNI != nil {
		return r.join(a, ns)
	}
	if a.Helper == nil {
		return nil, fmt.Errorf("connect to network %q: this version does not know how", a.Network)
	}
	return r.start(a.Helper, ns)
}

// Find returns the Endpoint of a helper that another process has started, if pid is one that serves the namespace, and else nil. Its
// relay ends when the namespace's file is removed.
func Find(netns string, pid int) *Endpoint {
	if pid <= 0 || !serves(pid, netns) { // its name may be any: it may have been started by a wrapper
		return nil
	}
	return &Endpoint{helper: see(pid)}
}

// Unrecorded returns an Endpoint for each process that serves the namespace, for who does not know their numbers. Reading all
// of /proc takes milliseconds.
func Unrecorded(netns string) []*Endpoint {
	var all []*Endpoint
	starts, _ := helpers(netns)
	for pid, start := range starts {
		all = append(all, &Endpoint{helper: running{pid, start}})
	}
	return all
}

// Pid is the helper's process.
func (e *Endpoint) Pid() int { return e.helper.pid }

// Alive checks whether the helper runs. What plugins have made needs none, but for a user's networks their keeper.
func (e *Endpoint) Alive() bool {
	return e != nil && (e.helper.alive() || e.attachment.CNI != nil && e.helper.pid == 0)
}

// Detach ends what runs for the endpoint. It does not wait: the caller removes the namespace's file afterwards, at which the rest
// ends. Of a shared network the interface may stay until the namespace ends: see Leave. Whoever may want the same host ports next calls AwaitEnd.
func (e *Endpoint) Detach() {
	if e == nil {
		return
	}
	if e.attachment.CNI != nil {
		e.leaving.Store(true)
		_ = e.leave(true) // what it cannot undo, `system check --repair` will find
		e.left = true
		e.release()
		return
	}
	if e.exit != nil {
		e.exit.Close()
	}
	e.denied = !e.relay.end()
	e.denied = !e.helper.end() || e.denied
}

// AwaitEnd waits after Detach until the processes have ended, and their host ports are free, at most for limit. Where one may not be
// signalled (AppArmor), that is after the namespace's file has been removed: removed says that it has. A shared network's ports are free
// after Detach; the rest is done when the caller has time for it: removed says that, too.
func (e *Endpoint) AwaitEnd(limit time.Duration, removed bool) {
	if e == nil || e.denied && !removed {
		return
	}
	if e.attachment.CNI != nil { // its ports are free, and what is left to do may take its time
		if removed && e.gone != nil {
			select {
			case <-e.gone:
				e.gone = nil
			case <-time.After(limit):
			}
		}
		return
	}
	until := time.Now().Add(limit)
	e.relay.awaitEnd(until)
	e.helper.awaitEnd(until)
}

// running is a process that may have ended, and whose pid may be another's by now.
type running struct {
	pid   int
	start uint64 // as proc.Stat has it; 0 is unknown
}

func see(pid int) running {
	_, start, _ := proc.Stat(pid)
	return running{pid, start}
}

func (p running) alive() bool {
	if p.pid <= 0 {
		return false
	}
	_, start, ok := proc.Stat(p.pid)
	return ok && (p.start == 0 || start == p.start)
}

// end stops a process. It is no error that it has ended; false says that it may not be signalled.
func (p running) end() bool {
	return !p.alive() || syscall.Kill(p.pid, syscall.SIGTERM) != syscall.EPERM
}

func (p running) awaitEnd(until time.Time) {
	if p.pid <= 0 {
		return
	}
	pidfd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(pidfd)
	for p.alive() {
		left := time.Until(until)
		if left <= 0 {
			return
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, int(left.Milliseconds())+1)
		if n > 0 || err != nil && err != unix.EINTR {
			return
		}
	}
}

// starting is a helper that is not ready yet.
type starting struct {
	child int
	ended <-chan syscall.WaitStatus
	ready *os.File // what it says when it is ready
	netns string
}

func (r *Runner) start(h *Helper, ns Namespace) (*Endpoint, error) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/null", Err: err}
	}
	defer unix.Close(null)
	out, err := lastwords.New()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	ready, readyW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer ready.Close()
	exitR, exit, err := os.Pipe()
	if err != nil {
		readyW.Close()
		return nil, err
	}

	os.Remove(r.Socket)
	words := strings.NewReplacer(
		"{netns}", ns.Path, "{pid}", strconv.Itoa(ns.Pid), "{pidfile}", r.PidFile,
		"{apisock}", r.Socket, "{ready}", "3", "{exit}", "4")
	argv := []string{h.Path}
	for _, a := range h.Args {
		argv = append(argv, words.Replace(a))
	}
	files := []uintptr{uintptr(null), uintptr(out.FD), uintptr(out.FD), readyW.Fd(), exitR.Fd()}
	if h.Daemonizes {
		// Its number comes through the pipe when it is ready. A file of ours is none that AppArmor lets pasta write, and
		// newer versions close every descriptor but the standard ones.
		argv = append(argv, "--pid", "/proc/self/fd/1")
		files = []uintptr{uintptr(null), readyW.Fd(), uintptr(out.FD)}
	}
	child, ended, err := r.spawn(h.Path, argv, &syscall.ProcAttr{Dir: "/", Env: append(r.Env[:len(r.Env):len(r.Env)], mark(ns.Path)), Files: files})
	readyW.Close()
	exitR.Close()
	if err != nil {
		exit.Close()
		return nil, hint.Add(fmt.Errorf("run network helper %s: %w", h.Path, err), "install it: sudo apt-get install passt slirp4netns, or use %s none or host", field.Name("network"))
	}

	e := &Endpoint{helper: running{pid: child}, exit: exit}
	s := &starting{child: child, ended: ended, ready: ready, netns: ns.Path}
	said := ""
	if h.Daemonizes {
		e.helper.pid, said, err = s.awaitDaemon()
	} else {
		e.helper.pid, err = s.awaitReady()
	}
	if err == nil {
		e.helper = see(e.helper.pid)
		err = forward(r.Socket, h.HostFwd)
	}
	if err != nil {
		e.Detach()
		words := out.Tail()
		if words == lastwords.Nothing && said != "" {
			words = said
		}
		err = fmt.Errorf("network helper %s: %w: %s", h.Path, err, words)
		return nil, hint.With(err, h.Hint)
	}

	if len(h.UDPRelay) > 0 {
		if e.relay, err = r.startRelay(ns.Path, h.UDPRelay, null); err != nil {
			e.Detach()
			return nil, err
		}
	}
	return e, nil
}

// startRelay runs berth-monitor as package network/udprelay, which closes its
// standard output when it listens, or says there why it cannot.
func (r *Runner) startRelay(netns string, args []string, null int) (running, error) {
	ready, w, err := os.Pipe()
	if err != nil {
		return running{}, err
	}
	defer ready.Close()
	pid, _, err := r.spawn(r.Relay, append([]string{"berth-monitor", "--udp-relay", netns}, args...), &syscall.ProcAttr{
		Dir: "/", Env: r.Env, Files: []uintptr{uintptr(null), w.Fd(), uintptr(null)},
	})
	w.Close()
	if err != nil {
		return running{}, fmt.Errorf("run UDP relay: %w", err)
	}
	p := see(pid)
	ready.SetReadDeadline(time.Now().Add(ReadyTimeout))
	if said, err := io.ReadAll(ready); err != nil || len(said) > 0 {
		p.end()
		return running{}, errors.Join(fmt.Errorf("UDP relay: %s", bytes.TrimSpace(said)), err)
	}
	return p, nil
}

func (r *Runner) spawn(path string, argv []string, attr *syscall.ProcAttr) (int, <-chan syscall.WaitStatus, error) {
	if r.Spawn != nil {
		return r.Spawn(path, argv, attr)
	}
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil {
		return 0, nil, err
	}
	ended := make(chan syscall.WaitStatus, 1)
	go func() {
		var ws syscall.WaitStatus
		for {
			if _, err := syscall.Wait4(pid, &ws, 0, nil); err != syscall.EINTR {
				break
			}
		}
		ended <- ws
	}()
	return pid, ended, nil
}
