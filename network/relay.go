// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net/netip"

	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/udprelay"
)

// relays gives, in package udprelay's form, the loopback addresses of the host on which clients of a UDP mapping can be.
func relays(m attach.PortMapping, host hostInfo) []string {
	if m.Protocol != "udp" {
		return nil
	}
	var addrs []netip.Addr
	ip, err := netip.ParseAddr(m.HostIP)
	switch {
	case err != nil: // every address
		addrs = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		if host.ipv6 {
			addrs = append(addrs, netip.IPv6Loopback())
		}
	case ip.IsLoopback():
		addrs = append(addrs, ip)
	case ip == netip.IPv4Unspecified():
		addrs = append(addrs, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
	case ip == netip.IPv6Unspecified():
		addrs = append(addrs, netip.IPv6Loopback())
	}
	var all []string
	for _, a := range addrs {
		all = append(all, udprelay.Port{Listen: netip.AddrPortFrom(a, m.HostPort), Target: m.ContainerPort}.String())
	}
	return all
}

// onlyLoopback reports whether the relay serves all of the mapping's clients.
func onlyLoopback(m attach.PortMapping) bool {
	ip, err := netip.ParseAddr(m.HostIP)
	return err == nil && ip.IsLoopback()
}
