// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/attach"
)

const publishHint = "write [[IP:][HOSTPORT]:]CONTAINERPORT[/PROTOCOL], for example 8080:80, 127.0.0.1:8080:80/tcp or [::1]:5353:53/udp"

// ParsePublish reads the values of --publish, [[IP:][HOSTPORT]:]CONTAINERPORT[/tcp|/udp|/sctp], where each port
// may be a range FIRST-LAST. A mapping whose HostPort is 0 gets a free
// port in Plan. An empty HostIP is every address, IPv4 and IPv6.
func ParsePublish(specs []string) ([]attach.PortMapping, error) {
	var all []attach.PortMapping
	for _, spec := range specs {
		ports, err := parsePublish(spec)
		if err != nil {
			return nil, hint.Add(fmt.Errorf("publish %q: %w", spec, err), publishHint)
		}
		all = append(all, ports...)
	}
	return all, checkDuplicates(all)
}

// BindTo gives each mapping without a host address one for each of ips, as containers.conf(5) says of
// default_host_ips. Without ips the mappings stay as they are.
func BindTo(ports []attach.PortMapping, ips []string) ([]attach.PortMapping, error) {
	if len(ips) == 0 {
		return ports, nil
	}
	var all []attach.PortMapping
	for _, p := range ports {
		if p.HostIP != "" {
			all = append(all, p)
			continue
		}
		for _, ip := range ips {
			a, err := parseHostIP(ip)
			if err != nil {
				return nil, err
			}
			p.HostIP = a.String()
			all = append(all, p)
		}
	}
	return all, checkDuplicates(all)
}

// ParseExposed makes a mapping with a free host port of each exposed port, for --publish-all:
// "80", "80/tcp", "5000-5010/udp".
func ParseExposed(exposed []string) ([]attach.PortMapping, error) {
	var all []attach.PortMapping
	for _, spec := range exposed {
		if strings.Contains(spec, ":") {
			return nil, fmt.Errorf("exposed port %q: not PORT[/PROTOCOL]", spec)
		}
		ports, err := parsePublish(spec)
		if err != nil {
			return nil, fmt.Errorf("exposed port %q: %w", spec, err)
		}
		all = append(all, ports...)
	}
	return all, nil
}

func parsePublish(spec string) ([]attach.PortMapping, error) {
	addr, proto, err := cutProtocol(spec)
	if err != nil {
		return nil, err
	}
	ip, host, ctr, err := splitPublish(addr)
	if err != nil {
		return nil, err
	}
	first, last, err := parseRange(ctr)
	if err != nil {
		return nil, fmt.Errorf("container port %w", err)
	}
	if first == 0 {
		return nil, fmt.Errorf("container port 0 is not a port")
	}
	hostFirst, hostLast := uint16(0), uint16(0)
	if host != "" {
		if hostFirst, hostLast, err = parseRange(host); err != nil {
			return nil, fmt.Errorf("host port %w", err)
		}
	}
	anyHostPort := hostFirst == 0 && hostLast == 0
	switch {
	case anyHostPort:
	case hostFirst == 0:
		return nil, fmt.Errorf("host port range %s begins with 0", host)
	case hostLast-hostFirst != last-first:
		return nil, fmt.Errorf("%d host ports for %d container ports", int(hostLast)-int(hostFirst)+1, int(last)-int(first)+1)
	}
	ports := make([]attach.PortMapping, 0, int(last-first)+1)
	for i := 0; i <= int(last-first); i++ {
		m := attach.PortMapping{HostIP: ip, ContainerPort: first + uint16(i), Protocol: proto}
		if !anyHostPort {
			m.HostPort = hostFirst + uint16(i)
		}
		ports = append(ports, m)
	}
	return ports, nil
}

func cutProtocol(spec string) (addr, proto string, err error) {
	addr, proto, slash := strings.Cut(spec, "/")
	if !slash {
		return addr, "tcp", nil
	}
	switch p := strings.ToLower(proto); p {
	case "tcp", "udp", "sctp":
		return addr, p, nil
	}
	return "", "", fmt.Errorf("protocol %q is not tcp, udp or sctp", proto)
}

// checkSCTP refuses ports of SCTP, for where nothing carries it.
func checkSCTP(ports []attach.PortMapping) error {
	if !slices.ContainsFunc(ports, func(p attach.PortMapping) bool { return p.Protocol == "sctp" }) {
		return nil
	}
	return hint.Add(errors.New("protocol sctp is not supported here: neither pasta nor slirp4netns carries it"),
		"as root, networks that containers share publish it: %s NAME", field.Name("network"))
}

// splitPublish cuts IP:HOST:CONTAINER into its parts, of which the first two may be missing.
func splitPublish(addr string) (ip, host, ctr string, err error) {
	if strings.HasPrefix(addr, "[") {
		inner, rest, ok := strings.Cut(addr[1:], "]:")
		if !ok {
			return "", "", "", fmt.Errorf("no \"]:\" behind the IPv6 address")
		}
		host, ctr, ok = strings.Cut(rest, ":")
		if !ok || strings.Contains(ctr, ":") {
			return "", "", "", fmt.Errorf("behind the address comes HOSTPORT:CONTAINERPORT, not %q", rest)
		}
		a, err := parseHostIP(inner)
		if err == nil && !a.Is6() {
			err = fmt.Errorf("%s is not an IPv6 address", inner)
		}
		return a.String(), host, ctr, err
	}
	parts := strings.Split(addr, ":")
	switch len(parts) {
	case 1:
		return "", "", parts[0], nil
	case 2:
		return "", parts[0], parts[1], nil
	case 3:
		a, err := parseHostIP(parts[0])
		return a.String(), parts[1], parts[2], err
	}
	return "", "", "", fmt.Errorf("too many colons; an IPv6 address goes in brackets")
}

func parseHostIP(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, fmt.Errorf("host address %q is not an IP address", s)
	}
	if a.Zone() != "" {
		return a, fmt.Errorf("host address %q: a zone cannot be given", s)
	}
	return a.Unmap(), nil
}

func parseRange(s string) (first, last uint16, err error) {
	a, b, dash := strings.Cut(s, "-")
	if first, err = parsePort(a); err != nil {
		return 0, 0, err
	}
	if !dash {
		return first, first, nil
	}
	if last, err = parsePort(b); err != nil {
		return 0, 0, err
	}
	if last < first {
		return 0, 0, fmt.Errorf("range %s ends before it begins", s)
	}
	return first, last, nil
}

func parsePort(s string) (uint16, error) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || s[0] == '+' {
		return 0, fmt.Errorf("%q is not a number from 0 to 65535", s)
	}
	return uint16(n), nil
}

// checkDuplicates refuses two mappings of which the second could not be bound.
func checkDuplicates(ports []attach.PortMapping) error {
	type key struct {
		port  uint16
		proto string
	}
	seen := make(map[key][]string, len(ports))
	for _, p := range ports {
		if p.HostPort == 0 {
			continue
		}
		k := key{p.HostPort, p.Protocol}
		for _, ip := range seen[k] {
			if overlap(ip, p.HostIP) {
				return hint.Add(fmt.Errorf("port %d/%s of the host is published twice", p.HostPort, p.Protocol),
					"give each mapping a host port, or a host address, of its own")
			}
		}
		seen[k] = append(seen[k], p.HostIP)
	}
	return nil
}

// overlap reports whether listening on a leaves no room to listen on b.
func overlap(a, b string) bool {
	if a == b || a == "" || b == "" {
		return true
	}
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX != nil || errY != nil || x.Is4() != y.Is4() {
		return false
	}
	return x.IsUnspecified() || y.IsUnspecified()
}
