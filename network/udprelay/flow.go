// SPDX-License-Identifier: Apache-2.0

package udprelay

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds on what the relay remembers of clients; as in conntrack's UDP defaults.
const (
	idle     = 180 * time.Second
	maxFlows = 1024
)

// Port is one port to listen on, and the container's port behind it.
type Port struct {
	Listen netip.AddrPort
	Target uint16
}

// String is the form that Parse reads: 127.0.0.1:5353=53.
func (p Port) String() string { return p.Listen.String() + "=" + strconv.Itoa(int(p.Target)) }

// Parse reads ADDRESS:PORT=TARGETPORT.
func Parse(s string) (Port, error) {
	listen, target, _ := strings.Cut(s, "=")
	a, err := netip.ParseAddrPort(listen)
	if err != nil {
		return Port{}, fmt.Errorf("relay %q: %w", s, err)
	}
	n, err := strconv.ParseUint(target, 10, 16)
	if err != nil || n == 0 {
		return Port{}, fmt.Errorf("relay %q: no target port", s)
	}
	return Port{a, uint16(n)}, nil
}

type listener struct {
	fd     int
	target unix.Sockaddr
	v6     bool
}

type client struct {
	listener int // fd
	addr     netip.AddrPort
}

type flow struct {
	client
	fd   int
	to   unix.Sockaddr
	last time.Time
}

func (r *relay) listen(p Port) error {
	v6 := p.Listen.Addr().Is6()
	fd, err := socket(v6)
	if err != nil {
		return err
	}
	// The helper holds the wildcard address of the same port, with this option set too.
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return err
	}
	if err := unix.Bind(fd, sockaddr(p.Listen)); err != nil {
		return err
	}
	target := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), p.Target)
	if v6 {
		target = netip.AddrPortFrom(netip.IPv6Loopback(), p.Target)
	}
	r.listeners[fd] = &listener{fd, sockaddr(target), v6}
	return r.watch(fd)
}

func (r *relay) fromClient(l *listener, now time.Time) {
	n, from, err := unix.Recvfrom(l.fd, r.buf[:], unix.MSG_DONTWAIT)
	if err != nil {
		return
	}
	c := client{l.fd, addrPort(from)}
	f := r.byClient[c]
	if f == nil {
		if f, err = r.newFlow(l, c, from); err != nil {
			return // datagrams may be lost
		}
	}
	f.last = now
	unix.Write(f.fd, r.buf[:n]) // ECONNREFUSED: nobody listens, which the client learns by silence
}

func (r *relay) newFlow(l *listener, c client, from unix.Sockaddr) (*flow, error) {
	fd, err := socket(l.v6)
	if err != nil {
		return nil, err
	}
	if err = unix.Connect(fd, l.target); err == nil {
		err = r.watch(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	f := &flow{client: c, fd: fd, to: from}
	r.flows[fd], r.byClient[c] = f, f
	return f, nil
}

func (r *relay) fromServer(f *flow, now time.Time) {
	n, err := unix.Read(f.fd, r.buf[:])
	if err != nil {
		return
	}
	f.last = now
	unix.Sendto(f.listener, r.buf[:n], 0, f.to)
}

// expire forgets clients that have been silent, or, where there are too many, all but the latest half.
func (r *relay) expire(now time.Time) {
	limit := idle
	for first := true; first || len(r.flows) > maxFlows/2 && limit > time.Second; first = false {
		for fd, f := range r.flows {
			if now.Sub(f.last) >= limit {
				unix.Close(fd)
				delete(r.flows, fd)
				delete(r.byClient, f.client)
			}
		}
		if len(r.flows) <= maxFlows {
			return
		}
		limit /= 2
	}
	for fd, f := range r.flows {
		if len(r.flows) <= maxFlows/2 {
			return
		}
		unix.Close(fd)
		delete(r.flows, fd)
		delete(r.byClient, f.client)
	}
}

func socket(v6 bool) (int, error) {
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	return unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
}

func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
}

func addrPort(sa unix.Sockaddr) netip.AddrPort {
	switch a := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), uint16(a.Port))
	}
	return netip.AddrPort{}
}
