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
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/loopback"
	"github.com/berth-containers/berth/internal/proc"
	"github.com/berth-containers/berth/internal/thread"
	"github.com/berth-containers/berth/network/attach"
)

// config is what a keeper is started with.
type config struct {
	StateDir  string         `json:"stateDir"`
	Outside   *attach.Helper `json:"outside,omitempty"`
	OutsideNS string         `json:"outsideNS,omitempty"`
	Adopt     bool           `json:"adopt,omitempty"` // the descriptor bridgesNS is given
}

const readyWord = "ready"

// bridgesNS is the keeper's descriptor of the namespace that has the user's bridges. The keeper itself stays on the host, where
// it listens on published ports: there is no way back for a user's process.
const bridgesNS = 3

type keeper struct {
	state  State
	config config
	names  *resolver
	ports  *forwarder

	mu      sync.Mutex // guards the fields below
	outside *attach.Endpoint
	ending  bool
}

// Main is the life of a keeper. Through out the one that has started it hears that it is ready, or why not.
func Main(conf string, out *os.File) int {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP, syscall.SIGPIPE) // not Ignore: its helpers would inherit that, and pasta of 2023 gives up then
	k := new(keeper)
	if err := json.Unmarshal([]byte(conf), &k.config); err != nil {
		return refuse(out, err)
	}
	k.state = State{Dir: k.config.StateDir}
	within := func(do func() error) error { return do() }
	why := ""
	defer func() { k.end(len(k.state.Members()) == 0) }()
	if k.config.Outside != nil {
		if err := k.openBridges(); err != nil {
			return refuse(out, err)
		}
		if err := k.connectOutside(); err != nil {
			return refuse(out, err)
		}
		go k.keepOutside()
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
	var l *net.UnixListener
	err := k.state.nearby(func(dir string) (err error) {
		os.Remove(filepath.Join(dir, socketFile))
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, socketFile)})
		return err
	})
	if err != nil {
		return refuse(out, err)
	}
	l.SetUnlinkOnClose(false) // the path was for a moment
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
		k.end(true)
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

// openBridges makes the namespace that has the bridges, or takes that of a keeper that was killed.
func (k *keeper) openBridges() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if k.config.Adopt {
		unix.CloseOnExec(bridgesNS)
		return nil
	}
	os.Remove(filepath.Join(k.state.Dir, "rules")) // of bridges that are gone, so that they are written anew
	return thread.Own(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make a network namespace: %w", err)
		}
		if err := loopback.Up(); err != nil {
			return fmt.Errorf("bring lo up: %w", err)
		}
		FilterBridged(false)
		fd, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		return unix.Dup3(fd, bridgesNS, unix.O_CLOEXEC) // the one that has started us has taken its place
	})
}

// FilterBridged says whether the firewall of the thread's network namespace sees what goes from one container to another of the same bridge. No rule of
// Berth's is about that, and it costs bulk data about a quarter of its time; a plugin's may be. A kernel without br_netfilter never asks it.
func FilterBridged(on bool) {
	value := "0"
	if on {
		value = "1"
	}
	for _, kind := range []string{"iptables", "ip6tables", "arptables"} {
		_ = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-"+kind, []byte(value), 0)
	}
}

// connectOutside starts the helper, after it has ended one that is left.
func (k *keeper) connectOutside() error {
	path := k.config.OutsideNS
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := endLeft(path); err != nil {
		return err
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := unix.Mount("/proc/self/fd/"+strconv.Itoa(bridgesNS), path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount the network namespace on %s: %w", path, err)
	}
	r := &attach.Runner{Socket: filepath.Join(k.state.Dir, "outside.sock"), PidFile: filepath.Join(k.state.Dir, "outside.pid"), Env: os.Environ()}
	e, err := r.Attach(attach.Attachment{Network: "outside", Helper: k.config.Outside}, attach.Namespace{Path: path})
	if err != nil {
		return err
	}
	k.outside = e
	return nil
}

// keepOutside starts the helper again whenever it ends.
func (k *keeper) keepOutside() {
	wait := time.Duration(0)
	for {
		k.mu.Lock()
		helper, ending := k.outside, k.ending
		k.mu.Unlock()
		if ending {
			return
		}
		since := time.Now()
		for helper.Alive() {
			helper.AwaitEnd(time.Hour, true)
		}
		if time.Since(since) > time.Minute {
			wait = 0
		}
		time.Sleep(wait)
		k.mu.Lock()
		if k.ending {
			k.mu.Unlock()
			return
		}
		err := k.connectOutside()
		k.mu.Unlock()
		wait = min(2*wait+200*time.Millisecond, 10*time.Second)
		if err != nil {
			continue // the helper that has ended is waited for once more: at once
		}
	}
}

// end stops what runs. The bridges stay for the next keeper unless nobody is left whom they are for.
func (k *keeper) end(last bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ending {
		return
	}
	k.ending = true
	os.Remove(filepath.Join(k.state.Dir, pidFile))
	os.Remove(filepath.Join(k.state.Dir, socketFile))
	if k.config.Outside == nil {
		return
	}
	if k.outside != nil {
		k.outside.Detach()
	}
	unix.Unmount(k.config.OutsideNS, unix.MNT_DETACH)
	os.Remove(k.config.OutsideNS)
	if last {
		_ = k.state.release()
	}
	if k.outside != nil {
		k.outside.AwaitEnd(time.Second, true)
	}
}
