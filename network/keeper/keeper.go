// SPDX-License-Identifier: Apache-2.0

// Package keeper is the process behind networks that containers share. It answers for the containers' names, and for a user it also keeps
// the network namespace that has the bridges, connected to the outside, and forwards published ports into it. It is no daemon: the first
// container that is connected starts it, and it ends with the last.
//
// What it has to do is in files, one for each container in each network (Members), so that one that was killed is replaced by the next that
// is started. It reads them when it is told to.
package keeper

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/internal/proc"
	"github.com/berth-containers/berth/internal/thread"
	"github.com/berth-containers/berth/network/attach"
)

// Files in the state directory.
const (
	lockFile   = "lock"
	pidFile    = "keeper"
	socketFile = "keeper.sock"
	membersDir = "members"
	heldFile   = "bridges"
)

// Member is a container in one network.
type Member struct {
	Network string         `json:"network"`
	NetNS   string         `json:"netns"` // the container's
	CNI     *attach.CNI    `json:"cni"`
	Joined  *attach.Joined `json:"joined,omitempty"` // nil until the plugins have answered
	Holder  Process        `json:"holder"`           // has the bridges' namespace mounted: see State.hold
}

// Process is one that may have ended.
type Process struct {
	Pid   int    `json:"pid"`
	Start uint64 `json:"start"` // as proc.Stat has it
}

// Parent is the process that has started this one.
func Parent() Process {
	pid := os.Getppid()
	_, start, _ := proc.Stat(pid)
	return Process{pid, start}
}

// State is the directory with what the keepers of one user, or of root, share.
type State struct{ Dir string }

// Lock holds off others who start a keeper, or who change what it has to do.
func (s State) Lock() (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(s.Dir, membersDir), 0o700); err != nil {
		return nil, err
	}
	fd, err := unix.Open(filepath.Join(s.Dir, lockFile), unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: s.Dir, Err: err}
	}
	for {
		if err = unix.Flock(fd, unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return func() { unix.Close(fd) }, nil
}

// memberFile is where a container's part of a network is written down.
func (s State) memberFile(m *Member) string {
	return filepath.Join(s.Dir, membersDir, m.CNI.Container+"."+m.Network)
}

// Put writes a member down.
func (s State) Put(m *Member) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	path := s.memberFile(m)
	tmp := filepath.Join(s.Dir, membersDir, "."+strconv.Itoa(os.Getpid())+"."+m.Network)
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// Drop forgets a member. It is no error that there is none.
func (s State) Drop(m *Member) error {
	if err := os.Remove(s.memberFile(m)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Written returns a member as it is written down; nil if it is not.
func (s State) Written(m *Member) *Member {
	data, err := os.ReadFile(s.memberFile(m))
	found := new(Member)
	if err != nil || json.Unmarshal(data, found) != nil || found.CNI == nil {
		return nil
	}
	return found
}

// Members reads all; a file that is not whole, or that is being written, is left out.
func (s State) Members() []*Member {
	entries, _ := os.ReadDir(filepath.Join(s.Dir, membersDir))
	var all []*Member
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(s.Dir, membersDir, e.Name()))
		m := new(Member)
		if err == nil && json.Unmarshal(data, m) == nil && m.CNI != nil {
			all = append(all, m)
		}
	}
	return all
}

// Networks are those of the members, as often as they have some. It reads no member.
func (s State) Networks() []string {
	entries, _ := os.ReadDir(filepath.Join(s.Dir, membersDir))
	var all []string
	for _, e := range entries {
		if container, network, ok := strings.Cut(e.Name(), "."); ok && container != "" {
			all = append(all, network)
		}
	}
	return all
}

// Pid is the keeper's process, 0 where there is none.
func (s State) Pid() int {
	data, err := os.ReadFile(filepath.Join(s.Dir, pidFile))
	if err != nil {
		return 0
	}
	var pid int
	var start uint64
	if n, _ := fmt.Sscan(string(data), &pid, &start); n != 2 || pid <= 0 {
		return 0
	}
	if _, now, ok := proc.Stat(pid); !ok || now != start {
		return 0
	}
	return pid
}

// keepersReason says why the keeper cannot keep the addresses of clients; empty if it can.
func (s State) keepersReason() string {
	data, _ := os.ReadFile(filepath.Join(s.Dir, pidFile))
	_, why, _ := strings.Cut(string(data), "\n")
	return why
}

// startTimeout bounds how long a keeper may take to be ready, helpers included.
const startTimeout = 30 * time.Second

// Ensure returns the keeper's process, after it has started one where there is none, on the bridges of one that was killed if there are any. It
// requires the lock. self is the program that runs Main when its argument is "keep".
func (s State) Ensure(self string, c *attach.CNI) (pid int, err error) {
	if pid = s.Pid(); pid == 0 {
		if pid, err = s.start(self, c); err != nil {
			return 0, err
		}
	}
	if c.Outside != nil {
		if err := s.hold(pid); err != nil {
			return 0, fmt.Errorf("hold the namespace of networks: %w", err)
		}
	}
	return pid, nil
}

func (s State) start(self string, c *attach.CNI) (int, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer in.Close()
	null, err := os.OpenFile("/dev/null", os.O_RDWR, 0)
	if err != nil {
		out.Close()
		return 0, err
	}
	defer null.Close()
	third, adopt := null, false // the bridges' namespace: bridgesNS
	if c.Outside != nil {
		if left := s.survivor(); left != nil {
			third, adopt = left, true
			defer left.Close()
		}
	}
	conf, err := json.Marshal(config{StateDir: s.Dir, Outside: c.Outside, OutsideNS: c.OutsideNS, Adopt: adopt})
	if err != nil {
		out.Close()
		return 0, err
	}
	sys := &syscall.SysProcAttr{Setsid: true}
	if c.Outside != nil {
		sys.Cloneflags = syscall.CLONE_NEWNS // for what it mounts
	}
	pid, err := syscall.ForkExec(self, []string{"berth-net", "keep", string(conf)}, &syscall.ProcAttr{
		Dir: "/", Env: leash.Without(os.Environ()), // it outlives the build that has started it
		Files: []uintptr{null.Fd(), out.Fd(), null.Fd(), third.Fd()}, Sys: sys,
	})
	out.Close()
	if err != nil {
		return 0, fmt.Errorf("run %s: %w", self, err)
	}
	in.SetReadDeadline(time.Now().Add(startTimeout))
	said, err := io.ReadAll(io.LimitReader(in, 1<<16))
	if err == nil && string(said) == readyWord {
		return pid, nil
	}
	syscall.Kill(pid, syscall.SIGKILL)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = errors.New("it did not get ready in time")
	}
	if text := strings.TrimSpace(string(said)); text != "" {
		err = errors.New(text)
	}
	if err == nil {
		err = errors.New("it has ended without a word")
	}
	return 0, fmt.Errorf("start the keeper of networks: %w", err)
}

// Inside runs do in the namespace that has the bridges: that of the keeper with this pid, or the host's.
func Inside(pid int, rootless bool, do func() error) error {
	if !rootless {
		return do()
	}
	fd, err := unix.Open("/proc/"+strconv.Itoa(pid)+"/fd/"+strconv.Itoa(bridgesNS), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the network namespace of the keeper: %w", err)
	}
	defer unix.Close(fd)
	return inside(fd, do)
}

func inside(fd int, do func() error) error {
	return thread.Own(func() error {
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter the namespace of networks: %w", err)
		}
		return do()
	})
}

// Reload tells the keeper that members have come or gone, and waits until it has seen them: names and ports are as they should be. Its error says
// what it could not do for them; a keeper that is not there is none. A keeper that nobody is left for ends after that: settle waits until
// it has. It requires the lock, which the caller keeps until settle has returned.
func (s State) Reload() (settle func(), err error) {
	settle = func() {}
	if s.Pid() == 0 {
		return settle, nil
	}
	var conn net.Conn
	err = s.nearby(func(dir string) (err error) {
		conn, err = net.DialTimeout("unix", filepath.Join(dir, socketFile), 5*time.Second)
		return err
	})
	if err != nil {
		return settle, nil // it is ending
	}
	conn.SetDeadline(time.Now().Add(15 * time.Second))
	r := bufio.NewReader(conn)
	line := ""
	if _, err = io.WriteString(conn, "reload\n"); err == nil {
		line, err = r.ReadString('\n')
	}
	if err != nil {
		conn.Close()
		return settle, nil
	}
	settle = func() {
		_, _ = io.Copy(io.Discard, r)
		conn.Close()
	}
	if line = strings.TrimSpace(line); line != "ok" {
		return settle, errors.New(line)
	}
	return settle, nil
}

// nearby calls do with a short path of the directory: that of a socket has at most 107 bytes.
func (s State) nearby(do func(dir string) error) error {
	fd, err := unix.Open(s.Dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: s.Dir, Err: err}
	}
	defer unix.Close(fd)
	return do("/proc/self/fd/" + strconv.Itoa(fd))
}
