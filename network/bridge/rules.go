// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/plugins/pkg/utils"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/network/attach"
)

// Container is one that is connected, for the rules.
type Container struct {
	Network *Network
	Joined  *attach.Joined
	Ports   []attach.PortMapping // to be published by rules; none where a keeper does it
}

// table is the name of the table of nftables for the containers whose state is in a directory.
func table(stateDir string) string {
	sum := sha256.Sum256([]byte(stateDir))
	return "berth-" + hex.EncodeToString(sum[:4])
}

// Firewall is a connection to the nftables of the namespace that it was opened in. Closing it takes the kernel some 10 ms, so it is left to
// the end of the process.
type Firewall struct {
	conn  *nftables.Conn
	table string
	made  bool // there is the table
}

// Open fails where the kernel has no nftables. The table is that for containers whose state is in stateDir.
func Open(stateDir string) (*Firewall, error) {
	c, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	tables, err := c.ListTablesOfFamily(nftables.TableFamilyINet)
	if err != nil {
		return nil, fmt.Errorf("list the tables of nftables: %w", err)
	}
	f := &Firewall{conn: c, table: table(stateDir)}
	f.made = slices.ContainsFunc(tables, func(t *nftables.Table) bool { return t.Name == f.table })
	return f, nil
}

// Apply makes the rules for these containers and no others: who may send to whom, whose addresses are translated, which ports lead where.
// They change as a whole. before is what Apply has returned for the rules that are there; where that is what it would return now, there is nothing to do.
func (f *Firewall) Apply(containers []Container, before string) (now string, err error) {
	now = f.state(containers)
	if f.made == (len(containers) > 0) && before == now {
		return now, nil
	}
	t := &nftables.Table{Name: f.table, Family: nftables.TableFamilyINet}
	f.conn.AddTable(t) // so that it can be removed
	f.conn.DelTable(t)
	if len(containers) > 0 {
		f.conn.AddTable(t)
		write(&rules{conn: f.conn, table: t}, containers)
	}
	if err := f.conn.Flush(); err != nil {
		return "", fmt.Errorf("write the nftables table %s: %w", f.table, err)
	}
	f.made = len(containers) > 0
	return now, nil
}

// state is what the rules follow from, line by line, and the namespace that they are in.
func (f *Firewall) state(containers []Container) string {
	var b strings.Builder
	b.WriteString(f.place())
	seen := map[string]bool{}
	for _, c := range containers {
		if !seen[c.Network.Name] {
			seen[c.Network.Name] = true
			b.WriteString(c.Network.line())
		}
		if len(c.Ports) > 0 {
			fmt.Fprintln(&b, c.Joined.Addresses, c.Ports)
		}
	}
	return b.String()
}

func (f *Firewall) place() string {
	var here unix.Stat_t
	if err := unix.Stat("/proc/thread-self/ns/net", &here); err != nil {
		return "nowhere\n"
	}
	return fmt.Sprintln(f.table, here.Dev, here.Ino)
}

func (n *Network) line() string {
	return fmt.Sprintln(n.Name, n.bridge.Bridge, n.closed, n.strict, n.inward, n.bridge.IPMasq, n.subnets())
}

// Has reports whether the rules that are there, for which Apply has returned before, have the network.
func (f *Firewall) Has(n *Network, before string) bool {
	return f.made && strings.HasPrefix(before, f.place()) && strings.Contains(before, "\n"+n.line())
}

func write(r *rules, containers []Container) {
	var networks []*Network
	for _, c := range containers {
		if !slices.ContainsFunc(networks, func(n *Network) bool { return n.Name == c.Network.Name }) {
			networks = append(networks, c.Network)
		}
	}
	filter(r, networks)
	translate(r, networks, containers)
}

// filter says who reaches whom.
func filter(r *rules, networks []*Network) {
	// What the host's own loopback may be asked for: nothing, from a bridge. Published ports need route_localnet, which would open that.
	r.chain("loopback", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw)
	for _, n := range networks {
		r.add(from(n), destination(prefix("127.0.0.0/8"), true), drop)
	}
	r.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter)
	for _, n := range networks {
		if n.inward {
			r.add(from(n), notTo(n), drop)
			r.add(notFrom(n), to(n), drop)
		}
	}
	r.add(established, accept)
	r.add(redirected, accept) // to a published port
	for _, n := range networks {
		if n.closed {
			r.add(from(n), to(n), accept)
		}
		for _, other := range networks {
			if n.strict && other != n {
				r.add(from(n), to(other), drop)
			}
		}
	}
	for _, n := range networks {
		if n.closed {
			r.add(to(n), drop)
		}
	}
}

// translate says which addresses are replaced by which.
func translate(r *rules, networks []*Network, containers []Container) {
	published := slices.ContainsFunc(containers, func(c Container) bool { return len(c.Ports) > 0 })
	if published {
		r.plainChain("ports")
		for _, c := range containers {
			for _, p := range c.Ports {
				for _, to := range targets(c.Joined, p) {
					r.add(family(to.Addr()), hostAddress(p.HostIP), port(p.Protocol, p.HostPort), redirect(to))
				}
			}
		}
		r.chain("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
		r.add(toThisHost, jump("ports"))
		r.chain("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityRef(-100))
		r.add(destination(prefix("::1/128"), true), verdictReturn) // cannot leave the loopback interface
		r.add(toThisHost, jump("ports"))
	}
	r.chain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource)
	for _, n := range networks {
		if published {
			r.add(to(n), source(prefix("127.0.0.0/8")), redirected, masquerade)
		}
		for _, s := range n.subnets() {
			own, multicast := fromIPNet(s), prefix("224.0.0.0/4")
			if own.Addr().Is6() {
				multicast = prefix("ff00::/8")
			}
			if published {
				r.add(source(own), destination(own, true), redirected, masquerade) // by a port of the host to one of its own network
			}
			if n.bridge.IPMasq {
				r.add(source(own), destination(own, false), destination(multicast, false), masquerade)
			}
		}
	}
}

// targets are the addresses of a container that a port leads to: one of each family, or that of the host's address.
func targets(j *attach.Joined, p attach.PortMapping) []netip.AddrPort {
	host, _ := netip.ParseAddr(p.HostIP)
	var all []netip.AddrPort
	for _, a := range j.Addresses {
		ip, err := netip.ParseAddr(a.IP)
		if err != nil || host.IsValid() && host.Is4() != ip.Is4() || slices.ContainsFunc(all, func(o netip.AddrPort) bool { return o.Addr().Is4() == ip.Is4() }) {
			continue
		}
		all = append(all, netip.AddrPortFrom(ip, p.ContainerPort))
	}
	return all
}

// Publish prepares the host for published ports, after Add; also of a container that ended without word: its clients of UDP would be
// sent to where it was.
func (n *Network) Publish(ports []attach.PortMapping) error {
	if len(ports) == 0 {
		return nil
	}
	if err := setSysctl("/proc/sys/net/ipv4/conf/"+n.bridge.Bridge+"/route_localnet", "1"); err != nil {
		return fmt.Errorf("open bridge %s to the host's own connections: %w", n.bridge.Bridge, err)
	}
	for _, p := range ports {
		if p.Protocol != "udp" {
			continue
		}
		for _, f := range []netlink.InetFamily{unix.AF_INET, unix.AF_INET6} {
			if err := utils.DeleteConntrackEntriesForDstPort(p.HostPort, unix.IPPROTO_UDP, f); err != nil {
				return fmt.Errorf("forget connections to port %d: %w", p.HostPort, err)
			}
		}
	}
	return nil
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func fromIPNet(n *net.IPNet) netip.Prefix {
	ip, _ := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	if bits == 32 {
		ip = ip.Unmap()
	}
	return netip.PrefixFrom(ip, ones).Masked()
}
