// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	network "github.com/berth-containers/berth/network"
)

// ttl is how long an answer may be kept, in seconds: containers come and go.
const ttl = 5

// resolver answers for the names of containers, on the gateway of each network that has names. A server stays as long as its network has
// a member; what it answers from is one snapshot, replaced as a whole.
type resolver struct {
	view    atomic.Pointer[view]
	servers map[netip.Addr][]*dns.Server
	within  func(func() error) error // runs a function where the bridges are
}

// view is who can be found by whom. It is not changed after it is made.
type view struct {
	names    map[string]map[string][]netip.Addr // network, name in lower case
	reverse  map[netip.Addr][]string
	networks map[netip.Addr][]string // those of a container's address
	upstream map[string][]string     // by network
	at       map[netip.Addr]string   // a gateway's network
}

func newResolver(within func(func() error) error) *resolver {
	r := &resolver{within: within, servers: map[netip.Addr][]*dns.Server{}}
	r.view.Store(new(view))
	return r
}

// set makes the snapshot anew, and listens on the gateways that are in it.
func (r *resolver) set(members []*Member) error {
	v := &view{names: map[string]map[string][]netip.Addr{}, reverse: map[netip.Addr][]string{}, networks: map[netip.Addr][]string{},
		upstream: map[string][]string{}, at: map[netip.Addr]string{}}
	of := map[string][]string{} // a container's networks
	for _, m := range members {
		if m.CNI.DNS && m.Joined != nil {
			of[m.CNI.Container] = append(of[m.CNI.Container], m.Network)
		}
	}
	for _, m := range members {
		if !m.CNI.DNS || m.Joined == nil {
			continue
		}
		names := v.names[m.Network]
		if names == nil {
			names = map[string][]netip.Addr{}
			v.names[m.Network] = names
		}
		v.upstream[m.Network] = m.CNI.Upstream
		for _, a := range m.Joined.Addresses {
			ip, err := netip.ParseAddr(a.IP)
			if err != nil {
				continue
			}
			v.networks[ip] = of[m.CNI.Container]
			v.reverse[ip] = m.CNI.Names
			for _, name := range m.CNI.Names {
				name = strings.ToLower(name)
				names[name] = append(names[name], ip)
			}
			if gw, err := netip.ParseAddr(a.Gateway); err == nil {
				v.at[gw] = m.Network
			}
		}
	}
	r.view.Store(v)
	var failed []error
	for ip := range v.at {
		if r.servers[ip] == nil {
			servers, err := r.listen(ip)
			if err != nil {
				failed = append(failed, fmt.Errorf("answer for names on %s: %w", ip, err))
				continue
			}
			r.servers[ip] = servers
		}
	}
	for ip, servers := range r.servers {
		if _, ok := v.at[ip]; !ok {
			for _, s := range servers {
				_ = s.Shutdown()
			}
			delete(r.servers, ip)
		}
	}
	return errors.Join(failed...)
}

func (r *resolver) listen(ip netip.Addr) ([]*dns.Server, error) {
	addr := netip.AddrPortFrom(ip, 53)
	var udp net.PacketConn
	var tcp net.Listener
	err := r.within(func() (err error) {
		c := net.ListenConfig{Control: freeBind}
		if udp, err = c.ListenPacket(context.Background(), "udp", addr.String()); err == nil {
			if tcp, err = c.Listen(context.Background(), "tcp", addr.String()); err != nil {
				udp.Close()
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { r.answer(w, q, ip) })
	servers := []*dns.Server{{PacketConn: udp, Handler: handler}, {Listener: tcp, Handler: handler}}
	var up sync.WaitGroup
	for _, s := range servers {
		up.Add(1)
		s.NotifyStartedFunc = up.Done
		go func() { _ = s.ActivateAndServe() }()
	}
	up.Wait()
	return servers, nil
}

// freeBind lets a socket have an address that the kernel still tries out (IPv6's duplicate address detection).
func freeBind(_, _ string, c syscall.RawConn) error {
	var err error
	if outer := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1) }); outer != nil {
		return outer
	}
	return err
}

func (r *resolver) answer(w dns.ResponseWriter, q *dns.Msg, gateway netip.Addr) {
	if len(q.Question) != 1 {
		m := new(dns.Msg)
		_ = w.WriteMsg(m.SetRcode(q, dns.RcodeFormatError))
		return
	}
	v := r.view.Load()
	from, _ := netip.ParseAddrPort(w.RemoteAddr().String())
	networks := v.networks[from.Addr().Unmap()]
	if networks == nil {
		networks = []string{v.at[gateway]}
	}
	if m := v.own(q, networks); m != nil {
		_ = w.WriteMsg(m)
		return
	}
	m := r.forward(q, v.upstreamOf(networks), w.RemoteAddr().Network() == "tcp")
	_ = w.WriteMsg(m)
}

func (v *view) upstreamOf(networks []string) []string {
	for _, n := range networks {
		if len(v.upstream[n]) > 0 {
			return v.upstream[n]
		}
	}
	return nil
}

// own is the answer to a question about a container, nil to any other.
func (v *view) own(q *dns.Msg, networks []string) *dns.Msg {
	question := q.Question[0]
	m := new(dns.Msg)
	m.SetReply(q)
	m.Authoritative, m.RecursionAvailable = true, true
	header := dns.RR_Header{Name: question.Name, Rrtype: question.Qtype, Class: dns.ClassINET, Ttl: ttl}
	if question.Qtype == dns.TypePTR {
		ip, ok := reversed(question.Name)
		names := v.reverse[ip]
		if !ok || len(names) == 0 || !shares(v.networks[ip], networks) {
			return nil
		}
		for _, n := range names {
			m.Answer = append(m.Answer, &dns.PTR{Hdr: header, Ptr: dns.Fqdn(n + "." + network.DNSDomain)})
		}
		return m
	}
	name := strings.TrimSuffix(strings.ToLower(question.Name), ".")
	short, ours := strings.CutSuffix(name, "."+network.DNSDomain)
	found := false
	for _, n := range networks {
		ips, ok := v.names[n][short]
		found = found || ok
		for _, ip := range ips {
			switch {
			case ip.Is4() && question.Qtype == dns.TypeA:
				m.Answer = append(m.Answer, &dns.A{Hdr: header, A: ip.AsSlice()})
			case ip.Is6() && question.Qtype == dns.TypeAAAA:
				m.Answer = append(m.Answer, &dns.AAAA{Hdr: header, AAAA: ip.AsSlice()})
			}
		}
	}
	switch {
	case found:
		return m
	case ours:
		m.Rcode = dns.RcodeNameError
		return m
	}
	return nil
}

func shares(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

// reversed reads the name that a question for an address's names has.
func reversed(name string) (netip.Addr, bool) {
	name = strings.ToLower(name)
	if rest, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		p := strings.Split(rest, ".")
		if len(p) != 4 {
			return netip.Addr{}, false
		}
		a, err := netip.ParseAddr(p[3] + "." + p[2] + "." + p[1] + "." + p[0])
		return a, err == nil
	}
	rest, ok := strings.CutSuffix(name, ".ip6.arpa.")
	digits := strings.Split(rest, ".")
	if !ok || len(digits) != 32 {
		return netip.Addr{}, false
	}
	var b strings.Builder
	for i := 31; i >= 0; i-- {
		b.WriteString(digits[i])
		if i%4 == 0 && i > 0 {
			b.WriteByte(':')
		}
	}
	a, err := netip.ParseAddr(b.String())
	return a, err == nil
}

// upstreamTimeout bounds the wait for each name server.
const upstreamTimeout = 3 * time.Second

// forward asks the name servers in turn; a truncated answer is asked for again over TCP if the client itself asks so.
func (r *resolver) forward(q *dns.Msg, servers []string, tcp bool) *dns.Msg {
	c := &dns.Client{Timeout: upstreamTimeout}
	if tcp {
		c.Net = "tcp"
	}
	for _, s := range servers {
		ask := q.Copy()
		var conn *dns.Conn
		err := r.within(func() (err error) { conn, err = c.Dial(net.JoinHostPort(s, "53")); return err })
		if err != nil {
			continue
		}
		answer, _, err := c.ExchangeWithConn(ask, conn)
		conn.Close()
		if err == nil && answer != nil {
			answer.Id = q.Id
			return answer
		}
	}
	m := new(dns.Msg)
	if len(servers) == 0 { // an internal network
		return m.SetRcode(q, dns.RcodeNameError)
	}
	return m.SetRcode(q, dns.RcodeServerFailure)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
