// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"context"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Stats are figures of what a container has used, at one moment: those of its cgroup, or, without one, the sums of those of its processes.
// They are zero for a container that does not run.
type Stats struct {
	ID, Name string
	Time     time.Time
	Started  time.Time

	CPU       time.Duration   // since the start
	CPUSystem time.Duration   // of it in the kernel
	PerCPU    []time.Duration // of each processor; cgroups v1 alone tell
	Memory    uint64          // bytes
	// MemoryLimit is the limit, or what the host has, whichever is less; bytes.
	MemoryLimit uint64
	MemoryIsSet bool                    // MemoryLimit is the container's own
	Network     map[string]NetworkStats // by interface; none where it is the host's
	Read        uint64                  // bytes, from block devices
	Written     uint64                  // bytes, to block devices
	PIDs        uint64                  // processes and threads
	PIDsLimit   uint64                  // 0 is none

	// How much the container has waited for something, by what it is: cpu, memory, io; empty where the kernel does not tell.
	Pressure map[string]Pressure
}

// NetworkStats are the figures of a network interface of a container.
type NetworkStats struct {
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// Pressure is the share of time in which processes waited for a resource (the kernel's PSI): percent, of the last ten seconds and minutes.
type Pressure struct {
	Some, Full PressureShare // some processes waited; all did
}

// PressureShare are averages in percent, and the time in all.
type PressureShare struct {
	Avg10, Avg60, Avg300 float64
	Total                time.Duration
}

// CPUPercent is how much of a processor the container has used since before, or, if that is nil, since its start.
func (s *Stats) CPUPercent(before *Stats) float64 {
	used, since := s.CPU, s.Started
	if before != nil && before.Started.Equal(s.Started) {
		used, since = s.CPU-before.CPU, before.Time
	}
	passed := s.Time.Sub(since)
	if passed <= 0 || used <= 0 {
		return 0
	}
	return 100 * float64(used) / float64(passed)
}

// MemoryPercent is how much of its limit the container has used.
func (s *Stats) MemoryPercent() float64 {
	if s.MemoryLimit == 0 {
		return 0
	}
	return 100 * float64(s.Memory) / float64(s.MemoryLimit)
}

// Received and Sent are the bytes of all networks.
func (s *Stats) Received() (sum uint64) {
	for _, n := range s.Network {
		sum += n.RxBytes
	}
	return sum
}

// Sent is Received in the other direction.
func (s *Stats) Sent() (sum uint64) {
	for _, n := range s.Network {
		sum += n.TxBytes
	}
	return sum
}

// Stats takes figures of containers, in their order. One that ends meanwhile has zeros.
func (e *Engine) Stats(ctx context.Context, list []*Container) ([]*Stats, error) {
	memory := hostMemory()
	var processes *processTable // read once, if any container has no cgroup
	stats := make([]*Stats, len(list))
	for i, c := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s := &Stats{ID: c.ID, Name: c.State.Name, Time: time.Now(), Started: c.State.StartedAt}
		stats[i] = s
		if !c.Active() || !Alive(c.State) {
			continue
		}
		if g := containerCgroups(c.State.Pid, c.ID); g != nil {
			g.read(s)
		} else {
			if processes == nil {
				processes = readProcesses()
			}
			processes.read(s, c.State.Pid)
		}
		s.MemoryIsSet = s.MemoryLimit > 0 && s.MemoryLimit < memory
		if !s.MemoryIsSet {
			s.MemoryLimit = memory
		}
		s.Network = networkStats(c.State.Pid)
	}
	return stats, nil
}

func hostMemory() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return uint64(info.Totalram) * uint64(info.Unit)
}

// ownCgroups are the directories of a container's cgroup: one, named "", with version 2; with version 1 one a controller.
type ownCgroups struct {
	v2   bool
	dirs map[string]string
	init string // with version 2, the one that init is in: crun's is below the scope, and has the limits of an update
}

// containerCgroups finds the cgroup of the container with this ID: the one that bears its name, above the one that init is in, which may have
// made others below. It is nil where there is none.
func containerCgroups(pid int, id string) *ownCgroups {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cgroup"))
	if err != nil {
		return nil
	}
	root := hostCgroups()
	g := &ownCgroups{v2: root.v2, dirs: map[string]string{}}
	for line := range strings.Lines(string(data)) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		i := strings.Index(path, id)
		if i < 0 || (number == "0") != root.v2 {
			continue
		}
		if end := strings.IndexByte(path[i:], '/'); end >= 0 {
			g.init = filepath.Join(root.root, path)
			path = path[:i+end]
		}
		if root.v2 {
			g.dirs[""] = filepath.Join(root.root, path)
			continue
		}
		for c := range strings.SplitSeq(controllers, ",") {
			g.dirs[c] = filepath.Join(root.root, c, path)
		}
	}
	if len(g.dirs) == 0 {
		return nil
	}
	return g
}

// cgroupPathOf is the cgroup of a container that runs, below the file system's root; with version 1 it is that of a controller. It is empty where there is none.
func cgroupPathOf(pid int, id string) string {
	g := containerCgroups(pid, id)
	if g == nil {
		return ""
	}
	name := slices.Sorted(maps.Keys(g.dirs))[0]
	if _, ok := g.dirs["memory"]; ok {
		name = "memory"
	}
	return strings.TrimPrefix(g.dirs[name], filepath.Join(hostCgroups().root, name))
}

func (g *ownCgroups) read(s *Stats) {
	if g.v2 {
		readUnified(s, g.dirs[""])
		for dir := g.init; len(dir) > len(g.dirs[""]); dir = filepath.Dir(dir) {
			if n := fileNumber(dir, "memory.max"); n > 0 && (s.MemoryLimit == 0 || n < s.MemoryLimit) {
				s.MemoryLimit = n
			}
			if n := fileNumber(dir, "pids.max"); n > 0 && (s.PIDsLimit == 0 || n < s.PIDsLimit) {
				s.PIDsLimit = n
			}
		}
		return
	}
	cpu, memory, pids, blkio := g.dirs["cpuacct"], g.dirs["memory"], g.dirs["pids"], g.dirs["blkio"]
	s.CPU = time.Duration(fileNumber(cpu, "cpuacct.usage"))
	const tick = time.Second / 100
	s.CPUSystem = time.Duration(fileTable(cpu, "cpuacct.stat")["system"]) * tick
	for _, n := range strings.Fields(fileText(cpu, "cpuacct.usage_percpu")) {
		s.PerCPU = append(s.PerCPU, time.Duration(atoi64(n)))
	}
	s.Memory, s.MemoryLimit = fileNumber(memory, "memory.usage_in_bytes"), fileNumber(memory, "memory.limit_in_bytes")
	s.PIDs, s.PIDsLimit = fileNumber(pids, "pids.current"), fileNumber(pids, "pids.max")
	if pids == "" {
		s.PIDs = uint64(len(strings.Fields(fileText(memory, "tasks"))))
	}
	io := fileText(blkio, "blkio.throttle.io_service_bytes_recursive")
	for line := range strings.Lines(io + fileTextIf(io == "", blkio, "blkio.throttle.io_service_bytes")) {
		f := strings.Fields(line) // 8:0 Read 4096
		if len(f) != 3 {
			continue
		}
		switch f[1] {
		case "Read":
			s.Read += uint64(atoi64(f[2]))
		case "Write":
			s.Written += uint64(atoi64(f[2]))
		}
	}
}

func fileTextIf(want bool, dir, name string) string {
	if !want {
		return ""
	}
	return fileText(dir, name)
}

// readUnified reads the files of a cgroup of version 2. What a controller that is not enabled does not tell, the processes do.
func readUnified(s *Stats, dir string) {
	cpu := fileTable(dir, "cpu.stat") // there without the controller, too
	s.CPU, s.CPUSystem = time.Duration(cpu["usage_usec"])*time.Microsecond, time.Duration(cpu["system_usec"])*time.Microsecond
	s.Memory, s.MemoryLimit = fileNumber(dir, "memory.current"), fileNumber(dir, "memory.max")
	s.PIDs, s.PIDsLimit = fileNumber(dir, "pids.current"), fileNumber(dir, "pids.max")
	pids := strings.Fields(fileText(dir, "cgroup.procs"))
	if s.PIDs == 0 {
		s.PIDs = uint64(len(pids))
	}
	if !exists(filepath.Join(dir, "memory.current")) {
		for _, pid := range pids {
			if p, ok := readProcess(int(atoi64(pid))); ok {
				s.Memory += p.memory
			}
		}
	}
	for line := range strings.Lines(fileText(dir, "io.stat")) {
		for _, w := range strings.Fields(line) { // 8:0 rbytes=1 wbytes=2 …
			switch name, value, _ := strings.Cut(w, "="); name {
			case "rbytes":
				s.Read += uint64(atoi64(value))
			case "wbytes":
				s.Written += uint64(atoi64(value))
			}
		}
	}
	for _, what := range []string{"cpu", "memory", "io"} {
		text := fileText(dir, what+".pressure")
		if text == "" {
			continue
		}
		if s.Pressure == nil {
			s.Pressure = map[string]Pressure{}
		}
		s.Pressure[what] = parsePressure(text)
	}
}

// parsePressure reads a file of PSI: some avg10=0.00 avg60=0.00 avg300=0.00 total=0.
func parsePressure(text string) (p Pressure) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		share := &p.Some
		if f[0] == "full" {
			share = &p.Full
		}
		for _, w := range f[1:] {
			name, value, _ := strings.Cut(w, "=")
			n, _ := strconv.ParseFloat(value, 64)
			switch name {
			case "avg10":
				share.Avg10 = n
			case "avg60":
				share.Avg60 = n
			case "avg300":
				share.Avg300 = n
			case "total":
				share.Total = time.Duration(n) * time.Microsecond
			}
		}
	}
	return p
}

// processTable are the host's processes, for containers without a cgroup.
type processTable struct {
	byNS     map[string][]int // by PID namespace
	children map[int][]int
	own      string // the PID namespace of this process
}

func readProcesses() *processTable {
	t := &processTable{byNS: map[string][]int{}, children: map[int][]int{}}
	t.own, _ = os.Readlink("/proc/self/ns/pid")
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return t
	}
	for _, d := range entries {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if ns, err := os.Readlink(filepath.Join("/proc", d.Name(), "ns/pid")); err == nil {
			t.byNS[ns] = append(t.byNS[ns], pid)
			if p, ok := readProcess(pid); ok && ns == t.own {
				t.children[p.parent] = append(t.children[p.parent], pid)
			}
		}
	}
	return t
}

// read sums up the processes of the container whose init is pid: those of its PID namespace, or, where it has that of others, those below init.
func (t *processTable) read(s *Stats, pid int) {
	ns, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns/pid"))
	if err != nil {
		return
	}
	pids := t.byNS[ns]
	if ns == t.own {
		pids = []int{pid}
		for i := 0; i < len(pids); i++ {
			pids = append(pids, t.children[pids[i]]...)
		}
	}
	for _, pid := range pids {
		p, ok := readProcess(pid)
		if !ok {
			continue
		}
		s.CPU += p.cpu
		s.CPUSystem += p.system
		s.Memory += p.memory
		s.PIDs += p.threads
		io := fileTable(filepath.Join("/proc", strconv.Itoa(pid)), "io")
		s.Read += io["read_bytes:"]
		s.Written += io["write_bytes:"]
	}
}

// process is what /proc/PID/stat says of one.
type process struct {
	parent          int
	cpu, system     time.Duration // with its children that have ended
	memory, threads uint64
}

func readProcess(pid int) (p process, ok bool) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return p, false
	}
	f := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(f) < 22 {
		return p, false
	}
	const tick = time.Second / 100
	ticks := func(fields ...int) (sum time.Duration) {
		for _, i := range fields {
			sum += time.Duration(atoi64(f[i])) * tick
		}
		return sum
	}
	// proc(5): f[0] is field 3, the state.
	return process{
		parent: int(atoi64(f[1])), cpu: ticks(11, 12, 13, 14), system: ticks(12, 14),
		threads: uint64(atoi64(f[17])), memory: uint64(atoi64(f[21])) * uint64(os.Getpagesize()),
	}, true
}

// networkStats reads the interfaces of the network namespace that a process is in, but for the loopback; nil if it is that of this process.
func networkStats(pid int) map[string]NetworkStats {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	theirs, err := os.Readlink(filepath.Join(dir, "ns/net"))
	if ours, _ := os.Readlink("/proc/self/ns/net"); err != nil || ours == theirs {
		return nil
	}
	list := map[string]NetworkStats{}
	for line := range strings.Lines(fileText(dir, "net/dev")) {
		name, rest, found := strings.Cut(line, ":")
		f := strings.Fields(rest)
		if name = strings.TrimSpace(name); !found || name == "lo" || len(f) < 12 {
			continue
		}
		n := func(i int) uint64 { return uint64(atoi64(f[i])) }
		list[name] = NetworkStats{
			RxBytes: n(0), RxPackets: n(1), RxErrors: n(2), RxDropped: n(3),
			TxBytes: n(8), TxPackets: n(9), TxErrors: n(10), TxDropped: n(11),
		}
	}
	return list
}

// fileText reads a file; one that is not there, and any of no directory, is empty.
func fileText(dir, name string) string {
	if dir == "" {
		return ""
	}
	data, _ := os.ReadFile(filepath.Join(dir, name))
	return string(data)
}

// fileNumber reads a file with one number. One that is not there is 0, and so is a limit that is none: max, or with version 1 nearly all that a
// number of 64 bits can be.
func fileNumber(dir, name string) uint64 {
	n, err := strconv.ParseUint(strings.TrimSpace(fileText(dir, name)), 10, 64)
	if err != nil || n > math.MaxInt64/2 {
		return 0
	}
	return n
}

// fileTable reads a file with a name and a number a line.
func fileTable(dir, name string) map[string]uint64 {
	table := map[string]uint64{}
	for line := range strings.Lines(fileText(dir, name)) {
		if f := strings.Fields(line); len(f) == 2 {
			table[f[0]], _ = strconv.ParseUint(f[1], 10, 64)
		}
	}
	return table
}
