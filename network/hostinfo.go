// SPDX-License-Identifier: Apache-2.0

package network

import (
	"net"
	"net/netip"
	"os"
	"strings"
)

// hostInfo is what a plan needs to know of the host's network.
type hostInfo struct {
	iface string       // the interface of the IPv4 default route, else of the IPv6 one, else any that is up; empty where only lo is
	ip    netip.Addr   // the host's own address as containers reach it; invalid where there is none
	addrs []netip.Addr // all of the host's addresses
	ipv6  bool         // the kernel has IPv6
}

func lookAtHost() hostInfo {
	var h hostInfo
	_, err := os.Stat("/proc/net/if_inet6")
	h.ipv6 = err == nil
	h.iface = defaultInterface("/proc/net/route", "/proc/net/ipv6_route")
	if h.iface == "" {
		h.iface = anyInterface()
	}
	addrs, _ := net.InterfaceAddrs() // without it nothing is lost but a collision check
	for _, a := range addrs {
		if ip := addrOf(a); ip.IsValid() {
			h.addrs = append(h.addrs, ip)
		}
	}
	h.ip = hostIP(h.iface, h.addrs)
	return h
}

// defaultInterface reads the routing tables as proc(5) describes them.
func defaultInterface(route4, route6 string) string {
	data, _ := os.ReadFile(route4)
	for line := range strings.Lines(string(data)) {
		// Iface Destination Gateway Flags RefCnt Use Metric Mask …
		if f := strings.Fields(line); len(f) >= 8 && f[1] == "00000000" && f[7] == "00000000" && f[0] != "lo" {
			return f[0]
		}
	}
	data, _ = os.ReadFile(route6)
	for line := range strings.Lines(string(data)) {
		// destination prefix-length source prefix-length next-hop metric refcount use flags device
		if f := strings.Fields(line); len(f) == 10 && strings.Trim(f[0], "0") == "" && f[1] == "00" && f[9] != "lo" {
			return f[9]
		}
	}
	return ""
}

// anyInterface is the first interface that is up and is not the loopback.
func anyInterface() string {
	all, _ := net.Interfaces()
	for _, i := range all {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
			return i.Name
		}
	}
	return ""
}

// hostIP picks the address that stands behind host.containers.internal: IPv4 before IPv6, of the
// given interface before others, never loopback or link-local.
func hostIP(iface string, all []netip.Addr) netip.Addr {
	var candidates []netip.Addr
	if i, err := net.InterfaceByName(iface); err == nil {
		addrs, _ := i.Addrs()
		for _, a := range addrs {
			candidates = append(candidates, addrOf(a))
		}
	}
	candidates = append(candidates, all...)
	for _, want4 := range []bool{true, false} {
		for _, ip := range candidates {
			if ip.IsValid() && ip.Is4() == want4 && !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
				return ip
			}
		}
	}
	return netip.Addr{}
}

func addrOf(a net.Addr) netip.Addr {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(n.IP)
	return ip.Unmap()
}
