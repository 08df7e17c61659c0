// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// NoIPv6 reports whether an error of Bind says that the kernel has no IPv6, or none on any interface.
func NoIPv6(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)
}

// NoSCTP reports whether an error of Bind says that the kernel has no SCTP of its own: then nobody else on the host can have the port.
func NoSCTP(p PortMapping, err error) bool {
	return p.Protocol == "sctp" && errors.Is(err, unix.EPROTONOSUPPORT)
}

// BindAddrs are the addresses to bind for a mapping's HostIP, the IPv4 one first.
func BindAddrs(hostIP string) []netip.Addr {
	if a, err := netip.ParseAddr(hostIP); err == nil {
		return []netip.Addr{a}
	}
	return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
}

// Bind makes a socket that holds the port. Only the TCP socket sets SO_REUSEADDR, so
// that connections in TIME_WAIT do not count; it listens, because two sockets that set the
// option and do not listen may share a port (socket(7)).
func Bind(addr netip.Addr, port uint16, proto string) (fd int, bound uint16, err error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	switch proto {
	case "udp":
		fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	case "sctp":
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	default:
		fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return -1, 0, err
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	var sa unix.Sockaddr
	if addr.Is6() {
		if err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return -1, 0, err
		}
		sa = &unix.SockaddrInet6{Port: int(port), Addr: addr.As16()}
	} else {
		sa = &unix.SockaddrInet4{Port: int(port), Addr: addr.As4()}
	}
	if proto == "tcp" {
		if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
			return -1, 0, err
		}
	}
	if err = unix.Bind(fd, sa); err != nil {
		return -1, 0, err
	}
	if proto == "tcp" {
		if err = unix.Listen(fd, 1); err != nil {
			return -1, 0, err
		}
	}
	got, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, err
	}
	switch a := got.(type) {
	case *unix.SockaddrInet4:
		bound = uint16(a.Port)
	case *unix.SockaddrInet6:
		bound = uint16(a.Port)
	}
	return fd, bound, nil
}

// held are sockets on host ports that rules of the firewall lead elsewhere: nobody else gets the ports meanwhile.
type held []int

// hold takes the host ports.
func hold(ports []PortMapping) (h held, err error) {
	for _, p := range ports {
		for _, addr := range BindAddrs(p.HostIP) {
			fd, _, err := Bind(addr, p.HostPort, p.Protocol)
			if err == nil && p.Protocol == "tcp" {
				err = keepDeaf(fd)
			}
			switch {
			case err == nil:
				h = append(h, fd)
			case p.HostIP == "" && addr.Is6() && NoIPv6(err), NoSCTP(p, err):
			case errors.Is(err, unix.EADDRINUSE):
				h.release()
				return nil, fmt.Errorf("port %d/%s is in use: %w", p.HostPort, p.Protocol, err)
			default:
				h.release()
				return nil, fmt.Errorf("publish port %d/%s: %w", p.HostPort, p.Protocol, err)
			}
		}
	}
	return h, nil
}

// keepDeaf has a listening socket listen no more and keep its port, for itself alone: whoever connects where no rule leads elsewhere, as by ::1, is refused.
func keepDeaf(fd int) error {
	err := unix.Shutdown(fd, unix.SHUT_RDWR)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0)
	}
	if err != nil {
		unix.Close(fd)
	}
	return err
}

func (h held) release() {
	for _, fd := range h {
		unix.Close(fd)
	}
}
