// SPDX-License-Identifier: Apache-2.0

package udprelay

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
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

// Main is the relay process: args are the path of the network namespace's mount point, and ports in
// Port.String's form. It closes standard output once it listens, or writes there why it cannot, and then
// runs until the mount point is removed, as pasta does. Its result is the exit code.
func Main(args []string) int {
	if len(args) < 2 {
		fmt.Println("usage: NETNS LISTEN=PORT…")
		return 2
	}
	runtime.LockOSThread() // the thread enters the namespace and stays
	r, err := start(args[0], args[1:])
	if err != nil {
		fmt.Println(err)
		return 1
	}
	os.Stdout.Close()
	if err := r.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// start opens the listening sockets and enters the namespace, in which every later socket is made.
func start(netns string, ports []string) (*Relay, error) {
	r, err := New()
	if err != nil {
		return nil, err
	}
	for _, s := range ports {
		p, err := Parse(s)
		if err != nil {
			return nil, err
		}
		if err := r.Listen(p.Listen, toLoopback(p)); err != nil {
			return nil, fmt.Errorf("relay UDP from %s: %w", p.Listen, err)
		}
	}
	watch, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(watch, filepath.Dir(netns), unix.IN_DELETE|unix.IN_DELETE_SELF); err != nil {
		return nil, fmt.Errorf("watch %s: %w", netns, err)
	}
	fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", netns, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter network namespace %s: %w", netns, err)
	}
	go func() {
		var buf [4096]byte
		for {
			_, _ = unix.Read(watch, buf[:])
			if _, err := os.Lstat(netns); err != nil {
				r.Close()
				return
			}
		}
	}()
	return r, nil
}

// toLoopback connects to the container's loopback, as pasta would.
func toLoopback(p Port) Dial {
	to := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if p.Listen.Addr().Is6() {
		to = netip.IPv6Loopback()
	}
	return func(netip.AddrPort) (int, func(), error) {
		fd, err := Socket(to)
		if err != nil {
			return -1, nil, err
		}
		if err := unix.Connect(fd, Sockaddr(netip.AddrPortFrom(to, p.Target))); err != nil {
			unix.Close(fd)
			return -1, nil, err
		}
		return fd, func() {}, nil
	}
}
