// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/record"
)

// helperTimeout bounds how long a network helper may take to be ready.
const helperTimeout = 20 * time.Second

// netHelper is a running pasta or slirp4netns.
type netHelper struct {
	helperProcess
	relay helperProcess // carries UDP for it; zero for none
	exit  *os.File      // its {exit}: closing it ends the helper
}

// helperProcess is a process that may have ended, and whose pid may be another's by now.
type helperProcess struct {
	pid   int
	start uint64 // as procStat has it; 0 is unknown
}

// startNetHelper runs the program that connects a network namespace, and returns
// once the network is up. netns is the namespace's path, pid the container's
// process where there is one already.
func (m *Monitor) startNetHelper(h *record.NetHelper, netns string, pid int) (*netHelper, error) {
	run := filepath.Base(h.Path)
	out, err := m.tempOutput()
	if err != nil {
		return nil, err
	}
	defer out.close()
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer readyR.Close()
	exitR, exitW, err := os.Pipe()
	if err != nil {
		readyW.Close()
		return nil, err
	}
	apiSock := m.shortPath("net.sock") // a socket's path has at most 108 bytes
	os.Remove(filepath.Join(m.cfg.RunDir, "net.sock"))
	replacer := strings.NewReplacer(
		"{netns}", netns, "{pid}", strconv.Itoa(pid), "{pidfile}", m.runPath("net.pid"),
		"{apisock}", apiSock, "{ready}", "3", "{exit}", "4")
	argv := []string{h.Path}
	for _, a := range h.Args {
		argv = append(argv, replacer.Replace(a))
	}
	files := []uintptr{uintptr(m.null), uintptr(out.fd), uintptr(out.fd), readyW.Fd(), exitR.Fd()}
	if h.Daemonizes {
		// Its number comes through the pipe when it is ready. A file in RunDir is none that AppArmor lets pasta write, and
		// newer versions close every descriptor but the standard ones.
		argv = append(argv, "--pid", "/proc/self/fd/1")
		files = []uintptr{uintptr(m.null), readyW.Fd(), uintptr(out.fd)}
	}
	child, status, err := m.reap.spawn(h.Path, argv, &syscall.ProcAttr{
		Dir: "/", Env: m.env, Files: files,
	})
	readyW.Close()
	exitR.Close()
	if err != nil {
		exitW.Close()
		return nil, hint.Add(fmt.Errorf("run network helper %s: %w", h.Path, err), "install it: sudo apt-get install passt slirp4netns, or use --network none or host")
	}
	n := &netHelper{helperProcess: helperProcess{pid: child}, exit: exitW}
	if h.Daemonizes {
		err = awaitDaemon(n, readyR, status, netns)
	} else {
		err = awaitReady(n, readyR, status, netns)
	}
	if err == nil {
		_, n.start, _ = procStat(n.pid)
		err = forward(apiSock, h.HostFwd)
	}
	if err != nil {
		n.end()
		err = fmt.Errorf("network helper %s: %w: %s", run, err, out.tail())
		if h.Hint != "" {
			err = hint.Add(err, "%s", h.Hint)
		}
		return nil, err
	}
	if len(h.UDPRelay) > 0 {
		if n.relay, err = m.startRelay(netns, h.UDPRelay); err != nil {
			n.end()
			return nil, err
		}
	}
	return n, nil
}

// startRelay runs this program as package network/udprelay, which closes its
// standard output when it listens, or says there why it cannot.
func (m *Monitor) startRelay(netns string, args []string) (helperProcess, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return helperProcess{}, err
	}
	defer r.Close()
	pid, _, err := m.reap.spawn("/proc/self/exe", append([]string{"berth-monitor", "--udp-relay", netns}, args...), &syscall.ProcAttr{
		Dir: "/", Env: m.env, Files: []uintptr{uintptr(m.null), w.Fd(), uintptr(m.null)},
	})
	w.Close()
	if err != nil {
		return helperProcess{}, fmt.Errorf("run UDP relay: %w", err)
	}
	p := helperProcess{pid: pid}
	_, p.start, _ = procStat(pid)
	r.SetReadDeadline(time.Now().Add(helperTimeout))
	if said, err := io.ReadAll(r); err != nil || len(said) > 0 {
		p.end()
		return helperProcess{}, errors.Join(fmt.Errorf("UDP relay: %s", bytes.TrimSpace(said)), err)
	}
	return p, nil
}

// awaitDaemon waits until the program says the number of the process that it leaves. One whose wrapper keeps that to
// itself is ready when its first process has ended well, and is found by its arguments.
func awaitDaemon(n *netHelper, ready *os.File, status <-chan syscall.WaitStatus, netns string) (err error) {
	if n.pid, err = host.AwaitPid(ready, helperTimeout); err == nil || !errors.Is(err, io.EOF) {
		return err
	}
	select {
	case ws := <-status:
		if code := exitCode(ws); code != 0 {
			return fmt.Errorf("exited with %d", code)
		}
	case <-time.After(helperTimeout):
		return errors.New("did not get ready in time")
	}
	if n.pid = host.HelperPid(0, netns); n.pid == 0 {
		return errors.New("left no process")
	}
	return nil
}

// awaitReady waits until the program has written to its {ready}, and finds the process that has: see host.HelperPid.
func awaitReady(n *netHelper, ready *os.File, status <-chan syscall.WaitStatus, netns string) error {
	ready.SetReadDeadline(time.Now().Add(helperTimeout))
	var one [1]byte
	if got, err := ready.Read(one[:]); got == 1 {
		if pid := host.HelperPid(n.pid, netns); pid != 0 {
			n.pid = pid
		}
		return nil
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("did not get ready in time")
	}
	select {
	case ws := <-status:
		return fmt.Errorf("exited with %d", exitCode(ws))
	case <-time.After(time.Second):
		return errors.New("closed its ready descriptor without a word")
	}
}

// forward sends slirp4netns one request a published port, each on a connection of
// its own (slirp4netns(1), "API socket").
func forward(sock string, requests []json.RawMessage) error {
	for _, r := range requests {
		if err := forwardOne(sock, r); err != nil {
			return fmt.Errorf("publish a port (%s): %w", r, err)
		}
	}
	return nil
}

func forwardOne(sock string, request []byte) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 10})
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: sock}); err != nil {
		return err
	}
	if _, err := unix.Write(fd, request); err != nil {
		return err
	}
	if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
		return err
	}
	var answer []byte
	for buf := make([]byte, 4096); ; {
		n, err := unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		answer = append(answer, buf[:n]...)
	}
	var reply struct {
		Error *struct{ Desc string }
	}
	if err := json.Unmarshal(answer, &reply); err != nil {
		return fmt.Errorf("the answer %q is no JSON: %w", answer, err)
	}
	if reply.Error != nil {
		return errors.New(reply.Error.Desc)
	}
	return nil
}

// end stops the helper and its relay.
func (n *netHelper) end() {
	if n == nil {
		return
	}
	if n.exit != nil {
		n.exit.Close()
	}
	n.relay.end()
	n.helperProcess.end()
}

// end stops a process. It is no error that it has ended.
func (p helperProcess) end() {
	if p.alive() {
		syscall.Kill(p.pid, syscall.SIGTERM)
	}
}

func (p helperProcess) alive() bool {
	if p.pid <= 0 {
		return false
	}
	_, start, ok := procStat(p.pid)
	return ok && (p.start == 0 || start == p.start)
}
