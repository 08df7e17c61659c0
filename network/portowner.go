// SPDX-License-Identifier: Apache-2.0

package network

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/network/attach"
)

// portOwner finds a process that holds the mapping's host port, and its program's name; the pid is 0 where /proc does not show
// it to this user.
func portOwner(p attach.PortMapping) (pid int, name string) {
	inodes := socketInodes(p)
	if len(inodes) == 0 {
		return 0, ""
	}
	procs, _ := filepath.Glob("/proc/[0-9]*")
	for _, proc := range procs {
		fds, err := os.ReadDir(proc + "/fd")
		if err != nil {
			continue
		}
		for _, fd := range fds {
			link, err := os.Readlink(proc + "/fd/" + fd.Name())
			inode, ok := strings.CutPrefix(link, "socket:[")
			if err != nil || !ok || !inodes[strings.TrimSuffix(inode, "]")] {
				continue
			}
			comm, _ := os.ReadFile(proc + "/comm")
			pid, _ = strconv.Atoi(filepath.Base(proc))
			return pid, strings.TrimSpace(string(comm))
		}
	}
	return 0, ""
}

// socketInodes are the inodes of the sockets that are bound to the host port, from proc(5)'s
// /proc/net/tcp and its likes.
func socketInodes(p attach.PortMapping) map[string]bool {
	inodes := map[string]bool{}
	for _, suffix := range []string{"", "6"} {
		data, err := os.ReadFile("/proc/net/" + p.Protocol + suffix)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			f := strings.Fields(line)
			if len(f) < 10 {
				continue
			}
			const listening = "0A" // a UDP socket is never in this state
			if p.Protocol == "tcp" && f[3] != listening {
				continue
			}
			_, hex, _ := strings.Cut(f[1], ":")
			if port, err := strconv.ParseUint(hex, 16, 16); err == nil && uint16(port) == p.HostPort {
				inodes[f[9]] = true
			}
		}
	}
	return inodes
}
