// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/network/attach"
)

// Restore makes the bridge again as it is to be for a container that is connected, which keeps its interface. It fails where that is gone. The rules
// are Apply's.
func (n *Network) Restore(c *attach.CNI, joined *attach.Joined) error {
	veth, err := netlink.LinkByName(n.vethName(c))
	if err != nil {
		return fmt.Errorf("find the interface of container %s: %w", c.Container, err)
	}
	var addresses []address
	for _, a := range joined.Addresses {
		ip, gateway := net.ParseIP(a.IP), net.ParseIP(a.Gateway)
		if four := ip.To4(); four != nil {
			ip, gateway = four, gateway.To4()
		}
		addresses = append(addresses, address{net.IPNet{IP: ip, Mask: net.CIDRMask(a.Prefix, 8*len(ip))}, gateway})
	}
	if len(addresses) == 0 {
		return fmt.Errorf("container %s has no address in network %s", c.Container, n.Name)
	}
	br, err := n.ensureBridge(addresses)
	if err != nil {
		return err
	}
	if veth.Attrs().MasterIndex != br.Attrs().Index {
		if err := netlink.LinkSetMaster(veth, br); err != nil {
			return fmt.Errorf("connect interface %s to bridge %s: %w", veth.Attrs().Name, n.bridge.Bridge, err)
		}
		if n.bridge.HairpinMode {
			if err := netlink.LinkSetHairpin(veth, true); err != nil {
				return fmt.Errorf("set hairpin mode: %w", err)
			}
		}
	}
	if err := netlink.LinkSetUp(veth); err != nil {
		return fmt.Errorf("bring up interface %s: %w", veth.Attrs().Name, err)
	}
	return nil
}

// RemoveIn removes an interface from a namespace. It is no error that there is none.
func RemoveIn(path, name string) error {
	ns, err := netns.GetFromPath(path)
	if err != nil {
		return fmt.Errorf("open the container's network namespace: %w", err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err == nil {
		err = h.LinkDel(link)
	}
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("remove interface %s: %w", name, err)
	}
	return nil
}
