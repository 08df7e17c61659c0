// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
)

// portHint says, of a host port that is in use, which container has it. The process that holds it is often one of
// Berth's or another engine's own, which nobody should end.
func (e *Engine) portHint(ctx context.Context, err error) error {
	var used *network.PortInUseError
	if !errors.As(err, &used) {
		return err
	}
	list, lerr := e.List(ctx)
	if lerr != nil {
		return err
	}
	list = slices.DeleteFunc(list, func(c *Container) bool { return !Alive(c.State) && !c.Restarting() })
	c, stranger := portHolder(list, used.Pid)
	if i := slices.IndexFunc(list, func(c *Container) bool { return publishes(c.State, used.Port) }); c == nil && i >= 0 {
		c = list[i]
	}
	switch {
	case c != nil:
		return hint.Add(err, "container %q uses it; choose another host port, or stop that with: %s", c.State.Name, hint.To(hint.StopContainer, c.State.Name))
	case stranger != "":
		return hint.Add(err, "a container of another user, store or engine uses it (through %s); choose another host port, or stop that container", stranger)
	}
	return err
}

// portHolder finds the container that a process belongs to, as one of its own, its monitor or its network helper. A stranger is
// such a process of a container that is not in the list.
func portHolder(list []*Container, pid int) (c *Container, stranger string) {
	for ; pid > 1; pid = parent(pid) {
		for _, c := range list {
			if pid == c.State.Pid || pid == c.State.Monitor || slices.Contains(c.State.NetHelpers, pid) {
				return c, ""
			}
		}
		switch name := command(pid); name {
		case "berth-monitor", "pasta", "pasta.avx2", "slirp4netns", "rootlessport", "conmon", "docker-proxy":
			stranger = fmt.Sprintf("%s, pid %d", name, pid)
		}
	}
	return nil, stranger
}

// publishes checks whether a container publishes a host port that collides with p.
func publishes(s *record.State, p record.PortMapping) bool {
	return slices.ContainsFunc(s.Ports, func(q record.PortMapping) bool {
		return q.HostPort == p.HostPort && q.Protocol == p.Protocol && (q.HostIP == p.HostIP || anyIP(q.HostIP) || anyIP(p.HostIP))
	})
}

func anyIP(ip string) bool { return ip == "" || ip == "0.0.0.0" || ip == "::" }

// command is the name of a process's program, as the kernel cuts it; empty where there is none.
func command(pid int) string {
	data, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	return strings.TrimSpace(string(data))
}

// parent is a process's parent, or 0.
func parent(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	var state string
	var ppid int
	if _, err := fmt.Sscan(string(data[strings.LastIndexByte(string(data), ')')+1:]), &state, &ppid); err != nil {
		return 0
	}
	return ppid
}
