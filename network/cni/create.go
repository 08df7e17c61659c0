// SPDX-License-Identifier: Apache-2.0

package cni

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.podman.io/common/libnetwork/types"
	"go.podman.io/common/pkg/config"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/conflist"
)

// bridgePrefix begins the names of bridges.
const bridgePrefix = "cni-podman"

var drivers = []string{types.BridgeNetworkDriver, types.MacVLANNetworkDriver, types.IPVLANNetworkDriver}

// Create defines a network. What n leaves open is filled in: its ID, bridge, subnets with their gateways, from pools. Others are networks whose subnets it must not have, besides those of dir. It fails with
// types.ErrNetworkExists where there is one of that name.
func Create(dir string, n *types.Network, others []types.Network, pools []config.SubnetPool) error {
	if n.Driver == "" {
		n.Driver = types.BridgeNetworkDriver
	}
	if !slices.Contains(drivers, n.Driver) {
		return hint.Add(fmt.Errorf("unsupported driver %s: invalid argument", n.Driver), "drivers are %s; a CNI configuration of another kind can be put into %s", strings.Join(drivers, ", "), dir)
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	all, _ := List(dir)
	if err := name(n, all); err != nil {
		return err
	}
	if n.IPAMOptions == nil {
		n.IPAMOptions = map[string]string{}
	}
	switch n.IPAMOptions[types.Driver] {
	case "":
		n.IPAMOptions[types.Driver] = types.HostLocalIPAMDriver
	case types.HostLocalIPAMDriver:
	case types.NoneIPAMDriver:
		if len(n.Subnets) > 0 {
			return errors.New("none ipam driver is set but subnets are given")
		}
	default:
		return hint.Add(fmt.Errorf("unsupported ipam driver %q", n.IPAMOptions[types.Driver]), "ipam drivers are host-local and none")
	}
	taken := used(slices.Concat(all, others))
	if n.Driver == types.BridgeNetworkDriver {
		err = bridge(n, all)
	} else {
		err = onParent(n)
		taken, pools = nil, nil // they are the parent's network's
	}
	if err != nil {
		return err
	}
	if n.IPAMOptions[types.Driver] == types.HostLocalIPAMDriver {
		if err := subnets(n, taken, pools); err != nil {
			return err
		}
	}
	n.ID, n.Created = conflist.ID(n.Name), time.Now()
	return store(dir, n)
}

func name(n *types.Network, all []types.Network) error {
	taken := func(name string) bool {
		return slices.ContainsFunc(all, func(o types.Network) bool { return o.Name == name })
	}
	if n.Name == "" {
		for i := 1; n.Name == "" || taken(n.Name); i++ {
			n.Name = bridgePrefix + strconv.Itoa(i)
		}
		return nil
	}
	if err := conflist.CheckName(n.Name); err != nil {
		return err
	}
	switch n.Name {
	case "none", "host", "bridge", "private", "default", "container", "ns", "pasta", "slirp4netns":
		return fmt.Errorf("cannot create network with name %q because it conflicts with a valid network mode", n.Name)
	}
	if taken(n.Name) {
		return fmt.Errorf("network name %s already used: %w", n.Name, types.ErrNetworkExists)
	}
	return nil
}

// bridge names the network's bridge.
func bridge(n *types.Network, all []types.Network) error {
	if b := n.Options["com.docker.network.bridge.name"]; b != "" && n.NetworkInterface == "" {
		n.NetworkInterface = b
	}
	taken := func(name string) bool {
		return slices.ContainsFunc(all, func(o types.Network) bool { return o.NetworkInterface == name })
	}
	if b := n.NetworkInterface; b != "" {
		if err := conflist.CheckName(b); err != nil || len(b) > 15 {
			return fmt.Errorf("bridge name %s invalid: want at most 15 of [a-zA-Z0-9_.-]", b)
		}
		if taken(b) {
			return fmt.Errorf("bridge name %s already in use", b)
		}
		return nil
	}
	for i := 1; ; i++ {
		n.NetworkInterface = bridgePrefix + strconv.Itoa(i)
		_, err := net.InterfaceByName(n.NetworkInterface)
		if err != nil && !taken(n.NetworkInterface) {
			return nil
		}
	}
}

// onParent settles a network whose containers are on the network of one of the host's interfaces, n.NetworkInterface.
func onParent(n *types.Network) error {
	if p, ok := n.Options["parent"]; ok {
		if n.NetworkInterface != "" && n.NetworkInterface != p {
			return fmt.Errorf("cannot set both parent %s and interface name %s", p, n.NetworkInterface)
		}
		n.NetworkInterface = p
		delete(n.Options, "parent")
	}
	if p := n.NetworkInterface; p != "" {
		if _, err := net.InterfaceByName(p); err != nil {
			return fmt.Errorf("parent interface %s does not exist", p)
		}
	}
	if len(n.NetworkDNSServers) > 0 {
		return fmt.Errorf("name servers are for networks with names, which driver %s has not", n.Driver)
	}
	n.DNSEnabled = false // nobody could answer: the host and its containers do not reach each other there
	if n.IPAMOptions[types.Driver] == types.HostLocalIPAMDriver && len(n.Subnets) == 0 {
		return hint.Add(fmt.Errorf("driver %s needs a subnet: addresses of DHCP servers are not supported", n.Driver),
			"give %s and a range of addresses that nobody else uses, or %s none", field.Name("subnet"), field.Name("ipam-driver"))
	}
	return nil
}

// used are the subnets that a new one must not overlap: those of other networks and of the host's interfaces.
func used(all []types.Network) []*net.IPNet {
	nets := networksOf(all)
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLoopback() {
			nets = append(nets, &net.IPNet{IP: n.IP.Mask(n.Mask), Mask: n.Mask})
		}
	}
	return nets
}

func networksOf(all []types.Network) []*net.IPNet {
	var nets []*net.IPNet
	for _, n := range all {
		for _, s := range n.Subnets {
			nets = append(nets, &s.Subnet.IPNet)
		}
	}
	return nets
}

func overlaps(a *net.IPNet, all []*net.IPNet) bool {
	return slices.ContainsFunc(all, func(b *net.IPNet) bool { return a.Contains(b.IP) || b.Contains(a.IP) })
}

// subnets checks those that were asked for, and finds free ones where there is none of a family that is wanted.
func subnets(n *types.Network, taken []*net.IPNet, pools []config.SubnetPool) error {
	v4, v6 := false, false
	for i := range n.Subnets {
		s := &n.Subnets[i]
		s.Subnet.IPNet = net.IPNet{IP: short(s.Subnet.IP.Mask(s.Subnet.Mask)), Mask: s.Subnet.Mask}
		if ones, bits := s.Subnet.Mask.Size(); bits-ones < 2 {
			return fmt.Errorf("subnet %s is too small: it has no address for a container", s.Subnet.String())
		}
		if overlaps(&s.Subnet.IPNet, taken) {
			return fmt.Errorf("subnet %s is already used on the host or by another config", s.Subnet.String())
		}
		taken = append(taken, &s.Subnet.IPNet)
		if layer3(n) {
			if s.Gateway != nil {
				return fmt.Errorf("gateway %s: mode %s of ipvlan has none", s.Gateway, n.Options[types.ModeOption])
			}
		} else if s.Gateway == nil {
			s.Gateway = firstIP(&s.Subnet.IPNet)
		} else if s.Gateway = short(s.Gateway); !s.Subnet.Contains(s.Gateway) {
			return fmt.Errorf("gateway %s not in subnet %s", s.Gateway, s.Subnet.String())
		}
		if l := s.LeaseRange; l != nil {
			for _, ip := range []net.IP{l.StartIP, l.EndIP} {
				if ip != nil && !s.Subnet.Contains(ip) {
					return fmt.Errorf("lease range ip %s not in subnet %s", ip, s.Subnet.String())
				}
			}
		}
		if s.Subnet.IP.To4() == nil {
			v6 = true
		} else {
			v4 = true
		}
	}
	if !v4 && (!v6 || n.IPv6Enabled && len(n.Subnets) == 0) {
		s, err := free(taken, pools)
		if err != nil {
			return err
		}
		n.Subnets = append([]types.Subnet{s}, n.Subnets...)
	}
	if n.IPv6Enabled && !v6 {
		ip := make(net.IP, net.IPv6len)
		if _, err := rand.Read(ip[1:8]); err != nil {
			return err
		}
		ip[0] = 0xfd // RFC 4193
		cidr := net.IPNet{IP: ip, Mask: net.CIDRMask(64, 128)}
		n.Subnets = append(n.Subnets, types.Subnet{Subnet: types.IPNet{IPNet: cidr}, Gateway: firstIP(&cidr)})
	}
	n.IPv6Enabled = n.IPv6Enabled || v6
	return nil
}

// layer3 reports whether containers of a network reach others without a gateway.
func layer3(n *types.Network) bool {
	mode := n.Options[types.ModeOption]
	return n.Driver == types.IPVLANNetworkDriver && (mode == types.IPVLANModeL3 || mode == types.IPVLANModeL3s)
}

// free finds an IPv4 subnet that nobody uses.
func free(taken []*net.IPNet, pools []config.SubnetPool) (types.Subnet, error) {
	for _, p := range pools {
		if p.Base == nil {
			continue
		}
		base := net.IPNet{IP: p.Base.IP.To4(), Mask: p.Base.Mask}
		if base.IP == nil || p.Size < 1 || p.Size > 30 {
			continue
		}
		sub := net.IPNet{IP: slices.Clone(base.IP), Mask: net.CIDRMask(p.Size, 32)}
		for base.Contains(sub.IP) {
			if !overlaps(&sub, taken) {
				return types.Subnet{Subnet: types.IPNet{IPNet: sub}, Gateway: firstIP(&sub)}, nil
			}
			n := uint32(sub.IP[0])<<24 | uint32(sub.IP[1])<<16 | uint32(sub.IP[2])<<8 | uint32(sub.IP[3])
			next := n + 1<<(32-p.Size)
			if next < n {
				break
			}
			sub.IP = net.IPv4(byte(next>>24), byte(next>>16), byte(next>>8), byte(next)).To4()
		}
	}
	return types.Subnet{}, hint.Add(errors.New("could not find free subnet from subnet pools"), "remove networks that nobody uses: network prune, or give a %s", field.Name("subnet"))
}

// Remove removes a network's definition.
func Remove(dir string, l *conflist.List) error {
	if l.Name == network.DefaultNetwork {
		return fmt.Errorf("default network %s cannot be removed", l.Name)
	}
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Remove(l.Path); err != nil {
		return fmt.Errorf("remove network %s: %w", l.Name, err)
	}
	return nil
}

// lock holds off others that change the networks of a directory.
func lock(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of networks: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, ".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil
}
