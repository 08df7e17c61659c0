// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/attach"
	"go.podman.io/common/libnetwork/types"
	"golang.org/x/sys/unix"
)

// defaultNetwork is the name under which buildah asks for the network of a RUN without --network.
const defaultNetwork = "private"

// runNetwork connects the network namespaces of RUN instructions as libctr connects those of containers, with pasta,
// slirp4netns or to networks that containers share, through the interface that buildah takes. Buildah itself knows the default network alone.
type runNetwork struct {
	ctx  context.Context
	opts network.Options
	dir  string // for pid files and API sockets

	mu       sync.Mutex
	count    int
	runs     atomic.Uint64          // for names of what is connected to shared networks
	attached map[string][]*attached // by namespace path
}

// networkNone is for working containers that run nothing.
var networkNone = network.Options{Mode: network.Mode{Kind: network.None}}

// attached is a network namespace of a RUN, and what attaches it.
type attached struct {
	path      string // where the namespace is mounted for the helpers
	endpoints []*attach.Endpoint
}

func newRunNetwork(ctx context.Context, dir string, opts network.Options) *runNetwork {
	opts.NetNSElsewhere = true
	return &runNetwork{ctx: ctx, opts: opts, dir: dir, attached: map[string][]*attached{}}
}

// Setup connects the namespace, and returns once packets flow.
func (n *runNetwork) Setup(netns string, opts types.SetupOptions) (map[string]types.StatusBlock, error) {
	blocks := map[string]types.StatusBlock{}
	for _, asked := range opts.Networks {
		if asked.Name != defaultNetwork {
			return nil, fmt.Errorf("network %q: %w", asked.Name, errNoNetworks)
		}
		o := n.opts
		o.ID = "build-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(n.runs.Add(1), 10)
		plan, err := network.Plan(n.ctx, o)
		if err != nil {
			return nil, err
		}
		if err := n.attach(plan.Network.Attachments, netns); err != nil {
			return nil, err
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

func (n *runNetwork) attach(to []attach.Attachment, netns string) (err error) {
	if len(to) == 0 {
		return nil
	}
	n.mu.Lock()
	n.count++
	base := filepath.Join(n.dir, "net"+strconv.Itoa(n.count))
	n.mu.Unlock()

	// pasta gives up its rights to our /proc before it opens the namespace, so it gets a path of its own.
	a := &attached{path: base + ".ns"}
	if err := mountNamespace(netns, a.path); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.detach())
		}
	}()

	r := attach.Runner{Socket: base + ".sock", PidFile: base + ".pid", Env: os.Environ()}
	for _, to := range to {
		e, err := r.Attach(to, attach.Namespace{Path: a.path})
		if err != nil {
			return err
		}
		a.endpoints = append(a.endpoints, e)
	}

	n.mu.Lock()
	defer n.mu.Unlock()
	n.attached[netns] = append(n.attached[netns], a)
	return nil
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

// Teardown detaches the namespace.
func (n *runNetwork) Teardown(netns string, _ types.TeardownOptions) error {
	n.mu.Lock()
	ending := n.attached[netns]
	delete(n.attached, netns)
	n.mu.Unlock()
	var errs []error
	for _, a := range ending {
		errs = append(errs, a.detach())
	}
	return errors.Join(errs...)
}

func (a *attached) detach() error {
	for _, e := range a.endpoints {
		e.Detach()
	}
	return errors.Join(unix.Unmount(a.path, unix.MNT_DETACH), os.Remove(a.path))
}

// close detaches all namespaces that are left.
func (n *runNetwork) close() error {
	var errs []error
	for ns := range n.attached {
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
