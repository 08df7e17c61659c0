// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	processes "github.com/berth-containers/berth/internal/proc"
	netattach "github.com/berth-containers/berth/network/attach"
)

// connection is what package keeper has written down of a container in a shared network, as far as it matters here.
type connection struct {
	Network string
	NetNS   string
	CNI     *netattach.CNI
	Joined  *netattach.Joined
	Holder  struct {
		Pid   int
		Start uint64
	}
}

// networks looks for what containers that do not run have of shared networks: connections, addresses, the process that keeps a user's.
func (c *checker) networks(ctx context.Context) error {
	dir := filepath.Join(c.e.runtime, "networks")
	files, err := filepath.Glob(filepath.Join(dir, "members", "*"))
	if err != nil {
		return err
	}
	var left []string
	found := map[string]connection{}
	for _, path := range files {
		data, err := os.ReadFile(path)
		var n connection
		if err != nil || json.Unmarshal(data, &n) != nil || n.CNI == nil || c.runs(n.CNI.Container) || isRunning(n.Holder.Pid, n.Holder.Start) {
			continue
		}
		left, found[path] = append(left, path), n
	}
	for _, path := range thoseThatStay(ctx, left) {
		n := found[path]
		c.report(func(context.Context) error {
			netattach.Left(netattach.Attachment{Network: n.Network, CNI: n.CNI}, n.NetNS, n.Joined, nil).Detach()
			return nil
		}, "connection to network %s of container %.12s, which does not run", n.Network, n.CNI.Container)
	}
	leases, err := filepath.Glob(filepath.Join(dir, "leases", "*", "*[.:]*"))
	if err != nil {
		return err
	}
	left = nil
	for _, path := range leases {
		data, err := os.ReadFile(path)
		id, _, _ := strings.Cut(strings.TrimSpace(string(data)), "\r\n")
		if err != nil || !isID(id) {
			continue
		}
		member := id + "." + filepath.Base(filepath.Dir(path))
		if _, err := os.Lstat(filepath.Join(dir, "members", member)); err != nil {
			left = append(left, path)
		}
	}
	for _, path := range thoseThatStay(ctx, left) {
		c.report(func(context.Context) error { return os.Remove(path) }, "address of a container that is not connected: %s", path)
	}
	c.keeper(ctx, dir, len(files))
	return nil
}

// keeper looks for a keeper of networks, or what one that was killed has left, that nobody needs.
func (c *checker) keeper(ctx context.Context, dir string, members int) {
	if members > 0 {
		return
	}
	netns, _ := c.e.outsideNS()
	pidFile := filepath.Join(dir, "keeper")
	paths := []string{pidFile}
	if c.e.Rootless() {
		paths = append(paths, netns, filepath.Join(dir, "bridges"))
	}
	for _, path := range thoseThatStay(ctx, paths) {
		c.report(func(context.Context) error {
			if pid, ok := keeperOf(pidFile); ok {
				return syscall.Kill(pid, syscall.SIGTERM) // it removes what it has
			}
			if path == netns {
				for _, e := range netattach.Unrecorded(netns) {
					e.Detach()
					e.AwaitEnd(time.Second, false)
				}
			}
			if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
				return err
			}
			return nil
		}, "left of shared networks that nobody is connected to: %s", path)
	}
}

func keeperOf(pidFile string) (pid int, ok bool) {
	data, err := os.ReadFile(pidFile)
	if err != nil {
		return 0, false
	}
	var p struct {
		Pid   int
		Start uint64
	}
	if n, _ := fmt.Sscan(string(data), &p.Pid, &p.Start); n != 2 {
		return 0, false
	}
	return p.Pid, isRunning(p.Pid, p.Start)
}

func isRunning(pid int, start uint64) bool {
	_, now, ok := processes.Stat(pid)
	return pid > 0 && ok && now == start
}
