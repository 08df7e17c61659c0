// SPDX-License-Identifier: Apache-2.0

// Package udprelay carries UDP datagrams from clients on the host's loopback to a
// server in a container's network namespace, and the answers back.
//
// It is there for what released network helpers get wrong: pasta of 2023 loses the answers to
// loopback clients if the container's port is lower than the host's (its table of
// reverse mappings overflows), and slirp4netns with --disable-host-loopback loses all of them. The
// helpers go on serving every other client, whose address they keep: a socket that is
// bound to 127.0.0.1 gets the datagrams for it before one that is bound to 0.0.0.0.
//
// The relay is a process of one thread that sleeps in epoll_wait(2). It ends when the
// file that its network namespace is mounted on is removed, as pasta does.
package udprelay

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Main is the relay process: args are the path of the network namespace's mount point, and ports in
// Port.String's form. It closes standard output once it listens, or writes there why it cannot, and then
// runs until the mount point is removed. Its result is the exit code.
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
	if err := r.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

type relay struct {
	netns     string
	epoll     int
	inotify   int
	listeners map[int]*listener
	flows     map[int]*flow // by fd
	byClient  map[client]*flow
	buf       [65535]byte
}

// start opens the listening sockets and enters the namespace, in which every later socket is made.
func start(netns string, ports []string) (*relay, error) {
	r := &relay{netns: netns, listeners: map[int]*listener{}, flows: map[int]*flow{}, byClient: map[client]*flow{}}
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for _, s := range ports {
		p, err := Parse(s)
		if err != nil {
			return nil, err
		}
		if err := r.listen(p); err != nil {
			return nil, fmt.Errorf("relay UDP from %s: %w", p.Listen, err)
		}
	}
	if r.inotify, err = unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err != nil {
		return nil, err
	}
	if _, err := unix.InotifyAddWatch(r.inotify, filepath.Dir(netns), unix.IN_DELETE|unix.IN_DELETE_SELF); err != nil {
		return nil, fmt.Errorf("watch %s: %w", netns, err)
	}
	if err := r.watch(r.inotify); err != nil {
		return nil, err
	}
	fd, err := unix.Open(netns, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", netns, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		return nil, fmt.Errorf("enter network namespace %s: %w", netns, err)
	}
	return r, nil
}

func (r *relay) watch(fd int) error {
	return unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)})
}

// run carries datagrams until the namespace's mount point is removed.
func (r *relay) run() error {
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
			switch {
			case fd == r.inotify:
				if r.gone() {
					return nil
				}
			case r.listeners[fd] != nil:
				r.fromClient(r.listeners[fd], now)
			case r.flows[fd] != nil:
				r.fromServer(r.flows[fd], now)
			}
		}
		if n == 0 || len(r.flows) > maxFlows {
			r.expire(now)
		}
	}
}

func (r *relay) gone() bool {
	unix.Read(r.inotify, r.buf[:])
	_, err := os.Lstat(r.netns)
	return err != nil
}
