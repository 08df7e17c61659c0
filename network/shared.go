// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/conflist"
)

// DefaultNetwork is the network that `--network bridge` means.
const DefaultNetwork = "podman"

// defaultList is the default network where nobody has made one of that name: podman's.
const defaultList = `{"cniVersion":"1.0.0","name":"podman","args":{"berth":{}},"plugins":[` +
	`{"type":"bridge","bridge":"cni-podman0","isGateway":true,"ipMasq":true,"hairpinMode":true,` +
	`"ipam":{"type":"host-local","routes":[{"dst":"0.0.0.0/0"}],"ranges":[[{"subnet":"10.88.0.0/16","gateway":"10.88.0.1"}]]},"capabilities":{"ips":true}},` +
	`{"type":"portmap","capabilities":{"portMappings":true}},{"type":"firewall"},{"type":"tuning","capabilities":{"mac":true}}]}`

// DNSDomain is what names of containers may end with, and a search domain of theirs.
const DNSDomain = "dns.podman"

// Shared is a network that containers share, as the user asked for it.
type Shared struct {
	Name      string   // of the network; empty is the default one
	IPs       []string // static addresses
	MAC       string
	Aliases   []string // names of the container in this network, besides its own
	Interface string   // its name in the container; empty is ethN
}

// parseShared reads NAME[:ip=IP,ip6=IP,mac=MAC,alias=NAME,interface_name=NAME].
func parseShared(name, options string) (Shared, error) {
	s := Shared{Name: name}
	if options == "" {
		return s, nil
	}
	for o := range strings.SplitSeq(options, ",") {
		key, value, _ := strings.Cut(o, "=")
		var err error
		switch key {
		case "ip", "ip6":
			err = s.addIP(value, key == "ip6")
		case "mac":
			err = s.setMAC(value)
		case "alias":
			if err = checkHostname(value); err == nil {
				s.Aliases = append(s.Aliases, value)
			}
		case "interface_name":
			if value == "" || len(value) > 15 || strings.ContainsAny(value, "/ :") || value == "." || value == ".." || value == "lo" {
				err = fmt.Errorf("%q is not an interface's name", value)
			}
			s.Interface = value
		default:
			return s, hint.Add(fmt.Errorf("network %q: unknown option %q", name, o), "options of a network are ip=, ip6=, mac=, alias= and interface_name=")
		}
		if err != nil {
			return s, fmt.Errorf("network %q: option %s: %w", name, o, err)
		}
	}
	return s, nil
}

// NewShared is a network with what is asked for of a container in it.
func NewShared(name string, ips, ip6s []string, mac string, aliases []string) (Shared, error) {
	s := Shared{Name: name}
	for _, ip := range ips {
		if err := s.addIP(ip, false); err != nil {
			return s, field.In("ip", err)
		}
	}
	for _, ip := range ip6s {
		if err := s.addIP(ip, true); err != nil {
			return s, field.In("ip6", err)
		}
	}
	if mac != "" {
		if err := s.setMAC(mac); err != nil {
			return s, field.In("mac-address", err)
		}
	}
	for _, a := range aliases {
		if err := checkHostname(a); err != nil {
			return s, field.In("alias", err)
		}
	}
	s.Aliases = aliases
	return s, nil
}

// String is what ParseMode reads.
func (s Shared) String() string {
	var options []string
	for _, ip := range s.IPs {
		options = append(options, "ip="+ip)
	}
	if s.MAC != "" {
		options = append(options, "mac="+s.MAC)
	}
	for _, a := range s.Aliases {
		options = append(options, "alias="+a)
	}
	if s.Interface != "" {
		options = append(options, "interface_name="+s.Interface)
	}
	name := s.Name
	if name == "" {
		name = string(Bridge)
	}
	if len(options) == 0 {
		return name
	}
	return name + ":" + strings.Join(options, ",")
}

func (s *Shared) addIP(value string, six bool) error {
	a, err := netip.ParseAddr(value)
	if err != nil || a.Zone() != "" {
		return fmt.Errorf("%q is not an IP address", value)
	}
	if six && !a.Is6() {
		return fmt.Errorf("%q is not an IPv6 address", value)
	}
	s.IPs = append(s.IPs, a.String())
	return nil
}

func (s *Shared) setMAC(value string) error {
	mac, err := net.ParseMAC(value)
	if err != nil || len(mac) != 6 {
		return fmt.Errorf("%q is not a MAC address", value)
	}
	s.MAC = mac.String()
	return nil
}

// checkHostname refuses what cannot be a name in DNS.
func checkHostname(name string) error {
	ok := name != "" && len(name) <= 253
	for label := range strings.SplitSeq(name, ".") {
		ok = ok && label != "" && len(label) <= 63
		for _, c := range label {
			ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
		}
	}
	if !ok {
		return fmt.Errorf("%q is not a name for a container", name)
	}
	return nil
}

// SetEach applies --ip, --ip6, --mac-address and --network-alias, which are said of the whole container: the first three of
// its only network.
func (m *Mode) SetEach(ips []string, mac string, aliases []string) error {
	if len(ips) == 0 && mac == "" && len(aliases) == 0 {
		return nil
	}
	var name field.Name
	switch {
	case len(aliases) > 0:
		name = "network-alias"
	case mac != "":
		name = "mac-address"
	default:
		name = "ip"
	}
	if m.Kind != Bridge {
		return hint.Add(field.Errorf("%s: networks %s have none of their own: invalid argument", name, m), "connect the container to a network that containers share: %s NAME", field.Name("network"))
	}
	if len(m.Networks) > 1 && (len(ips) > 0 || mac != "") {
		return hint.Add(field.Errorf("%s may be given for one network only", name), "write %s NAME:ip=IP,mac=MAC for each", field.Name("network"))
	}
	first := &m.Networks[0]
	for _, ip := range ips {
		if err := first.addIP(ip, false); err != nil {
			return err
		}
	}
	if mac != "" {
		if err := first.setMAC(mac); err != nil {
			return field.In("mac-address", err)
		}
	}
	for _, a := range aliases {
		if err := checkHostname(a); err != nil {
			return field.In("network-alias", err)
		}
		for i := range m.Networks {
			m.Networks[i].Aliases = append(m.Networks[i].Aliases, a)
		}
	}
	return nil
}

// FindShared reads a network's configuration. A network that nobody has made is an error that wraps conflist.ErrNotFound.
func FindShared(dir, name string) (*conflist.List, error) {
	if name == "" || name == "bridge" {
		name = DefaultNetwork
	}
	l, err := conflist.Find(dir, name)
	if errors.Is(err, conflist.ErrNotFound) && (name == DefaultNetwork || strings.HasPrefix(conflist.ID(DefaultNetwork), name)) {
		return conflist.Parse([]byte(defaultList))
	}
	return l, err
}

// NoShared adds to FindShared's error what would help: podman may have a network of the name, in netavarkDir.
func NoShared(err error, netavarkDir, name string) error {
	if conflist.CheckName(name) == nil {
		if _, missing := os.Stat(filepath.Join(netavarkDir, name+".json")); missing == nil {
			return hint.Add(err, "podman has one, take it over: %s", hint.To(hint.ImportNetwork, name))
		}
	}
	return hint.Add(err, "make it: %s", hint.To(hint.CreateNetwork, name))
}

// sharedConf is what of a network's configuration a plan needs.
type sharedConf struct {
	Args struct {
		Berth struct {
			DNS        bool     `json:"dns"`
			DNSServers []string `json:"dnsServers"`
		} `json:"berth"`
	} `json:"args"`
	Plugins []struct {
		Type string `json:"type"`
		IPAM struct {
			Subnet  string     `json:"subnet"`
			Gateway string     `json:"gateway"`
			Ranges  [][]subnet `json:"ranges"`
		} `json:"ipam"`
	} `json:"plugins"`
}

type subnet struct {
	Subnet  string `json:"subnet"`
	Gateway string `json:"gateway"`
}

// gateways are the addresses of the bridge on which names are answered.
func (c *sharedConf) gateways() []string {
	var all []string
	add := func(s subnet) {
		if s.Gateway == "" {
			if p, err := netip.ParsePrefix(s.Subnet); err == nil {
				s.Gateway = p.Masked().Addr().Next().String() // host-local's default
			}
		}
		if s.Gateway != "" {
			all = append(all, s.Gateway)
		}
	}
	for _, p := range c.Plugins {
		if p.IPAM.Subnet != "" {
			add(subnet{p.IPAM.Subnet, p.IPAM.Gateway})
		}
		for _, set := range p.IPAM.Ranges {
			if len(set) > 0 {
				add(set[0])
			}
		}
	}
	return all
}

// check refuses addresses that no subnet of the network has, where it has subnets.
func (c *sharedConf) check(name string, ips []string) error {
	var subnets []netip.Prefix
	for _, p := range c.Plugins {
		all := []subnet{{Subnet: p.IPAM.Subnet}}
		for _, set := range p.IPAM.Ranges {
			all = append(all, set...)
		}
		for _, s := range all {
			if prefix, err := netip.ParsePrefix(s.Subnet); err == nil {
				subnets = append(subnets, prefix)
			}
		}
	}
	for _, ip := range ips {
		a, err := netip.ParseAddr(ip)
		if err != nil {
			return err
		}
		if len(subnets) > 0 && !slices.ContainsFunc(subnets, func(p netip.Prefix) bool { return p.Contains(a) }) {
			return fmt.Errorf("requested static ip %s not in any subnet on network %s", ip, name)
		}
	}
	return nil
}

// planShared connects a container to networks that containers share.
func planShared(ctx context.Context, o Options) (r Result, err error) {
	if o.Rootless {
		if err := checkSCTP(o.Ports); err != nil {
			return r, err
		}
	}
	r.Network = attach.Network{Mode: string(Bridge), NetNS: "new", Ports: slices.Clone(o.Ports)}
	if o.UserNS {
		r.Network.NetNS = "runtime"
	}
	held, err := holdPorts(r.Network.Ports)
	defer held.release()
	if err != nil {
		return r, err
	}
	resolv, _, err := hostResolvConf("/etc/resolv.conf", systemdResolv, true)
	if err != nil {
		return r, err
	}
	var outside *attach.Helper
	if o.Rootless {
		if outside, resolv, err = planOutside(ctx, o); err != nil {
			return r, err
		}
	}
	var servers []string
	dns := false
	for i, n := range o.Mode.Networks {
		l, err := FindShared(o.NetworksDir, n.Name)
		if err != nil {
			return r, NoShared(err, o.NetavarkDir, n.Name)
		}
		if slices.ContainsFunc(r.Network.Attachments, func(a attach.Attachment) bool { return a.Network == l.Name }) {
			return r, field.Errorf("%s %s was given twice", field.Name("network"), l.Name)
		}
		var conf sharedConf
		if err := json.Unmarshal(l.Bytes, &conf); err != nil {
			return r, fmt.Errorf("read network %s: %w", l.Name, err)
		}
		if err := conf.check(l.Name, n.IPs); err != nil {
			return r, err
		}
		c := &attach.CNI{
			Program: o.NetProgram, List: l.Bytes, PluginDirs: o.PluginDirs, StateDir: o.NetworkState, Container: o.ID,
			Interface: n.Interface, IPs: n.IPs, MAC: n.MAC, Upstream: resolv.servers, Outside: outside, OutsideNS: o.OutsideNS,
		}
		if c.Interface == "" {
			c.Interface = "eth" + strconv.Itoa(i)
		}
		if i == 0 {
			c.Ports = r.Network.Ports
		}
		if conf.Args.Berth.DNS {
			dns = true
			c.DNS, c.Names = true, sharedNames(o, n)
			servers = append(servers, conf.gateways()...)
			if len(conf.Args.Berth.DNSServers) > 0 {
				c.Upstream = conf.Args.Berth.DNSServers
			}
		}
		r.Network.Attachments = append(r.Network.Attachments, attach.Attachment{Network: l.Name, CNI: c})
	}
	if dns {
		resolv.servers = servers
		resolv.search = append([]string{DNSDomain}, resolv.search...)
	}
	for _, n := range []string{o.Hostname, o.Name} {
		if n != "" && !slices.Contains(r.Network.HostNames, n) {
			r.Network.HostNames = append(r.Network.HostNames, n)
		}
	}
	o.Hostname, o.Name = "", "" // with their addresses, which nobody knows yet: the monitor adds them
	return r, r.files(o, link{hostAt: lookAtHost().ip}, resolv)
}

// sharedNames are the container's names in a network: its name, the first digits of its ID, and aliases.
func sharedNames(o Options, n Shared) []string {
	var names []string
	for _, name := range append([]string{o.Name, o.ID[:min(12, len(o.ID))], o.Hostname}, n.Aliases...) {
		if checkHostname(name) == nil && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// planOutside plans the helper that connects the namespace of a user's bridges, and says which name servers it reaches.
func planOutside(ctx context.Context, o Options) (*attach.Helper, resolvConf, error) {
	o.Mode, o.Ports, o.NetNSElsewhere = Mode{Kind: Private}, nil, o.OutsideElsewhere
	host := lookAtHost()
	resolv, forward, err := hostResolvConf("/etc/resolv.conf", systemdResolv, true)
	if err != nil {
		return nil, resolv, err
	}
	prog, kind, err := chooseHelper(ctx, o, host)
	if err != nil {
		return nil, resolv, err
	}
	if err := CheckTun(); err != nil {
		return nil, resolv, err
	}
	helper, l, err := helperFor(prog, kind, o, host, nil, forward)
	if err != nil {
		return nil, resolv, err
	}
	if l.dnsForward {
		resolv.servers = l.dns
	}
	return helper, resolv, nil
}
