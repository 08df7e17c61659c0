// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/thread"
	"github.com/berth-containers/berth/network/attach"
)

// Add connects the container's namespace to the network's bridge, which it makes if it is the first. If it fails, nothing is left. The rules are Apply's.
func (n *Network) Add(req *attach.Request) (_ *attach.Joined, err error) {
	c := req.CNI
	ns, err := netns.GetFromPath(req.NetNS)
	if err != nil {
		return nil, fmt.Errorf("open the container's network namespace: %w", err)
	}
	defer ns.Close()
	addresses, err := n.lease(c.Container, c.Interface)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.Del(req))
		}
	}()
	br, err := n.ensureBridge(addresses)
	if err != nil {
		return nil, err
	}
	mac, err := hardwareAddress(c.MAC, addresses)
	if err != nil {
		return nil, err
	}
	if err := n.pair(br, ns, c, mac); err != nil {
		return nil, err
	}
	return n.configure(req, ns, addresses, c.MAC != "")
}

// Del undoes Add, also one that was interrupted. It is Release and Unlink.
func (n *Network) Del(req *attach.Request) error {
	return errors.Join(n.Release(req.CNI), n.Unlink(req.CNI))
}

// Unlink removes the container's interface, if it is still there. It takes the kernel some 10 ms.
func (n *Network) Unlink(c *attach.CNI) error { return removeLink(n.vethName(c)) }

func removeLink(name string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	return nil
}

// vethName is the bridge's end of a container's interface. It follows from the container, so that one that was left is found.
func (n *Network) vethName(c *attach.CNI) string {
	sum := sha256.Sum256([]byte(n.Name + "/" + c.Container + "/" + c.Interface))
	return "veth" + hex.EncodeToString(sum[:4])
}

// ensureBridge finds or makes the bridge, with the gateways' addresses.
func (n *Network) ensureBridge(addresses []address) (netlink.Link, error) {
	name := n.bridge.Bridge
	br, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MTU = name, n.bridge.MTU
		// Without an address of its own the bridge's follows its ports, and neighbours would lose it.
		attrs.HardwareAddr = derived(addresses[0].gateway)
		if err = netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err == nil || errors.Is(err, unix.EEXIST) {
			br, err = netlink.LinkByName(name)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make bridge %s: %w", name, err)
	}
	if br.Type() != "bridge" {
		return nil, fmt.Errorf("%s already exists but is not a bridge", name)
	}
	for _, a := range addresses {
		if !n.isGateway() || a.gateway == nil {
			continue
		}
		if err := n.ensureAddress(br, &netlink.Addr{IPNet: &net.IPNet{IP: a.gateway, Mask: a.Mask}, Flags: unix.IFA_F_NODAD}); err != nil {
			return nil, err
		}
		forward := "/proc/sys/net/ipv4/ip_forward"
		if a.IP.To4() == nil {
			forward = "/proc/sys/net/ipv6/conf/all/forwarding"
		}
		if err := setSysctl(forward, "1"); err != nil {
			return nil, err
		}
	}
	if br.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(br); err != nil {
			return nil, fmt.Errorf("bring up bridge %s: %w", name, err)
		}
	}
	return br, nil
}

func (n *Network) isGateway() bool { return n.bridge.IsGateway || n.bridge.IsDefaultGateway }

func (n *Network) ensureAddress(br netlink.Link, a *netlink.Addr) error {
	if a.IP.To4() == nil {
		_ = setSysctl("/proc/sys/net/ipv6/conf/"+br.Attrs().Name+"/disable_ipv6", "0")
	}
	if err := netlink.AddrAdd(br, a); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("give bridge %s the address %s: %w", br.Attrs().Name, a.IPNet, err)
	}
	return nil
}

// hardwareAddress is what was asked for, or else follows from the IPv4 address: one that is given to another container goes with its hardware
// address, and no neighbour is left with the old one.
func hardwareAddress(asked string, addresses []address) (net.HardwareAddr, error) {
	if asked != "" {
		return net.ParseMAC(asked)
	}
	for _, a := range addresses {
		if mac := derived(a.IP); mac != nil {
			return mac, nil
		}
	}
	return nil, nil // the kernel's choice
}

func derived(ip net.IP) net.HardwareAddr {
	if four := ip.To4(); four != nil {
		return append(net.HardwareAddr{0x0a, 0x58}, four...)
	}
	return nil
}

// pair makes the two ends of the container's interface, one in the bridge, one in the container.
func (n *Network) pair(br netlink.Link, ns netns.NsHandle, c *attach.CNI, mac net.HardwareAddr) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.MasterIndex, attrs.Flags = n.vethName(c), n.bridge.MTU, br.Attrs().Index, net.FlagUp
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: c.Interface, PeerHardwareAddr: mac, PeerNamespace: netlink.NsFd(ns), PeerTxQLen: -1, PeerMTU: uint32(max(0, n.bridge.MTU))}
	err := netlink.LinkAdd(veth)
	if errors.Is(err, unix.EEXIST) { // of a start that was killed, or the name is the container's own
		if err = removeLink(attrs.Name); err == nil {
			err = netlink.LinkAdd(veth)
		}
	}
	if err != nil {
		return fmt.Errorf("make interface %s: %w", c.Interface, err)
	}
	if err := netlink.LinkSetAlias(veth, table(c.StateDir)); err != nil {
		return fmt.Errorf("say whose interface it is: %w", err)
	}
	if n.bridge.HairpinMode {
		if err := netlink.LinkSetHairpin(veth, true); err != nil {
			return fmt.Errorf("set hairpin mode: %w", err)
		}
	}
	return nil
}

// configure gives the container's end its addresses and routes. With announce its neighbours are told of it.
func (n *Network) configure(req *attach.Request, ns netns.NsHandle, addresses []address, announce bool) (*attach.Joined, error) {
	name := req.CNI.Interface
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find interface %s: %w", name, err)
	}
	if announce {
		err := thread.Own(func() error {
			if err := unix.Setns(int(ns), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return setSysctl("/proc/sys/net/ipv4/conf/"+name+"/arp_notify", "1")
		})
		if err != nil {
			return nil, err
		}
	}
	j := &attach.Joined{Network: req.Network, Interface: name, MAC: link.Attrs().HardwareAddr.String()}
	for _, a := range addresses {
		addr := &netlink.Addr{IPNet: &a.IPNet}
		if a.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD // the lease says that nobody else has it
		}
		if err := h.AddrAdd(link, addr); err != nil {
			return nil, fmt.Errorf("give interface %s the address %s: %w", name, &a.IPNet, err)
		}
		prefix, _ := a.Mask.Size()
		has := attach.Address{IP: a.IP.String(), Prefix: prefix}
		if a.gateway != nil {
			has.Gateway = a.gateway.String()
		}
		j.Addresses = append(j.Addresses, has)
	}
	if err := h.LinkSetUp(link); err != nil {
		return nil, fmt.Errorf("bring up interface %s: %w", name, err)
	}
	return j, n.route(h, link, addresses)
}

func (n *Network) route(h *netlink.Handle, link netlink.Link, addresses []address) error {
	gateway := func(four bool) net.IP {
		for _, a := range addresses {
			if (a.IP.To4() != nil) == four {
				return a.gateway
			}
		}
		return nil
	}
	var routes []netlink.Route
	def := map[bool]bool{}
	for _, r := range n.ipam.Routes {
		four := r.Dst.IP.To4() != nil
		gw := r.GW
		if gw == nil {
			gw = gateway(four)
		}
		route := netlink.Route{Dst: &r.Dst, Gw: gw, Priority: r.Priority, MTU: r.MTU, AdvMSS: r.AdvMSS}
		if r.Table != nil {
			route.Table = *r.Table
		}
		if r.Scope != nil {
			route.Scope = netlink.Scope(*r.Scope)
		}
		if ones, _ := r.Dst.Mask.Size(); ones == 0 {
			def[four] = true
		}
		routes = append(routes, route)
	}
	for _, a := range addresses {
		if four := a.IP.To4() != nil; n.bridge.IsDefaultGateway && !def[four] {
			all := &net.IPNet{IP: make(net.IP, len(a.Mask)), Mask: make(net.IPMask, len(a.Mask))}
			routes = append(routes, netlink.Route{Dst: all, Gw: a.gateway})
			def[four] = true
		}
	}
	for i := range routes {
		routes[i].LinkIndex = link.Attrs().Index
		if err := h.RouteAdd(&routes[i]); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("add the route to %s by %s: %w", routes[i].Dst, routes[i].Gw, err)
		}
	}
	return nil
}

// setSysctl writes a setting of the thread's network namespace, unless it is as it should be.
func setSysctl(path, value string) error {
	if now, err := os.ReadFile(path); err == nil && string(now) == value+"\n" {
		return nil
	}
	return os.WriteFile(path, []byte(value), 0)
}

// Sweep removes the bridge of a network that Berth has made, where no container is connected to it any more: those of the state in stateDir, of which ends of
// interfaces may be left for some milliseconds, and of nobody else.
func (n *Network) Sweep(stateDir string) error {
	if !n.ours {
		return nil
	}
	br, err := netlink.LinkByName(n.bridge.Bridge)
	if err != nil || br.Type() != "bridge" {
		return nil // there is none
	}
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("list interfaces: %w", err)
	}
	for _, l := range links {
		if l.Attrs().MasterIndex == br.Attrs().Index && l.Attrs().Alias != table(stateDir) {
			return nil
		}
	}
	return removeLink(n.bridge.Bridge)
}
