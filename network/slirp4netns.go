// SPDX-License-Identifier: Apache-2.0

package network

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/attach"
)

// slirpPlan is everything that decides slirp4netns' arguments.
type slirpPlan struct {
	prog    *program
	host    hostInfo
	options []string // the user's: containers.conf first, then --network slirp4netns:…
	ports   []attach.PortMapping
}

// slirpOptions are podman's words behind "slirp4netns:".
type slirpOptions struct {
	allowHostLoopback bool
	enableIPv6        bool
	mtu               int
	cidr              netip.Prefix
	outbound4         string
	outbound6         string
}

// args gives slirp4netns' command line with the words of attach.Helper, the requests that
// publish the ports, and what the container will see.
//
// There is no --exit-fd: the container outlives its monitor, and so must its network.
func (p slirpPlan) args() (args []string, fwd []json.RawMessage, l link, err error) {
	o, err := parseSlirpOptions(p.options, p.host)
	if err != nil {
		return nil, nil, l, err
	}
	args = []string{"--configure", "--mtu=" + strconv.Itoa(o.mtu), "--cidr=" + o.cidr.String()}
	if !o.allowHostLoopback {
		args = append(args, "--disable-host-loopback")
	}
	for _, option := range []string{"enable-sandbox", "enable-seccomp"} {
		if p.prog.has(option) {
			args = append(args, "--"+option)
		}
	}
	if o.enableIPv6 && p.prog.has("enable-ipv6") {
		args = append(args, "--enable-ipv6")
	}
	if o.outbound4 != "" {
		args = append(args, "--outbound-addr="+o.outbound4)
	}
	if o.outbound6 != "" {
		args = append(args, "--outbound-addr6="+o.outbound6)
	}
	guest := addrAt(o.cidr, 100)
	for _, m := range p.ports {
		if relay := relays(m, p.host); len(relay) > 0 && !o.allowHostLoopback {
			// The answers to loopback clients are refused as connections to the host's loopback.
			l.relay = append(l.relay, relay...)
			if onlyLoopback(m) {
				continue
			}
		}
		req, err := hostFwd(m, guest)
		if err != nil {
			return nil, nil, l, err
		}
		fwd = append(fwd, req)
	}
	if len(fwd) > 0 {
		args = append(args, "--api-socket={apisock}")
	}
	args = append(args, "--ready-fd={ready}", "--netns-type=path", "{netns}", guestInterface)
	l.ip4, l.hostAt = guest.String(), p.host.ip
	l.dns, l.dnsForward = []string{addrAt(o.cidr, 3).String()}, true
	if o.allowHostLoopback {
		l.hostAt = addrAt(o.cidr, 2)
	}
	return args, fwd, l, nil
}

// hostFwd is a request for slirp4netns' API socket.
func hostFwd(m attach.PortMapping, guest netip.Addr) (json.RawMessage, error) {
	hostIP := "0.0.0.0"
	if m.HostIP != "" {
		hostIP = m.HostIP
		if a, err := netip.ParseAddr(hostIP); err != nil || !a.Is4() {
			return nil, hint.Add(fmt.Errorf("publish port %d/%s on %s: slirp4netns publishes on IPv4 addresses only", m.HostPort, m.Protocol, hostIP),
				"use %s pasta (Debian: sudo apt-get install passt)", field.Name("network"))
		}
	}
	type arguments struct {
		Proto     string `json:"proto"`
		HostAddr  string `json:"host_addr"`
		HostPort  uint16 `json:"host_port"`
		GuestAddr string `json:"guest_addr"`
		GuestPort uint16 `json:"guest_port"`
	}
	return json.Marshal(struct {
		Execute   string    `json:"execute"`
		Arguments arguments `json:"arguments"`
	}{"add_hostfwd", arguments{m.Protocol, hostIP, m.HostPort, guest.String(), m.ContainerPort}})
}

const slirpHint = "the options are allow_host_loopback=true|false, cidr=10.0.2.0/24, enable_ipv6=true|false, mtu=65520, outbound_addr=IP|INTERFACE, outbound_addr6=IP|INTERFACE, port_handler=slirp4netns"

// slirpNetworks are tried in turn: slirp4netns takes everything in its network for itself, and 10.0.2.0/24
// is also where the machines of QEMU and VirtualBox have their addresses.
var slirpNetworks = []netip.Prefix{
	netip.MustParsePrefix("10.0.2.0/24"), netip.MustParsePrefix("10.0.3.0/24"), netip.MustParsePrefix("10.213.87.0/24"),
}

// slirpNetwork is the first of them in which the host has no address.
func slirpNetwork(host hostInfo) netip.Prefix {
	for _, p := range slirpNetworks {
		if !slices.ContainsFunc(host.addrs, p.Contains) {
			return p
		}
	}
	return slirpNetworks[0]
}

func parseSlirpOptions(words []string, host hostInfo) (slirpOptions, error) {
	o := slirpOptions{enableIPv6: host.ipv6, mtu: 65520, cidr: slirpNetwork(host)}
	for _, w := range words {
		key, value, ok := strings.Cut(w, "=")
		if !ok {
			return o, hint.Add(fmt.Errorf("slirp4netns option %q is not KEY=VALUE", w), slirpHint)
		}
		if err := o.set(key, value); err != nil {
			return o, hint.Add(fmt.Errorf("slirp4netns option %q: %w", w, err), slirpHint)
		}
	}
	return o, nil
}

func (o *slirpOptions) set(key, value string) (err error) {
	switch key {
	case "allow_host_loopback":
		o.allowHostLoopback, err = parseBool(value)
	case "enable_ipv6":
		o.enableIPv6, err = parseBool(value)
	case "mtu":
		if o.mtu, err = strconv.Atoi(value); err != nil || o.mtu < 68 || o.mtu > 65521 {
			return fmt.Errorf("%q is not a number of bytes from 68 to 65521", value)
		}
	case "cidr":
		if o.cidr, err = netip.ParsePrefix(value); err != nil || !o.cidr.Addr().Is4() || o.cidr.Bits() > 25 {
			return fmt.Errorf("%q is not an IPv4 network of at least 128 addresses, such as 10.0.2.0/24", value)
		}
		o.cidr = o.cidr.Masked()
	case "outbound_addr":
		o.outbound4, err = outboundAddr(value, true)
	case "outbound_addr6":
		o.outbound6, err = outboundAddr(value, false)
	case "port_handler":
		switch value {
		case "slirp4netns":
		case "rootlesskit":
			return fmt.Errorf("the server would see every client under one address of the container's; slirp4netns keeps the client's")
		default:
			return fmt.Errorf("unknown port handler")
		}
	default:
		return fmt.Errorf("unknown option")
	}
	return err
}

func parseBool(s string) (bool, error) {
	switch s {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("%q is not true or false", s)
}

// outboundAddr takes an address, or an interface and gives its first address of the family.
func outboundAddr(value string, want4 bool) (string, error) {
	family := map[bool]string{true: "IPv4", false: "IPv6"}[want4]
	if a, err := netip.ParseAddr(value); err == nil {
		if a.Is4() != want4 {
			return "", fmt.Errorf("%s is not an %s address", value, family)
		}
		return value, nil
	}
	i, err := net.InterfaceByName(value)
	if err != nil {
		return "", fmt.Errorf("%q is neither an %s address nor an interface of this host", value, family)
	}
	addrs, err := i.Addrs()
	if err != nil {
		return "", err
	}
	for _, a := range addrs {
		if ip := addrOf(a); ip.IsValid() && ip.Is4() == want4 && !ip.IsLinkLocalUnicast() {
			return ip.String(), nil
		}
	}
	return "", fmt.Errorf("interface %s has no %s address", value, family)
}

// addrAt is the n-th address of an IPv4 network.
func addrAt(p netip.Prefix, n byte) netip.Addr {
	b := p.Addr().As4()
	b[3] += n // the network has at least 128 addresses: no carry for n up to 127
	return netip.AddrFrom4(b)
}
