// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/attach"
)

// CheckPorts reports whether each mapping's host port can be bound now. The error wraps
// unix.EADDRINUSE, EACCES or EADDRNOTAVAIL and has a hint.
//
// The helper that will bind the ports cannot be asked instead: pasta sets SO_REUSEADDR, with which
// two processes get the same UDP port, and the second one takes the first one's packets.
func CheckPorts(ports []attach.PortMapping) error {
	held, err := holdPorts(ports)
	held.release()
	return err
}

// heldPorts are bound sockets that keep others off their ports.
type heldPorts []int

func (h heldPorts) release() {
	for _, fd := range h {
		unix.Close(fd)
	}
}

// holdPorts binds every mapping and fills in the host port where it is 0.
// What it returns must be released, after an error too.
func holdPorts(ports []attach.PortMapping) (heldPorts, error) {
	var held heldPorts
	// Fixed ports first, so that a free port is not one that a later mapping names.
	for _, p := range ports {
		if p.HostPort == 0 {
			continue
		}
		fds, err := holdPort(p)
		held = append(held, fds...)
		if err != nil {
			return held, portError(p, err)
		}
	}
	for i := range ports {
		if ports[i].HostPort != 0 {
			continue
		}
		fds, err := holdFreePort(&ports[i])
		held = append(held, fds...)
		if err != nil {
			return held, fmt.Errorf("find a free host port for container port %d/%s: %w", ports[i].ContainerPort, ports[i].Protocol, err)
		}
	}
	return held, nil
}

// holdFreePort asks the kernel for a port that is free in each of the mapping's families.
func holdFreePort(p *attach.PortMapping) (heldPorts, error) {
	addrs := bindAddrs(p.HostIP)
	var err error
	for range 64 {
		var fd int
		var port uint16
		if fd, port, err = bind(addrs[0], 0, p.Protocol); err != nil {
			return nil, err
		}
		held := heldPorts{fd}
		if len(addrs) == 2 {
			fd, _, err = bind(addrs[1], port, p.Protocol)
			if errors.Is(err, unix.EADDRINUSE) {
				held.release()
				continue
			}
			if err == nil {
				held = append(held, fd)
			} else if !noIPv6(err) {
				return held, err
			}
		}
		p.HostPort = port
		return held, nil
	}
	return nil, err
}

func holdPort(p attach.PortMapping) (heldPorts, error) {
	var held heldPorts
	for _, addr := range bindAddrs(p.HostIP) {
		fd, _, err := bind(addr, p.HostPort, p.Protocol)
		if p.HostIP == "" && addr.Is6() && noIPv6(err) {
			continue
		}
		if err != nil {
			return held, err
		}
		held = append(held, fd)
	}
	return held, nil
}

// noIPv6 reports whether the kernel has no IPv6, or none on any interface.
func noIPv6(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL)
}

// bindAddrs are the addresses to bind for a mapping's HostIP, the IPv4 one first.
func bindAddrs(hostIP string) []netip.Addr {
	if a, err := netip.ParseAddr(hostIP); err == nil {
		return []netip.Addr{a}
	}
	return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
}

// bind makes a socket that holds the port. Only the TCP socket sets SO_REUSEADDR, so
// that connections in TIME_WAIT do not count; it listens, because two sockets that set the
// option and do not listen may share a port (socket(7)).
func bind(addr netip.Addr, port uint16, proto string) (fd int, bound uint16, err error) {
	family, typ := unix.AF_INET, unix.SOCK_STREAM
	if addr.Is6() {
		family = unix.AF_INET6
	}
	if proto == "udp" {
		typ = unix.SOCK_DGRAM
	}
	fd, err = unix.Socket(family, typ|unix.SOCK_CLOEXEC, 0)
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

// PortInUseError says that a host port is taken.
type PortInUseError struct {
	Port attach.PortMapping
	Pid  int // of a process that holds it; 0 where this user cannot see it
	err  error
}

func (e *PortInUseError) Error() string {
	return fmt.Sprintf("port %d/%s is in use: %v", e.Port.HostPort, e.Port.Protocol, e.err)
}

// Unwrap returns the kernel's error.
func (e *PortInUseError) Unwrap() error { return e.err }

// portError says why p's host port cannot be had, and what would help.
func portError(p attach.PortMapping, err error) error {
	port := fmt.Sprintf("%d/%s", p.HostPort, p.Protocol)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		h := "choose another host port"
		pid, name := portOwner(p)
		if pid != 0 {
			h += fmt.Sprintf(", or end %s (pid %d), which uses it", name, pid)
		} else {
			h += "; who uses it is shown by: sudo ss -lnp " + map[string]string{"tcp": "-t", "udp": "-u"}[p.Protocol] + " sport = :" + strconv.Itoa(int(p.HostPort))
		}
		return hint.Add(&PortInUseError{Port: p, Pid: pid, err: err}, "%s", h)
	case errors.Is(err, unix.EACCES):
		return hint.Add(fmt.Errorf("port %s is below %d, which this user may not publish: %w", port, unprivilegedPortStart(), err),
			"choose a higher host port, or allow it to every user: sudo sysctl net.ipv4.ip_unprivileged_port_start=%d", p.HostPort)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return hint.Add(fmt.Errorf("publish port %s on %s: no interface of this host has that address: %w", port, p.HostIP, err),
			"the host's addresses are shown by: ip address")
	}
	return fmt.Errorf("publish port %s on %q: %w", port, p.HostIP, err)
}

func unprivilegedPortStart() int {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return 1024
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 1024
	}
	return n
}
