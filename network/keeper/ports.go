// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/berth-containers/berth/network/attach"
)

// forwarder carries connections to published ports from the host to a user's containers.
type forwarder struct {
	within func(func() error) error // runs a function where the bridges are
	open   map[port]io.Closer
}

// port is where one is published, and where it leads to.
type port struct {
	network string // tcp or udp
	listen  netip.AddrPort
	to      netip.AddrPort
}

func newForwarder(within func(func() error) error) *forwarder {
	return &forwarder{within: within, open: map[port]io.Closer{}}
}

// set closes what nobody publishes any more, and opens what is new.
func (f *forwarder) set(members []*Member) error {
	want := map[port]bool{}
	for _, m := range members {
		for _, p := range published(m) {
			want[p] = true
		}
	}
	for p, l := range f.open {
		if !want[p] {
			l.Close()
			delete(f.open, p)
		}
	}
	var failed []error
	for p := range want {
		if f.open[p] != nil {
			continue
		}
		l, err := f.listen(p)
		if err != nil {
			failed = append(failed, fmt.Errorf("publish port %d: %w", p.listen.Port(), err))
			continue
		}
		f.open[p] = l
	}
	return errors.Join(failed...)
}

// published are a member's ports. One for any address is served on IPv4 and, if the container has such an address, on IPv6.
func published(m *Member) []port {
	if m.Joined == nil {
		return nil
	}
	var all []port
	for _, p := range m.CNI.Ports {
		to, ok := target(m.Joined, p)
		if !ok {
			continue
		}
		listen := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
		if p.HostIP != "" {
			a, err := netip.ParseAddr(p.HostIP)
			if err != nil {
				continue
			}
			listen = []netip.Addr{a}
		}
		for _, a := range listen {
			all = append(all, port{p.Protocol, netip.AddrPortFrom(a, p.HostPort), to})
		}
	}
	return all
}

// target is the container's address for a port: one of the family of the host's address, if it has one.
func target(j *attach.Joined, p attach.PortMapping) (netip.AddrPort, bool) {
	var ips []netip.Addr
	for _, a := range j.Addresses {
		if ip, err := netip.ParseAddr(a.IP); err == nil {
			ips = append(ips, ip)
		}
	}
	if len(ips) == 0 {
		return netip.AddrPort{}, false
	}
	if host, err := netip.ParseAddr(p.HostIP); err == nil {
		if i := slices.IndexFunc(ips, func(a netip.Addr) bool { return a.Is4() == host.Is4() }); i >= 0 {
			return netip.AddrPortFrom(ips[i], p.ContainerPort), true
		}
	}
	return netip.AddrPortFrom(ips[0], p.ContainerPort), true
}

func (f *forwarder) listen(p port) (io.Closer, error) {
	family := "4"
	if p.listen.Addr().Is6() {
		family = "6"
	}
	if p.network == "udp" {
		c, err := net.ListenUDP("udp"+family, net.UDPAddrFromAddrPort(p.listen))
		if err != nil {
			return nil, err
		}
		go f.datagrams(c, p.to)
		return c, nil
	}
	l, err := net.ListenTCP("tcp"+family, net.TCPAddrFromAddrPort(p.listen))
	if err != nil {
		return nil, err
	}
	go f.connections(l, p.to)
	return l, nil
}

// dialTimeout bounds the wait for a container that does not answer.
const dialTimeout = 10 * time.Second

func (f *forwarder) dial(network string, to netip.AddrPort) (c net.Conn, err error) {
	err = f.within(func() (err error) { c, err = net.DialTimeout(network, to.String(), dialTimeout); return err })
	return c, err
}

func (f *forwarder) connections(l *net.TCPListener, to netip.AddrPort) {
	for {
		client, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of descriptors, perhaps
			continue
		}
		go f.connection(client, to)
	}
}

// connection carries both directions, each until its own end.
func (f *forwarder) connection(client *net.TCPConn, to netip.AddrPort) {
	defer client.Close()
	conn, err := f.dial("tcp", to)
	if err != nil {
		_ = client.SetLinger(0) // a reset, as from a port that nobody listens on
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Add(2)
	carry := func(to, from *net.TCPConn) {
		defer both.Done()
		_, _ = io.Copy(to, from) // splice(2)
		_ = to.CloseWrite()
		_ = from.CloseRead()
	}
	go carry(server, client)
	go carry(client, server)
	both.Wait()
}

// flowTimeout is how long a client of UDP may be silent before it is forgotten.
const flowTimeout = 2 * time.Minute

// datagrams gives each client a socket of its own towards the container, so that answers find their way back.
func (f *forwarder) datagrams(host *net.UDPConn, to netip.AddrPort) {
	var mu sync.Mutex
	flows := map[netip.AddrPort]net.Conn{}
	defer func() {
		mu.Lock()
		defer mu.Unlock()
		for _, c := range flows {
			c.Close()
		}
	}()
	buf := make([]byte, 1<<16)
	for {
		n, from, err := host.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		mu.Lock()
		flow := flows[from]
		mu.Unlock()
		if flow == nil {
			if flow, err = f.dial("udp", to); err != nil {
				continue
			}
			mu.Lock()
			flows[from] = flow
			mu.Unlock()
			go func() {
				answers(host, flow, from)
				mu.Lock()
				delete(flows, from)
				mu.Unlock()
			}()
		}
		_ = flow.SetReadDeadline(time.Now().Add(flowTimeout))
		_, _ = flow.Write(buf[:n])
	}
}

func answers(host *net.UDPConn, flow net.Conn, to netip.AddrPort) {
	defer flow.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := flow.Read(buf)
		if errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) {
			return
		}
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return
		}
		if err != nil {
			continue // nobody listens yet
		}
		_ = flow.SetReadDeadline(time.Now().Add(flowTimeout))
		_, _ = host.WriteToUDPAddrPort(buf[:n], to)
	}
}
