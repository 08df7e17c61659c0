// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"fmt"
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
	addrs := attach.BindAddrs(p.HostIP)
	var err error
	for range 64 {
		var fd int
		var port uint16
		if fd, port, err = attach.Bind(addrs[0], 0, p.Protocol); err != nil {
			return nil, err
		}
		held := heldPorts{fd}
		if len(addrs) == 2 {
			fd, _, err = attach.Bind(addrs[1], port, p.Protocol)
			if errors.Is(err, unix.EADDRINUSE) {
				held.release()
				continue
			}
			if err == nil {
				held = append(held, fd)
			} else if !attach.NoIPv6(err) {
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
	for _, addr := range attach.BindAddrs(p.HostIP) {
		fd, _, err := attach.Bind(addr, p.HostPort, p.Protocol)
		if p.HostIP == "" && addr.Is6() && attach.NoIPv6(err) || attach.NoSCTP(p, err) {
			continue
		}
		if err != nil {
			return held, err
		}
		held = append(held, fd)
	}
	return held, nil
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
			h += "; who uses it is shown by: sudo ss -lnp " + map[string]string{"tcp": "-t", "udp": "-u", "sctp": "-S"}[p.Protocol] + " sport = :" + strconv.Itoa(int(p.HostPort))
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
