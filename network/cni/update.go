// SPDX-License-Identifier: Apache-2.0

package cni

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/conflist"
)

// Update changes the name servers of a network, which know the names that are not containers', and returns those that it has then. What else its file says
// stays as it is.
func Update(dir, nameOrID string, add, drop []string) (l *conflist.List, servers []string, err error) {
	for _, given := range []struct {
		what string
		ips  []string
	}{{"AddDNSServer", add}, {"RemoveDNSServer", drop}} {
		for _, ip := range given.ips {
			if net.ParseIP(ip) == nil {
				return nil, nil, fmt.Errorf("unable to parse ip %s specified in %s: invalid argument", ip, given.what)
			}
		}
	}
	unlock, err := lock(dir)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	if l, err = network.FindShared(dir, nameOrID); err != nil {
		return nil, nil, err
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(l.Bytes, &top); err != nil {
		return nil, nil, err
	}
	parts := map[string]json.RawMessage{}
	ours := map[string]json.RawMessage{}
	if len(top["args"]) > 0 {
		if err := json.Unmarshal(top["args"], &parts); err != nil {
			return nil, nil, fmt.Errorf("read network %s: %w", l.Name, err)
		}
	}
	if len(parts["berth"]) > 0 {
		if err := json.Unmarshal(parts["berth"], &ours); err != nil {
			return nil, nil, fmt.Errorf("read network %s: %w", l.Name, err)
		}
	}
	if string(ours["dns"]) != "true" || l.Path == "" {
		return nil, nil, hint.Add(fmt.Errorf("network %s does not answer for names, so it has no name servers", l.Name), "change its file: %s", or(l.Path, "it has none"))
	}
	if raw := ours["dnsServers"]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &servers); err != nil {
			return nil, nil, fmt.Errorf("read network %s: %w", l.Name, err)
		}
	}
	before := slices.Clone(servers)
	servers = slices.DeleteFunc(servers, func(s string) bool { return slices.Contains(drop, s) })
	for _, s := range add {
		if !slices.Contains(servers, s) {
			servers = append(servers, s)
		}
	}
	if slices.Equal(before, servers) {
		return l, servers, nil
	}
	if ours["dnsServers"], err = json.Marshal(servers); err != nil {
		return nil, nil, err
	}
	if parts["berth"], err = json.Marshal(ours); err != nil {
		return nil, nil, err
	}
	if top["args"], err = json.Marshal(parts); err != nil {
		return nil, nil, err
	}
	data, err := json.MarshalIndent(top, "", "   ")
	if err != nil {
		return nil, nil, err
	}
	return l, servers, atomicfile.Write(l.Path, append(data, '\n'), 0o644, true)
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
