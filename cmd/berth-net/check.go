// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/thread"
	"github.com/berth-containers/berth/network/attach"
)

// probe is a network namespace that is connected as a container would be, to try what one would find.
type probe struct {
	*session
	ns       int // its descriptor
	findings []attach.Finding
	internal bool
}

// probeTimeout bounds each try.
const probeTimeout = 2 * time.Second

// check connects a namespace to the network, tries what a container would find in it, and disconnects it. The answer is a list of attach.Finding.
func check() error {
	s, err := newSession()
	if err != nil {
		return err
	}
	p := &probe{session: s}
	if err := p.makeNetNS(); err != nil {
		return err
	}
	var list struct {
		Args struct{ Berth struct{ Internal bool } }
	}
	if err := json.Unmarshal(s.req.CNI.List, &list); err != nil {
		return err
	}
	p.internal = list.Args.Berth.Internal
	ctx, cancel := context.WithTimeout(context.Background(), pluginTimeout)
	defer cancel()
	err = s.enlist()
	if err == nil {
		err = s.connect(ctx)
		if err == nil {
			p.found("connect", nil, "a container gets "+p.addresses(), "")
			p.try()
		}
		if failed := s.remove(context.WithoutCancel(ctx), nil); failed != nil {
			p.found("disconnect", failed, "", "find what is left with: system check")
		}
	}
	if err != nil {
		p.found("connect", err, "", "correct its configuration, or make the network anew")
	}
	if err := json.NewEncoder(os.Stdout).Encode(p.findings); err != nil {
		return err
	}
	return os.Stdout.Close()
}

func (p *probe) makeNetNS() error {
	err := thread.Own(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		p.ns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return fmt.Errorf("make a network namespace: %w", err)
	}
	p.req.NetNS = fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), p.ns)
	p.member.NetNS = p.req.NetNS
	return nil
}

// within calls do in the probe's namespace.
func (p *probe) within(do func() error) error {
	return thread.Own(func() error {
		if err := unix.Setns(p.ns, unix.CLONE_NEWNET); err != nil {
			return err
		}
		return do()
	})
}

// found notes what was tried: text where it was as it should be, or what to do.
func (p *probe) found(check string, err error, text, do string) {
	f := attach.Finding{Check: check, OK: err == nil, Text: text}
	if err != nil {
		f.Text, f.Do = strings.Join(strings.Fields(err.Error()), " "), do
	}
	p.findings = append(p.findings, f)
}

func (p *probe) addresses() string {
	var all []string
	for _, a := range p.member.Joined.Addresses {
		all = append(all, a.IP)
	}
	return strings.Join(all, " and ")
}

func (p *probe) try() {
	p.tryGateways()
	p.tryForwarding()
	p.tryMTU()
	p.tryOutside()
	p.tryDNS()
	p.tryPorts()
}

func (p *probe) tryGateways() {
	for _, a := range p.member.Joined.Addresses {
		if a.Gateway == "" {
			continue
		}
		err := p.within(func() error { return reach(net.JoinHostPort(a.Gateway, "9")) })
		p.found("gateway", err, a.Gateway+" answers", "have bridges, rules and addresses made anew: network reload")
	}
}

// reach reports whether somebody answers at an address, if only that nobody listens.
func reach(addr string) error {
	c, err := net.DialTimeout("tcp", addr, probeTimeout)
	switch {
	case err == nil:
		return c.Close()
	case errors.Is(err, unix.ECONNREFUSED):
		return nil
	}
	return err
}

func (p *probe) tryForwarding() {
	if p.internal {
		return
	}
	for _, a := range p.member.Joined.Addresses {
		key := "net.ipv4.ip_forward"
		if strings.Contains(a.IP, ":") {
			key = "net.ipv6.conf.all.forwarding"
		}
		err := p.inside(func() error {
			value, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(key, ".", "/"))
			if err == nil && strings.TrimSpace(string(value)) == "0" {
				err = errors.New(key + " is 0: the kernel forwards nothing")
			}
			return err
		})
		p.found("forwarding", err, key+" is on", "sudo sysctl "+key+"=1")
	}
}

// tryMTU compares the size of packets with that of the way out.
func (p *probe) tryMTU() {
	var own, out int
	var way string
	err := p.within(func() error {
		l, err := netlink.LinkByName(p.req.CNI.Interface)
		if err == nil {
			own = l.Attrs().MTU
		}
		return err
	})
	if err == nil {
		err = p.inside(func() error {
			routes, err := netlink.RouteList(nil, netlink.FAMILY_ALL)
			for _, r := range routes {
				if ones := 0; r.Dst != nil {
					if ones, _ = r.Dst.Mask.Size(); ones != 0 {
						continue
					}
				}
				if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil && (out == 0 || l.Attrs().MTU < out) {
					out, way = l.Attrs().MTU, l.Attrs().Name
				}
			}
			return err
		})
	}
	text := fmt.Sprintf("packets of %d bytes", own)
	if err == nil && out > 0 && own > out && !p.internal {
		err = fmt.Errorf("packets of %d bytes do not fit through %s, which has %d", own, way, out)
	}
	p.found("mtu", err, text, "make the network with option mtu="+strconv.Itoa(out))
}

func (p *probe) tryOutside() {
	if p.internal {
		p.found("outside", nil, "nothing, for the network is internal", "")
		return
	}
	var err error
	for _, server := range p.req.CNI.Upstream {
		addr := net.JoinHostPort(server, "53")
		if err = p.within(func() error { return reach(addr) }); err == nil {
			p.found("outside", nil, "name server "+server+" answers", "")
			return
		}
		do := "have the rules made anew: network reload; look whether another firewall drops what is forwarded"
		if p.inside(func() error { return reach(addr) }) != nil {
			do = "the host does not reach it, either: look at its network and its /etc/resolv.conf"
		}
		p.found("outside", fmt.Errorf("name server %s: %w", server, err), "", do)
	}
}

// tryDNS asks for the probe's own name, as its neighbours would.
func (p *probe) tryDNS() {
	if !p.req.CNI.DNS || len(p.req.CNI.Names) == 0 {
		p.found("dns", nil, "none: the network has no names", "")
		return
	}
	name := p.req.CNI.Names[0]
	for _, a := range p.member.Joined.Addresses {
		kind := dns.TypeA
		if strings.Contains(a.IP, ":") {
			kind = dns.TypeAAAA
		}
		err := p.within(func() error {
			q := new(dns.Msg).SetQuestion(dns.Fqdn(name), kind)
			conn, err := dns.DialTimeout("udp", net.JoinHostPort(a.Gateway, "53"), probeTimeout)
			if err != nil {
				return err
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(probeTimeout))
			if err := conn.WriteMsg(q); err != nil {
				return err
			}
			answer, err := conn.ReadMsg()
			if err != nil {
				return err
			}
			want, _ := netip.ParseAddr(a.IP)
			for _, rr := range answer.Answer {
				var got netip.Addr
				switch rr := rr.(type) {
				case *dns.A:
					got, _ = netip.AddrFromSlice(rr.A)
				case *dns.AAAA:
					got, _ = netip.AddrFromSlice(rr.AAAA)
				}
				if got.Unmap() == want {
					return nil
				}
			}
			return fmt.Errorf("it does not know a container that is connected (%s)", dns.RcodeToString[answer.Rcode])
		})
		p.found("dns", err, a.Gateway+" answers for names", "have the keeper of networks started anew: network reload; look whether a firewall drops port 53")
	}
}

// tryPorts connects to a published port of the probe, from the host.
func (p *probe) tryPorts() {
	for _, port := range p.req.CNI.Ports {
		var l net.Listener
		err := p.within(func() (err error) {
			l, err = net.Listen("tcp", ":"+strconv.Itoa(int(port.ContainerPort)))
			return err
		})
		if err == nil {
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					c.Write([]byte("ok"))
					c.Close()
				}
			}()
			err = hello(net.JoinHostPort(port.HostIP, strconv.Itoa(int(port.HostPort))))
			l.Close()
		}
		p.found("ports", err, "a published port leads to the container", "have the rules made anew: network reload; look whether another firewall drops what is forwarded")
	}
}

// hello reads the probe's word.
func hello(addr string) error {
	c, err := net.DialTimeout("tcp", addr, probeTimeout)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(probeTimeout))
	word := make([]byte, 2)
	if n, err := c.Read(word); n == 0 {
		return fmt.Errorf("no answer through the published port: %w", err)
	}
	return nil
}
