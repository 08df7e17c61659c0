// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/network/attach"
)

// HostPort is a host's side of a published port, as inspect shows it.
type HostPort struct {
	HostIP   string `json:"HostIp"`
	HostPort string `json:"HostPort"`
}

// PortMap is NetworkSettings.Ports of inspect: "80/tcp" to where it is published.
// Exposed ports that are not published ("80/tcp" or "5000-5010/udp") get null.
func PortMap(ports []attach.PortMapping, exposed []string) map[string][]HostPort {
	m := map[string][]HostPort{}
	for number, protocols := range ExposedByNumber(exposed) {
		for _, protocol := range protocols {
			m[fmt.Sprintf("%d/%s", number, protocol)] = nil
		}
	}
	for _, p := range ports {
		key := fmt.Sprintf("%d/%s", p.ContainerPort, p.Protocol)
		m[key] = append(m[key], HostPort{shownIP(p), strconv.Itoa(int(p.HostPort))})
	}
	return m
}

// ExposedByNumber are exposed ports, "80/tcp" or "5000-5010/udp", as the protocols of each port number.
func ExposedByNumber(exposed []string) map[uint16][]string {
	m := map[uint16][]string{}
	for _, e := range exposed {
		ports, proto, err := cutProtocol(e)
		if err != nil {
			continue // an image's config may hold anything
		}
		first, last, err := parseRange(ports)
		if err != nil {
			continue
		}
		for n := int(first); n <= int(last); n++ {
			if !slices.Contains(m[uint16(n)], proto) {
				m[uint16(n)] = append(m[uint16(n)], proto)
			}
		}
	}
	return m
}

// PortLines is what the port command prints: "80/tcp -> 0.0.0.0:8080", by container port.
func PortLines(ports []attach.PortMapping) []string {
	sorted := slices.Clone(ports)
	slices.SortStableFunc(sorted, func(a, b attach.PortMapping) int {
		if a.ContainerPort != b.ContainerPort {
			return int(a.ContainerPort) - int(b.ContainerPort)
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	var lines []string
	for _, p := range sorted {
		lines = append(lines, fmt.Sprintf("%d/%s -> %s", p.ContainerPort, p.Protocol, HostAddr(p)))
	}
	return lines
}

// HostAddr is the host's side of a mapping: 0.0.0.0:8080, [::1]:8080.
func HostAddr(p attach.PortMapping) string {
	return net.JoinHostPort(shownIP(p), strconv.Itoa(int(p.HostPort)))
}

// PortColumn is the PORTS column of ps: "0.0.0.0:8080->80/tcp, 0.0.0.0:9000-9002->9000-9002/udp".
func PortColumn(ports []attach.PortMapping) string {
	var b strings.Builder
	for i := 0; i < len(ports); {
		first, n := ports[i], 1
		for i+n < len(ports) && follows(ports[i+n-1], ports[i+n]) {
			n++
		}
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString(HostAddr(first))
		if n > 1 {
			fmt.Fprintf(&b, "-%d", ports[i+n-1].HostPort)
		}
		fmt.Fprintf(&b, "->%d", first.ContainerPort)
		if n > 1 {
			fmt.Fprintf(&b, "-%d", ports[i+n-1].ContainerPort)
		}
		b.WriteString("/" + first.Protocol)
		i += n
	}
	return b.String()
}

// follows reports whether b continues a's range.
func follows(a, b attach.PortMapping) bool {
	return a.HostIP == b.HostIP && a.Protocol == b.Protocol && a.HostPort+1 == b.HostPort && a.ContainerPort+1 == b.ContainerPort
}

// shownIP is how podman and docker show "every address".
func shownIP(p attach.PortMapping) string {
	if p.HostIP == "" {
		return "0.0.0.0"
	}
	return p.HostIP
}
