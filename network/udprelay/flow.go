// SPDX-License-Identifier: Apache-2.0

package udprelay

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds on what a relay remembers of clients; as in conntrack's UDP defaults.
const (
	idle     = 180 * time.Second
	maxFlows = 1024
)

type listener struct {
	fd   int
	dial Dial
	wild bool // it may be asked at any address: answers leave from the one that was asked
}

type client struct {
	listener int // fd
	addr     netip.AddrPort
	at       netip.Addr // the address it has asked, if the listener has several
}

type flow struct {
	client
	fd      int
	release func()
	to      unix.Sockaddr
	from    []byte // the control message that an answer is sent with
	last    time.Time
}

func (r *Relay) fromClient(l *listener, now time.Time) bool {
	n, oobn, _, from, err := unix.Recvmsg(l.fd, r.buf[:], r.oob[:], unix.MSG_DONTWAIT)
	if err != nil || from == nil {
		return false
	}
	c := client{listener: l.fd, addr: addrPort(from)}
	var at asked
	if l.wild {
		at = askedAt(r.oob[:oobn])
		c.at = at.addr
	}
	f := r.byClient[c]
	if f == nil {
		if f, err = r.newFlow(l, c, from, at); err != nil {
			return true // datagrams may be lost
		}
	}
	f.last = now
	unix.Write(f.fd, r.buf[:n]) // ECONNREFUSED: nobody listens, which the client learns by silence
	return true
}

func (r *Relay) newFlow(l *listener, c client, from unix.Sockaddr, at asked) (*flow, error) {
	fd, release, err := l.dial(c.addr)
	if err != nil {
		return nil, err
	}
	if err := r.watch(fd); err != nil {
		unix.Close(fd)
		release()
		return nil, err
	}
	f := &flow{client: c, fd: fd, release: release, to: from, from: at.control()}
	r.flows[fd], r.byClient[c] = f, f
	return f, nil
}

func (r *Relay) fromServer(f *flow, now time.Time) bool {
	n, err := unix.Read(f.fd, r.buf[:])
	if err != nil {
		return false
	}
	f.last = now
	unix.SendmsgN(f.listener, r.buf[:n], f.from, f.to, 0)
	return true
}

// expire forgets clients that have been silent, or, where there are too many, all but the latest half.
func (r *Relay) expire(now time.Time) {
	limit := idle
	for first := true; first || len(r.flows) > maxFlows/2 && limit > time.Second; first = false {
		for _, f := range r.flows {
			if now.Sub(f.last) >= limit {
				r.forget(f)
			}
		}
		if len(r.flows) <= maxFlows {
			return
		}
		limit /= 2
	}
	for _, f := range r.flows {
		if len(r.flows) <= maxFlows/2 {
			return
		}
		r.forget(f)
	}
}

func (r *Relay) forget(f *flow) {
	unix.Close(f.fd)
	delete(r.flows, f.fd)
	delete(r.byClient, f.client)
	f.release()
}

// asked is the host's address to which a client has sent, as IP_PKTINFO and IPV6_PKTINFO have it.
type asked struct {
	addr netip.Addr
	link uint32 // the interface, for an address that is valid on one link only
}

func askedAt(oob []byte) asked {
	header, data, _, err := unix.ParseOneSocketControlMessage(oob)
	switch {
	case err != nil:
	case header.Level == unix.SOL_IP && header.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		return asked{addr: netip.AddrFrom4([4]byte(data[4:8]))} // ipi_spec_dst: an address of ours, also for a broadcast
	case header.Level == unix.SOL_IPV6 && header.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		a := asked{addr: netip.AddrFrom16([16]byte(data[:16]))}
		if a.addr.IsLinkLocalUnicast() {
			a.link = binary.NativeEndian.Uint32(data[16:20])
		}
		return a
	}
	return asked{}
}

// control is the message that has an answer leave from the address; empty leaves it to the kernel.
func (a asked) control() []byte {
	switch {
	case !a.addr.IsValid() || a.addr.IsMulticast():
		return nil
	case a.addr.Is4():
		return unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: a.addr.As4()})
	}
	return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: a.addr.As16(), Ifindex: a.link})
}

// Socket makes a socket for datagrams of an address's family, as Dial is to.
func Socket(to netip.Addr) (int, error) {
	family := unix.AF_INET
	if to.Is6() {
		family = unix.AF_INET6
	}
	return unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
}

// Sockaddr is an address as the kernel takes it.
func Sockaddr(a netip.AddrPort) unix.Sockaddr {
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
