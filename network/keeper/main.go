// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/proc"
	"github.com/berth-containers/berth/internal/thread"
	"github.com/berth-containers/berth/network/attach"
)

// config is what a keeper is started with.
type config struct {
	StateDir  string         `json:"stateDir"`
	Outside   *attach.Helper `json:"outside,omitempty"`
	OutsideNS string         `json:"outsideNS,omitempty"`
}

const readyWord = "ready"

// bridgesNS is the keeper's descriptor of the namespace that has the user's bridges. The keeper itself stays on the host, where
// it listens on published ports: there is no way back for a user's process.
const bridgesNS = 3

type keeper struct {
	state   State
	config  config
	outside *attach.Endpoint
	names   *resolver
	ports   *forwarder
}

// Main is the life of a keeper. Through out the one that has started it hears that it is ready, or why not.
func Main(conf string, out *os.File) int {
	signal.Ignore(syscall.SIGHUP, syscall.SIGPIPE)
	k := new(keeper)
	if err := json.Unmarshal([]byte(conf), &k.config); err != nil {
		return refuse(out, err)
	}
	k.state = State{Dir: k.config.StateDir}
	if err := k.connectOutside(); err != nil {
		return refuse(out, err)
	}
	defer k.end()
	within := func(do func() error) error { return do() }
	why := ""
	if k.config.Outside != nil {
		within = func(do func() error) error { return inside(bridgesNS, do) }
		quick, err := enter(bridgesNS)
		if err != nil {
			return refuse(out, err)
		}
		var can keeps
		if err := within(func() error { can = keepSources(); return nil }); err != nil {
			return refuse(out, err)
		}
		k.ports, why = newForwarder(quick, can), can.why
	}
	k.names = newResolver(within)
	os.Remove(k.state.socket())
	l, err := net.Listen("unix", k.state.socket())
	if err != nil {
		return refuse(out, err)
	}
	_, start, _ := proc.Stat(os.Getpid())
	if err := os.WriteFile(filepath.Join(k.state.Dir, pidFile), fmt.Appendf(nil, "%d %d\n%s", os.Getpid(), start, why), 0o600); err != nil {
		return refuse(out, err)
	}
	_ = k.reload() // what was there before it, if another keeper was killed
	io.WriteString(out, readyWord)
	out.Close()
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM, syscall.SIGINT)
	go func() { <-term; l.Close() }()
	for {
		conn, err := l.Accept()
		if err != nil {
			return 0
		}
		if k.serve(conn) {
			return 0
		}
	}
}

func refuse(out io.Writer, err error) int {
	fmt.Fprintln(out, err)
	return 1
}

// serve answers one request, and reports whether nobody is left whom the keeper is for. Whoever asks holds the lock.
func (k *keeper) serve(conn net.Conn) (last bool) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || line != "reload\n" {
		return false
	}
	err = k.reload()
	if err != nil {
		fmt.Fprintln(conn, oneLine(err))
	} else {
		io.WriteString(conn, "ok\n")
	}
	if last = len(k.state.Members()) == 0; last {
		k.end()
	}
	return last
}

func (k *keeper) reload() error {
	members := k.state.Members()
	err := k.names.set(members)
	if k.config.Outside != nil {
		err = errors.Join(err, k.ports.set(members))
	}
	return err
}

// connectOutside connects the namespace that the keeper was started in.
func (k *keeper) connectOutside() error {
	if k.config.Outside == nil {
		return nil
	}
	path := k.config.OutsideNS
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	for _, left := range attach.Unrecorded(path) { // of a keeper that was killed
		left.Detach()
		left.AwaitEnd(time.Second, false)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	err := thread.Own(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		if err := unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount the network namespace on %s: %w", path, err)
		}
		if err := loopbackUp(); err != nil {
			return fmt.Errorf("bring lo up: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	if fd != bridgesNS {
		if err := unix.Dup3(fd, bridgesNS, unix.O_CLOEXEC); err != nil {
			return err
		}
		unix.Close(fd)
	}
	r := &attach.Runner{Socket: filepath.Join(k.state.Dir, "outside.sock"), PidFile: filepath.Join(k.state.Dir, "outside.pid"), Env: os.Environ()}
	k.outside, err = r.Attach(attach.Attachment{Network: "outside", Helper: k.config.Outside}, attach.Namespace{Path: path})
	return err
}

func (k *keeper) end() {
	os.Remove(filepath.Join(k.state.Dir, pidFile))
	os.Remove(k.state.socket())
	if k.outside == nil {
		return
	}
	k.outside.Detach()
	unix.Unmount(k.config.OutsideNS, unix.MNT_DETACH)
	os.Remove(k.config.OutsideNS)
	k.outside.AwaitEnd(time.Second, true)
	k.outside = nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo); err != nil {
		return err
	}
	lo.SetUint16(lo.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
}
