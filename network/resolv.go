// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/etcfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// resolvConf is a parsed resolv.conf(5).
type resolvConf struct {
	servers []string
	search  []string
	options []string
}

func parseResolvConf(text string) resolvConf {
	var r resolvConf
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			r.servers = append(r.servers, f[1])
		case "search", "domain": // the last one wins
			r.search = f[1:]
		case "options":
			r.options = append(r.options, f[1:]...)
		}
	}
	return r
}

func (r resolvConf) text() string {
	var b strings.Builder
	if len(r.search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(r.search, " "))
	}
	for _, s := range r.servers {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}
	if len(r.options) > 0 {
		fmt.Fprintf(&b, "options %s\n", strings.Join(r.options, " "))
	}
	return b.String()
}

// splitLoopback takes out the servers that a container with a namespace of its own cannot reach:
// loopback addresses and link-local ones with the host's zone.
func splitLoopback(servers []string) (usable []string, loopback bool) {
	for _, s := range servers {
		a, err := netip.ParseAddr(s)
		switch {
		case err != nil || a.Zone() != "":
		case a.IsLoopback():
			loopback = true
		default:
			usable = append(usable, s)
		}
	}
	return usable, loopback
}

// systemdResolv lists the servers behind systemd-resolved's own address, 127.0.0.53
// (systemd-resolved.service(8), "/ETC/RESOLV.CONF").
const systemdResolv = "/run/systemd/resolve/resolv.conf"

// hostResolvConf reads the host's resolv.conf. With own set, for a container that has a namespace
// of its own, servers on the host's loopback are left out; forward is then true if
// no other was left, so that only the helper can reach one.
func hostResolvConf(path, systemdPath string, own bool) (r resolvConf, forward bool, err error) {
	data, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return r, false, fmt.Errorf("make /etc/resolv.conf: %w", err)
	}
	r = parseResolvConf(string(data))
	if !own {
		return r, false, nil
	}
	systemd := len(r.servers) > 0 && !slices.ContainsFunc(r.servers, func(s string) bool { return s != "127.0.0.53" && s != "127.0.0.54" })
	var loopback bool
	r.servers, loopback = splitLoopback(r.servers)
	if systemd {
		if data, err := os.ReadFile(systemdPath); err == nil {
			r.servers, _ = splitLoopback(parseResolvConf(string(data)).servers)
			r.options = slices.DeleteFunc(r.options, func(o string) bool { return o == "edns0" || o == "trust-ad" }) // they speak of the stub
		}
	}
	return r, loopback && len(r.servers) == 0, nil
}

// CheckDNS checks the values of dns, dns-search and dns-option.
func CheckDNS(servers, search, options []string) error {
	for _, s := range servers {
		if s == "none" {
			if len(servers)+len(search)+len(options) > 1 {
				return hint.Add(field.Errorf("%s none stands alone: it leaves the image's /etc/resolv.conf as it is", field.Name("dns")), "leave out the other %s options", field.Name("dns"))
			}
			continue
		}
		if _, err := netip.ParseAddr(s); err != nil {
			return field.Errorf("%s %q is not an IP address", field.Name("dns"), s)
		}
	}
	for name, values := range map[field.Name][]string{"dns-search": search, "dns-option": options} {
		for _, v := range values {
			if err := etcfile.Word("value", v); err != nil {
				return field.Errorf("%s: %w", name, err)
			}
		}
	}
	if len(search) > 1 && slices.Contains(search, ".") {
		return field.Errorf("%s . (no search domains) stands alone", field.Name("dns-search"))
	}
	return nil
}
