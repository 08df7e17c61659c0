// SPDX-License-Identifier: Apache-2.0

// Package udprelay carries UDP datagrams from clients on the host to a server in a container's network namespace, and the answers back.
// The keeper of shared networks publishes ports with it, and it is a process of its own beside network helpers (Main):
//
// That process is there for what released network helpers get wrong: pasta of 2023 loses the answers to
// loopback clients if the container's port is lower than the host's (its table of
// reverse mappings overflows), and slirp4netns with --disable-host-loopback loses all of them. The
// helpers go on serving every other client, whose address they keep: a socket that is
// bound to 127.0.0.1 gets the datagrams for it before one that is bound to 0.0.0.0.
//
// A relay is one thread that sleeps in epoll_wait(2).
package udprelay

import (
	"errors"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// Dial makes a socket for what one client sends, connected to the server and non-blocking. release is called when it has been closed.
type Dial func(client netip.AddrPort) (fd int, release func(), err error)

// Relay is a number of ports and the clients that have sent to them. It is for one goroutine, but for Close.
type Relay struct {
	epoll     int
	stop      int // an eventfd
	listeners map[int]*listener
	flows     map[int]*flow // by fd
	byClient  map[client]*flow
	swept     time.Time
	buf       [65535]byte
	oob       [64]byte
}

// New makes a relay that listens nowhere.
func New() (*Relay, error) {
	r := &Relay{listeners: map[int]*listener{}, flows: map[int]*flow{}, byClient: map[client]*flow{}}
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if r.stop, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		unix.Close(r.epoll)
		return nil, err
	}
	return r, r.watch(r.stop)
}

// Listen binds a port in the network namespace of this thread.
func (r *Relay) Listen(at netip.AddrPort, dial Dial) error {
	fd, err := Socket(at.Addr())
	if err != nil {
		return err
	}
	l := &listener{fd: fd, dial: dial, wild: at.Addr().IsUnspecified()}
	set := func(level, name int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, name, 1)
		}
	}
	switch six := at.Addr().Is6(); {
	case !l.wild:
		set(unix.SOL_SOCKET, unix.SO_REUSEADDR) // a helper holds the wildcard address of the same port, with this option set too
	case six:
		set(unix.SOL_IPV6, unix.IPV6_RECVPKTINFO)
		set(unix.SOL_IPV6, unix.IPV6_V6ONLY)
	default:
		set(unix.SOL_IP, unix.IP_PKTINFO)
	}
	if err == nil {
		err = unix.Bind(fd, Sockaddr(at))
	}
	if err == nil {
		err = r.watch(fd)
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	r.listeners[fd] = l
	return nil
}

func (r *Relay) watch(fd int) error {
	return unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// burst is how many datagrams of one socket are carried before the next has its turn.
const burst = 64

// Run carries datagrams until Close is called, and then frees the ports. Any other end is an error.
func (r *Relay) Run() error {
	defer r.free()
	events := make([]unix.EpollEvent, 32)
	for {
		timeout := -1
		if len(r.flows) > 0 {
			timeout = int(idle / time.Millisecond)
		}
		n, err := unix.EpollWait(r.epoll, events, timeout)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		now := time.Now()
		for _, e := range events[:n] {
			fd := int(e.Fd)
			if fd == r.stop {
				return nil
			}
			for range burst {
				more := false
				if l := r.listeners[fd]; l != nil {
					more = r.fromClient(l, now)
				} else if f := r.flows[fd]; f != nil {
					more = r.fromServer(f, now)
				}
				if !more {
					break
				}
			}
		}
		if len(r.flows) > maxFlows || now.Sub(r.swept) >= idle {
			r.expire(now)
			r.swept = now
		}
	}
}

// Close ends Run. It is called once.
func (r *Relay) Close() error {
	_, err := unix.Write(r.stop, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	return err
}

func (r *Relay) free() {
	for _, f := range r.flows {
		r.forget(f)
	}
	for fd := range r.listeners {
		unix.Close(fd)
	}
	unix.Close(r.epoll)
	unix.Close(r.stop)
}
