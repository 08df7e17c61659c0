// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network/attach"
)

// runner runs what attaches networks.
func (m *Monitor) runner() *attach.Runner {
	return &attach.Runner{
		Socket:  m.shortPath("net.sock"), // a socket's path has at most 108 bytes
		PidFile: m.runPath("net.pid"),
		Env:     m.env,
		Spawn:   m.reap.spawn,
		Relay:   "/proc/self/exe",
	}
}

// attach connects the container's network namespace to its networks, and takes the endpoints. pid is the container's process where there
// is one already. If one network fails, those before it are detached.
func (m *Monitor) attach(pid int) error {
	m.netMu.Lock()
	defer m.netMu.Unlock()
	r := m.runner()
	var made endpoints
	for _, a := range m.attachments {
		e, err := r.Attach(a, attach.Namespace{Path: m.cfg.NetNSPath(), Pid: pid})
		if err != nil {
			made.detach()
			return err
		}
		made = append(made, e)
	}
	if err := m.writeHosts(made.joined()); err != nil {
		made.detach()
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.endpoints = made
	m.watchKeepers(made, false)
	return nil
}

// writeHosts adds the addresses that shared networks have given to the container's /etc/hosts, in place of those of an earlier start.
func (m *Monitor) writeHosts(joined []attach.Joined) error {
	names := m.cfg.Network.HostNames
	path := filepath.Join(m.cfg.Dir, "hosts")
	if len(names) == 0 {
		return nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	text, _, _ := strings.Cut(string(data), addressesMark)
	text += addressesMark
	for _, j := range joined {
		for _, a := range j.Addresses {
			text += a.IP + "\t" + strings.Join(names, " ") + "\n"
		}
	}
	return os.WriteFile(path, []byte(text), 0o644) // in place: it is mounted
}

// addressesMark begins the part of /etc/hosts that is written anew when the container is attached.
const addressesMark = "# addresses of this container\n"

// endpoints are what an attached namespace has, in the order of the record's attachments.
type endpoints []*attach.Endpoint

// findEndpoints finds those that another monitor has made, as far as they are there. r is to detach them.
func findEndpoints(cfg *record.Supervised, s *record.State, r *attach.Runner) endpoints {
	var found endpoints
	for _, a := range cfg.Network.Attachments {
		if a.CNI == nil {
			continue
		}
		i := slices.IndexFunc(s.Networks, func(j attach.Joined) bool { return j.Network == a.Network })
		if i >= 0 {
			found = append(found, attach.Left(a, cfg.NetNSPath(), &s.Networks[i], r))
		} else if _, err := os.Lstat(cfg.NetNSPath()); err == nil { // it may have been killed before it had recorded that
			found = append(found, attach.Left(a, cfg.NetNSPath(), nil, r))
		}
	}
	for _, pid := range s.NetHelpers {
		if e := attach.Find(cfg.NetNSPath(), pid); e != nil {
			found = append(found, e)
		}
	}
	return found
}

// Detach ends what attaches the network namespace of a container whose monitor was killed, also where it was killed before it
// had recorded that: the namespace's file is there then.
func Detach(cfg *record.Supervised, s *record.State) {
	found := findEndpoints(cfg, s, nil)
	if _, err := os.Lstat(cfg.NetNSPath()); err == nil && len(found) < len(cfg.Network.Attachments) {
		found = append(found, attach.Unrecorded(cfg.NetNSPath())...)
	}
	found.detach()
	found.freePorts(s, false)
}

// detach ends what attaches the namespace. What was detached is told once more where the namespace's file has been removed.
func (m *Monitor) detach() endpoints {
	m.netMu.Lock()
	defer m.netMu.Unlock()
	m.mu.Lock()
	attached := m.endpoints
	m.mu.Unlock()
	attached.detach()
	return attached
}

// attached reports whether each of the container's networks is served.
func (m *Monitor) attached() bool {
	m.netMu.Lock()
	defer m.netMu.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.endpoints.alive(len(m.attachments))
}

// detach ends them, in reverse order. The namespace's file is removed after that: see attach.Endpoint.
func (all endpoints) detach() {
	for i := len(all) - 1; i >= 0; i-- {
		all[i].Detach()
	}
}

// endTimeout bounds how long a helper that has been told to end may take.
const endTimeout = time.Second

// freePorts waits after detach until the host ports of the container are free, if it publishes any: until the helpers have ended.
// removed says that the namespace's file is removed already.
func (all endpoints) freePorts(s *record.State, removed bool) {
	for _, e := range all {
		if len(s.Ports) > 0 || e.Joined() != nil {
			e.AwaitEnd(endTimeout, removed)
		}
	}
}

// alive checks whether each of the n networks is served.
func (all endpoints) alive(n int) bool {
	for _, e := range all {
		if !e.Alive() {
			return false
		}
	}
	return len(all) == n
}

// joined is what the container has of shared networks.
func (all endpoints) joined() []attach.Joined {
	var joined []attach.Joined
	for _, e := range all {
		if j := e.Joined(); j != nil {
			joined = append(joined, *j)
		}
	}
	return joined
}

// pids are the helpers' processes.
func (all endpoints) pids() []int {
	var pids []int
	for _, e := range all {
		if e.Joined() != nil {
			continue
		}
		pids = append(pids, e.Pid())
	}
	return pids
}
