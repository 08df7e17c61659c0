// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/etcfile"
	"github.com/berth-containers/berth/internal/hint"
)

// hostsEntry is one line of /etc/hosts.
type hostsEntry struct {
	ip    string
	names []string
}

// hostsFile is what goes into /etc/hosts.
type hostsFile struct {
	base     string // text of the file to start from
	hostNet  bool   // base is true as it stands: the container shares the host's namespace
	add      []hostsEntry
	names    []string // the container's own: hostname, name
	ips      []string // its addresses; 127.0.0.1 where the plan knows none
	hostAt   netip.Addr
	internal []string // names of the host: host.containers.internal, host.docker.internal
}

// text writes the file. What the user added comes first, and the first line with a name
// wins in every resolver; a base line keeps only the names that no other line has.
func (h hostsFile) text() string {
	entries := slices.Clone(h.add)
	entries = append(entries,
		hostsEntry{"127.0.0.1", []string{"localhost"}},
		hostsEntry{"::1", []string{"localhost", "ip6-localhost", "ip6-loopback"}})
	if h.hostAt.IsValid() {
		entries = append(entries, hostsEntry{h.hostAt.String(), h.internal})
	}
	for _, ip := range h.ips {
		entries = append(entries, hostsEntry{ip, h.names})
	}
	// A user's --add-host takes a name away from the lines below it.
	added := map[string]bool{}
	for _, e := range h.add {
		for _, n := range e.names {
			added[n] = true
		}
	}
	taken := map[string]bool{}
	var b strings.Builder
	for i, e := range entries {
		names := e.names
		if i >= len(h.add) {
			names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return added[n] || etcfile.Word("", n) != nil })
		}
		if len(names) == 0 {
			continue
		}
		fmt.Fprintf(&b, "%s\t%s\n", e.ip, strings.Join(names, " "))
		for _, n := range names {
			taken[n] = true
		}
	}
	for _, e := range parseHosts(h.base) {
		ip, err := netip.ParseAddr(e.ip)
		if err != nil || ip.IsLoopback() && !h.hostNet {
			continue // the host's loopback is not the container's
		}
		names := slices.DeleteFunc(e.names, func(n string) bool { return taken[n] || etcfile.Word("", n) != nil })
		if len(names) > 0 {
			fmt.Fprintf(&b, "%s\t%s\n", e.ip, strings.Join(names, " "))
		}
	}
	return b.String()
}

func parseHosts(text string) []hostsEntry {
	var entries []hostsEntry
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if f := strings.Fields(line); len(f) > 1 {
			entries = append(entries, hostsEntry{f[0], f[1:]})
		}
	}
	return entries
}

// ParseAddHosts checks the values of --add-host, NAME[;NAME…]:IP, where IP may be host-gateway,
// without looking at the host.
func ParseAddHosts(values []string) error {
	_, err := parseAddHosts(values, netip.Addr{}, true)
	return err
}

func parseAddHosts(values []string, hostAt netip.Addr, syntaxOnly bool) ([]hostsEntry, error) {
	const help = "write NAME:IP, for example db:192.0.2.7, or NAME:host-gateway for this host"
	var entries []hostsEntry
	for _, v := range values {
		names, ip, ok := strings.Cut(v, ":")
		if n, i, equals := strings.Cut(v, "="); equals && !strings.Contains(n, ":") {
			names, ip, ok = n, i, true // docker's newer form
		}
		if !ok || names == "" {
			return nil, hint.Add(fmt.Errorf("add host %q: not NAME:IP", v), help)
		}
		e := hostsEntry{names: strings.Split(names, ";")}
		if slices.Contains(e.names, "") {
			return nil, hint.Add(fmt.Errorf("add host %q: empty name", v), help)
		}
		for _, n := range e.names {
			if err := etcfile.Word("host name", n); err != nil {
				return nil, hint.Add(fmt.Errorf("add host %q: %w", v, err), help)
			}
		}
		switch {
		case ip == "host-gateway" && syntaxOnly:
		case ip == "host-gateway" && !hostAt.IsValid():
			return nil, hint.Add(fmt.Errorf("add host %q: the container has no way to this host", v), "give an IP address instead of host-gateway")
		case ip == "host-gateway":
			e.ip = hostAt.String()
		default:
			a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(ip, "["), "]"))
			if err != nil || a.Zone() != "" {
				return nil, hint.Add(fmt.Errorf("add host %q: %q is not an IP address", v, ip), help)
			}
			e.ip = a.String()
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// readBaseHosts reads the file that the container's /etc/hosts starts from: containers.conf's
// base_hosts_file, where empty is the host's, none is nothing, and image the image's own text.
func readBaseHosts(path, image string) (string, error) {
	switch path {
	case "none":
		return "", nil
	case "image":
		return image, nil
	case "":
		data, err := os.ReadFile("/etc/hosts")
		if err != nil && !os.IsNotExist(err) {
			return "", fmt.Errorf("make /etc/hosts: %w", err)
		}
		return string(data), nil
	}
	data, err := readBounded(path)
	if err != nil {
		return "", hint.Add(fmt.Errorf("make /etc/hosts from base_hosts_file: %w", err), "correct base_hosts_file in containers.conf")
	}
	return string(data), nil
}

// maxHosts is what a file of hosts may have at most, as one of an image.
const maxHosts = 16 << 20

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxHosts+1))
	if err == nil && len(data) > maxHosts {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxHosts)
	}
	return data, err
}
