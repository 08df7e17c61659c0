// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/udprelay"
)

// forwarder carries connections to published ports from the host to a user's containers. It listens on the host and connects where the bridges are,
// with the client's address where that is possible (source.go).
type forwarder struct {
	within func(func() error) error // runs a function where the bridges are
	keeps  keeps
	open   map[port]*published

	mu    sync.Mutex
	flows map[flow]bool // of UDP, with the client's address and port
}

// port is where one is published.
type port struct {
	network string // tcp or udp
	listen  netip.AddrPort
}

// target is where a published port leads to.
type target struct {
	to   netip.AddrPort
	keep bool   // the container's answers to any address come by here
	near string // the container's subnets, separated by spaces: from these they do not
}

// flow is what is sent from one client to one container's port.
type flow struct{ client, to netip.AddrPort }

type published struct {
	io.Closer
	target target
}

func newForwarder(within func(func() error) error, k keeps) *forwarder {
	return &forwarder{within: within, keeps: k, open: map[port]*published{}, flows: map[flow]bool{}}
}

// set closes what nobody publishes any more, and opens what is new.
func (f *forwarder) set(members []*Member) error {
	want := targets(members)
	for p, l := range f.open {
		if t, ok := want[p]; !ok || t != l.target {
			l.Close()
			delete(f.open, p)
		}
	}
	var failed []error
	for p, t := range want {
		if f.open[p] != nil {
			continue
		}
		l, err := f.listen(p, t)
		if errors.Is(err, unix.EAFNOSUPPORT) && p.listen.Addr().IsUnspecified() {
			continue // a host without IPv6
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("publish port %d: %w", p.listen.Port(), err))
			continue
		}
		f.open[p] = &published{l, t}
	}
	return errors.Join(failed...)
}

// targets are the ports of all members. One for any address is served on IPv4 and IPv6.
func targets(members []*Member) map[port]target {
	near := map[string][]string{} // subnets, by container
	for _, m := range members {
		if m.Joined == nil {
			continue
		}
		for _, a := range m.Joined.Addresses {
			if p, err := netip.ParsePrefix(fmt.Sprintf("%s/%d", a.IP, a.Prefix)); err == nil {
				near[m.CNI.Container] = append(near[m.CNI.Container], p.Masked().String())
			}
		}
	}
	all := map[port]target{}
	for _, m := range members {
		if m.Joined == nil {
			continue
		}
		subnets := near[m.CNI.Container]
		slices.Sort(subnets)
		for _, p := range m.CNI.Ports {
			listen := []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
			if p.HostIP != "" {
				a, err := netip.ParseAddr(p.HostIP)
				if err != nil {
					continue
				}
				listen = []netip.Addr{a}
			}
			for _, a := range listen {
				if to, ok := address(m.Joined, a.Is6()); ok {
					keep := to.Is6() == a.Is6() && leadsOut(m.CNI.List, a.Is6())
					all[port{p.Protocol, netip.AddrPortFrom(a, p.HostPort)}] = target{netip.AddrPortFrom(to, p.ContainerPort), keep, strings.Join(subnets, " ")}
				}
			}
		}
	}
	return all
}

// address is the container's, of the wanted family if it has one.
func address(j *attach.Joined, six bool) (found netip.Addr, ok bool) {
	for _, a := range j.Addresses {
		if ip, err := netip.ParseAddr(a.IP); err == nil {
			if ip.Is6() == six {
				return ip, true
			}
			found, ok = ip, true
		}
	}
	return found, ok
}

// leadsOut checks whether a network gives its containers a default route through its bridge: answers to a client come back by that.
func leadsOut(list json.RawMessage, six bool) bool {
	var conf struct {
		Plugins []struct {
			Type             string
			IsDefaultGateway bool
			IPAM             struct{ Routes []struct{ Dst string } }
		}
	}
	if json.Unmarshal(list, &conf) != nil || len(conf.Plugins) == 0 {
		return false
	}
	first := conf.Plugins[0]
	if first.Type != "bridge" && first.Type != "ptp" {
		return false
	}
	return first.IsDefaultGateway || slices.ContainsFunc(first.IPAM.Routes, func(r struct{ Dst string }) bool {
		p, err := netip.ParsePrefix(r.Dst)
		return err == nil && p.Bits() == 0 && p.Addr().Is6() == six
	})
}

// NotKept says why servers of a member's published ports do not see their clients' addresses; empty if they do. The keeper's
// own reason is of this state's.
func (s State) NotKept(m *Member) string {
	if m.CNI.Outside == nil || len(m.CNI.Ports) == 0 || m.Joined == nil {
		return ""
	}
	if why := s.keepersReason(); why != "" {
		return why
	}
	for _, a := range m.Joined.Addresses {
		if ip, err := netip.ParseAddr(a.IP); err == nil && leadsOut(m.CNI.List, ip.Is6()) {
			return ""
		}
	}
	return "the network gives its containers no default route"
}

func (f *forwarder) listen(p port, t target) (io.Closer, error) {
	if p.network == "udp" {
		r, err := udprelay.New()
		if err != nil {
			return nil, err
		}
		err = r.Listen(p.listen, func(client netip.AddrPort) (int, func(), error) { return f.datagrams(client, t) })
		if err != nil {
			r.Close()
		}
		go r.Run()
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	family := "4"
	if p.listen.Addr().Is6() {
		family = "6"
	}
	l, err := net.ListenTCP("tcp"+family, net.TCPAddrFromAddrPort(p.listen))
	if err != nil {
		return nil, err
	}
	go f.connections(l, t)
	return l, nil
}

// datagrams makes a socket for one client's.
func (f *forwarder) datagrams(client netip.AddrPort, t target) (int, func(), error) {
	source := f.source(client, t)
	key, release := flow{source, t.to}, func() {}
	if source.IsValid() {
		f.mu.Lock()
		if f.flows[key] {
			source = netip.AddrPortFrom(source.Addr(), 0) // it sends to two of the container's host ports: answers have to differ
		} else {
			f.flows[key] = true
			release = func() {
				f.mu.Lock()
				delete(f.flows, key)
				f.mu.Unlock()
			}
		}
		f.mu.Unlock()
	}
	fd, err := f.socket(unix.SOCK_DGRAM, source, t.to)
	if err != nil {
		release()
		return -1, nil, err
	}
	return fd, release, nil
}

func (f *forwarder) connections(l *net.TCPListener, t target) {
	for {
		client, err := l.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of descriptors, perhaps
			continue
		}
		go f.connection(client, t)
	}
}

// connection carries both directions, each until its own end.
func (f *forwarder) connection(client *net.TCPConn, t target) {
	defer client.Close()
	server, err := f.dial(client.RemoteAddr().(*net.TCPAddr).AddrPort(), t)
	if err != nil {
		_ = client.SetLinger(0) // a reset, as from a port that nobody listens on
		return
	}
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

// dialTimeout bounds the wait for a container that does not answer.
const dialTimeout = 10 * time.Second

// dial connects to the container: from the client's address and port; if that pair is in use, from another port; else from the gateway.
func (f *forwarder) dial(client netip.AddrPort, t target) (*net.TCPConn, error) {
	sources := []netip.AddrPort{{}}
	if s := f.source(client, t); s.IsValid() {
		sources = []netip.AddrPort{s, netip.AddrPortFrom(s.Addr(), 0), {}}
	}
	for _, s := range sources[:len(sources)-1] {
		c, err := f.dialFrom(s, t.to, dialTimeout/3)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break // somebody may have taken the container's default route
		}
		if err == nil || !errors.Is(err, unix.EADDRINUSE) && !errors.Is(err, unix.EADDRNOTAVAIL) {
			return c, err
		}
	}
	return f.dialFrom(netip.AddrPort{}, t.to, dialTimeout)
}

func (f *forwarder) dialFrom(source, to netip.AddrPort, limit time.Duration) (*net.TCPConn, error) {
	fd, err := f.socket(unix.SOCK_STREAM, source, to)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "")
	defer file.Close()
	_ = file.SetWriteDeadline(time.Now().Add(limit))
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		if errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); err != nil || errno != 0 {
			failed = errors.Join(err, syscall.Errno(errno))
			return true
		}
		_, err := unix.Getpeername(int(fd))
		return err == nil // not connected yet
	})
	if err = errors.Join(err, failed); err != nil {
		return nil, err
	}
	c, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("connect to %s: no TCP connection", to)
	}
	_ = tcp.SetNoDelay(true)
	return tcp, nil
}
