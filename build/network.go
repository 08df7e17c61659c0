// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	"go.podman.io/common/libnetwork/types"
	"golang.org/x/sys/unix"
)

// defaultNetwork is the name under which buildah asks for the network of a RUN without --network.
const defaultNetwork = "private"

// readyTimeout bounds how long a network helper may take.
const readyTimeout = 20 * time.Second

// runNetwork connects the network namespaces of RUN instructions as libctr connects those of containers, with pasta
// or slirp4netns, through the interface that buildah takes. It has no networks that several containers share.
type runNetwork struct {
	ctx  context.Context
	opts network.Options
	dir  string // for pid files and API sockets

	mu      sync.Mutex
	count   int
	helpers map[string][]*helper // by namespace path
}

// networkNone is for working containers that run nothing.
var networkNone = network.Options{Mode: network.Mode{Kind: network.None}}

// helper is a running pasta or slirp4netns.
type helper struct {
	pid  int
	exit *os.File // closing it ends slirp4netns
	ns   string   // where the namespace is mounted; pasta ends when it is gone
}

func newRunNetwork(ctx context.Context, dir string, opts network.Options) *runNetwork {
	opts.NetNSElsewhere = true
	return &runNetwork{ctx: ctx, opts: opts, dir: dir, helpers: map[string][]*helper{}}
}

// Setup connects the namespace, and returns once packets flow.
func (n *runNetwork) Setup(netns string, opts types.SetupOptions) (map[string]types.StatusBlock, error) {
	blocks := map[string]types.StatusBlock{}
	for _, asked := range opts.Networks {
		if asked.Name != defaultNetwork {
			return nil, fmt.Errorf("network %q: %w", asked.Name, errNoNetworks)
		}
		plan, err := network.Plan(n.ctx, n.opts)
		if err != nil {
			return nil, err
		}
		if plan.Network.Helper != nil {
			h, err := n.start(plan.Network.Helper, netns)
			if err != nil {
				return nil, err
			}
			n.mu.Lock()
			n.helpers[netns] = append(n.helpers[netns], h)
			n.mu.Unlock()
		}
		blocks[asked.Name] = status(plan)
	}
	return blocks, nil
}

// status is what buildah makes /etc/hosts and /etc/resolv.conf from.
func status(plan network.Result) types.StatusBlock {
	var b types.StatusBlock
	for line := range strings.Lines(string(plan.ResolvConf)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			if ip := net.ParseIP(f[1]); ip != nil {
				b.DNSServerIPs = append(b.DNSServerIPs, ip)
			}
		case "search":
			b.DNSSearchDomains = f[1:]
		}
	}
	if ip := net.ParseIP(plan.IP); ip != nil {
		bits := 8 * len(ip)
		if ip4 := ip.To4(); ip4 != nil {
			ip, bits = ip4, 32
		}
		b.Interfaces = map[string]types.NetInterface{"eth0": {
			Subnets: []types.NetAddress{{IPNet: types.IPNet{IPNet: net.IPNet{IP: ip, Mask: net.CIDRMask(bits, bits)}}}},
		}}
	}
	return b
}

func (n *runNetwork) start(h *record.NetHelper, netns string) (*helper, error) {
	n.mu.Lock()
	n.count++
	base := filepath.Join(n.dir, "net"+strconv.Itoa(n.count))
	n.mu.Unlock()
	readyR, readyW, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer readyR.Close()
	exitR, exitW, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, readyW.Close())
	}
	defer exitR.Close()
	// pasta gives up its rights to our /proc before it opens the namespace, so it gets a path of its own.
	if err := mountNamespace(netns, base+".ns"); err != nil {
		return nil, errors.Join(err, readyW.Close(), exitW.Close())
	}
	words := strings.NewReplacer("{netns}", base+".ns", "{apisock}", base+".sock", "{ready}", "3", "{exit}", "4")
	args := make([]string, len(h.Args))
	for i, a := range h.Args {
		args[i] = words.Replace(a)
	}
	if h.Daemonizes {
		args = append(args, "--pid", "/proc/self/fd/1") // see monitor.startNetHelper
	}
	said, err := os.Create(base + ".log")
	if err != nil {
		return nil, errors.Join(err, readyW.Close(), exitW.Close())
	}
	defer said.Close()
	cmd := exec.Command(h.Path, args...)
	cmd.Stdout, cmd.Stderr = said, said // a file: a daemon's pipe would never end
	if h.Daemonizes {
		cmd.Stdout = readyW
	} else {
		cmd.ExtraFiles = []*os.File{readyW, exitR}
	}
	err = cmd.Start()
	readyW.Close()
	if err != nil {
		exitW.Close()
		return nil, hint.Add(fmt.Errorf("run network helper %s: %w", h.Path, err), "install it: sudo apt-get install passt slirp4netns, or use --network none or host")
	}
	if h.Daemonizes {
		return n.awaitDaemon(cmd, readyR, base, exitW)
	}
	return n.awaitReady(cmd, readyR, base, exitW)
}

// awaitDaemon waits until the program says the number of the process that it leaves, or, if a wrapper keeps that to
// itself, until its first process ends.
func (n *runNetwork) awaitDaemon(cmd *exec.Cmd, ready *os.File, base string, exit *os.File) (*helper, error) {
	pid, err := host.AwaitPid(ready, readyTimeout)
	if errors.Is(err, io.EOF) {
		if err = cmd.Wait(); err == nil {
			pid = host.HelperPid(0, base+".ns")
		}
	} else {
		go func() { _ = cmd.Wait() }() // reaped whenever it ends
	}
	if err == nil && pid == 0 {
		err = errors.New("it left no process")
	}
	if err != nil {
		exit.Close()
		_ = cmd.Process.Kill() // unless it has ended
		return nil, helperError(cmd.Path, err, base+".log")
	}
	return &helper{pid: pid, exit: exit, ns: base + ".ns"}, nil
}

// awaitReady waits for the byte that says that the network is up.
func (n *runNetwork) awaitReady(cmd *exec.Cmd, ready *os.File, base string, exit *os.File) (*helper, error) {
	go func() { _ = cmd.Wait() }() // reaped whenever it ends
	if err := ready.SetReadDeadline(time.Now().Add(readyTimeout)); err != nil {
		exit.Close()
		return nil, err
	}
	if _, err := ready.Read(make([]byte, 1)); err != nil {
		exit.Close()
		_ = cmd.Process.Kill()
		return nil, helperError(cmd.Path, errors.New("it did not get ready"), base+".log")
	}
	pid := host.HelperPid(cmd.Process.Pid, base+".ns")
	if pid == 0 {
		pid = cmd.Process.Pid
	}
	return &helper{pid: pid, exit: exit, ns: base + ".ns"}, nil
}

func mountNamespace(ns, path string) error {
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return fmt.Errorf("mount the network namespace: %w", err)
	}
	if err := unix.Mount(ns, path, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount the network namespace %s on %s: %w", ns, path, err)
	}
	return nil
}

func helperError(path string, err error, log string) error {
	said, _ := os.ReadFile(log) // what it said is an extra
	return fmt.Errorf("network helper %s: %w: %s", filepath.Base(path), err, strings.TrimSpace(string(said)))
}

// Teardown ends the helpers of the namespace.
func (n *runNetwork) Teardown(netns string, _ types.TeardownOptions) error {
	n.mu.Lock()
	ending := n.helpers[netns]
	delete(n.helpers, netns)
	n.mu.Unlock()
	var errs []error
	for _, h := range ending {
		errs = append(errs, h.end())
	}
	return errors.Join(errs...)
}

func (h *helper) end() error {
	err := errors.Join(h.exit.Close(), unix.Unmount(h.ns, unix.MNT_DETACH))
	// pasta ends by itself with the namespace; it is no error that it has.
	if kerr := syscall.Kill(h.pid, syscall.SIGTERM); kerr != nil && !errors.Is(kerr, syscall.ESRCH) {
		err = errors.Join(err, kerr)
	}
	return err
}

// close ends all helpers that are left.
func (n *runNetwork) close() error {
	var errs []error
	for ns := range n.helpers {
		errs = append(errs, n.Teardown(ns, types.TeardownOptions{}))
	}
	return errors.Join(errs...)
}

// DefaultNetworkName is the mode that connects with the best helper that is installed.
func (n *runNetwork) DefaultNetworkName() string { return defaultNetwork }

// NetworkInfo names this implementation.
func (n *runNetwork) NetworkInfo() types.NetworkInfo { return types.NetworkInfo{Backend: "berth"} }

// Drivers is empty: there are no networks to define.
func (n *runNetwork) Drivers() []string { return nil }

// The rest of types.ContainerNetwork is about shared networks, which a build cannot make.

func (n *runNetwork) NetworkCreate(types.Network, *types.NetworkCreateOptions) (types.Network, error) {
	return types.Network{}, errNoNetworks
}

func (n *runNetwork) NetworkUpdate(string, types.NetworkUpdateOptions) error { return errNoNetworks }

func (n *runNetwork) NetworkRemove(string) error { return errNoNetworks }

func (n *runNetwork) NetworkList(...types.FilterFunc) ([]types.Network, error) { return nil, nil }

func (n *runNetwork) NetworkInspect(name string) (types.Network, error) {
	return types.Network{}, fmt.Errorf("network %q: %w", name, types.ErrNoSuchNetwork)
}

func (n *runNetwork) RunInRootlessNetns(func() error) error { return errNoNetworks }

func (n *runNetwork) RootlessNetnsInfo() (*types.RootlessNetnsInfo, error) { return nil, errNoNetworks }

var errNoNetworks = errors.New("a build has no shared networks")
