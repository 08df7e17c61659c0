// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/moby/sys/capability"
)

// topColumn is a column of Top: its heading, and how it is read of a process.
type topColumn struct {
	name, heading string
	value         func(*proc) string
}

func topColumns() []topColumn {
	return []topColumn{
		{"user", "USER", func(p *proc) string { return p.user(p.uid) }},
		{"uid", "UID", func(p *proc) string { return p.uid }},
		{"group", "GROUP", func(p *proc) string { return p.gid }},
		{"gid", "GID", func(p *proc) string { return p.gid }},
		{"huser", "HUSER", func(p *proc) string { return p.hostUID }},
		{"hgroup", "HGROUP", func(p *proc) string { return p.hostGID }},
		{"pid", "PID", func(p *proc) string { return p.pid }},
		{"ppid", "PPID", func(p *proc) string { return p.ppid }},
		{"hpid", "HPID", func(p *proc) string { return p.hostPid }},
		{"%cpu", "%CPU", func(p *proc) string { return p.cpu() }},
		{"pcpu", "%CPU", func(p *proc) string { return p.cpu() }},
		{"etime", "ELAPSED", func(p *proc) string { return p.elapsed().Round(time.Second).String() }},
		{"time", "TIME", func(p *proc) string { return p.cpuTime.Round(time.Second).String() }},
		{"tty", "TTY", func(p *proc) string { return p.tty }},
		{"state", "STATE", func(p *proc) string { return p.state }},
		{"stat", "STAT", func(p *proc) string { return p.state }},
		{"nice", "NI", func(p *proc) string { return p.nice }},
		{"vsz", "VSZ", func(p *proc) string { return p.vsz }},
		{"rss", "RSS", func(p *proc) string { return p.rss }},
		{"comm", "COMMAND", func(p *proc) string { return p.comm }},
		{"args", "COMMAND", func(p *proc) string { return p.args }},
		{"capeff", "EFFECTIVE CAPS", func(p *proc) string { return p.capEff }},
		{"seccomp", "SECCOMP", func(p *proc) string {
			return map[string]string{"0": "disabled", "1": "strict", "2": "filter"}[p.seccomp]
		}},
	}
}

// TopColumns names the columns that Top knows.
func TopColumns() []string {
	var names []string
	for _, c := range topColumns() {
		names = append(names, c.name)
	}
	return names
}

// proc is a process of a container, by its files in /proc (proc(5)).
type proc struct {
	pid, ppid, hostPid          string // pid and ppid in the container's PID namespace
	uid, gid, hostUID, hostGID  string // uid and gid in the container's user namespace
	tty, state, nice, vsz, rss  string
	comm, args, capEff, seccomp string
	cpuTime                     time.Duration
	started                     time.Time
	users                       map[string]string
}

func (p *proc) elapsed() time.Duration { return time.Since(p.started) }

func (p *proc) cpu() string {
	if p.elapsed() <= 0 {
		return "0.000"
	}
	return strconv.FormatFloat(100*p.cpuTime.Seconds()/p.elapsed().Seconds(), 'f', 3, 64)
}

func (p *proc) user(uid string) string { return or(p.users[uid], uid) }

// Top lists the processes in a running container's PID namespace, as rows of columns, the first of them the headings.
// Without columns it shows podman's: user pid ppid %cpu etime tty time args.
func (e *Engine) Top(c *Container, columns []string) ([][]string, error) {
	if !c.Active() {
		return nil, about("run top in", c, ErrNotRunning)
	}
	if len(columns) == 0 {
		columns = []string{"user", "pid", "ppid", "%cpu", "etime", "tty", "time", "args"}
	}
	known := topColumns()
	var chosen []topColumn
	var heading []string
	for _, w := range columns {
		i := slices.IndexFunc(known, func(k topColumn) bool { return k.name == strings.ToLower(w) })
		if i < 0 {
			return nil, hint.Add(fmt.Errorf("unknown column %q", w), "the columns are: %s", strings.Join(TopColumns(), " "))
		}
		chosen = append(chosen, known[i])
		heading = append(heading, known[i].heading)
	}
	procs, err := processesOf(c.State.Pid)
	if err != nil {
		return nil, err
	}
	rows := [][]string{heading}
	for _, p := range procs {
		var row []string
		for _, k := range chosen {
			row = append(row, k.value(p))
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// processesOf reads every process of the PID namespace that init lives in, oldest first.
func processesOf(init int) ([]*proc, error) {
	ns, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(init), "ns/pid"))
	if err != nil {
		return nil, fmt.Errorf("look at process %d: %w", init, err)
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	users := passwd(filepath.Join("/proc", strconv.Itoa(init), "root"))
	boot := time.Now().Add(-sinceBoot())
	var list []*proc
	byHost := map[string]*proc{}
	for _, d := range entries {
		if d.Name()[0] < '0' || d.Name()[0] > '9' {
			continue
		}
		dir := filepath.Join("/proc", d.Name())
		if other, err := os.Readlink(filepath.Join(dir, "ns/pid")); err != nil || other != ns {
			continue
		}
		if p, err := readProc(dir, boot, init); err == nil { // it may have just ended
			p.users = users
			list = append(list, p)
			byHost[p.hostPid] = p
		}
	}
	for _, p := range list {
		if parent, ok := byHost[p.ppid]; ok {
			p.ppid = parent.pid
		} else {
			p.ppid = "0"
		}
	}
	slices.SortFunc(list, func(a, b *proc) int { return a.started.Compare(b.started) })
	return list, nil
}

func readProc(dir string, boot time.Time, init int) (*proc, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return nil, err
	}
	i, j := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	f := strings.Fields(string(stat[j+1:]))
	if i < 0 || j < i || len(f) < 22 {
		return nil, fmt.Errorf("%s/stat is not as proc(5) says", dir)
	}
	const tick = time.Second / 100
	p := &proc{
		hostPid: filepath.Base(dir), ppid: f[1], state: f[0], nice: f[16], comm: string(stat[i+1 : j]), tty: ttyName(f[4]),
		cpuTime: time.Duration(atoi64(f[11])+atoi64(f[12])) * tick, started: boot.Add(time.Duration(atoi64(f[19])) * tick),
	}
	cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil {
		return nil, err
	}
	p.args = strings.TrimSpace(strings.ReplaceAll(string(cmdline), "\x00", " "))
	if p.args == "" {
		p.args = "[" + p.comm + "]"
	}
	return p, p.readStatus(dir, init)
}

func (p *proc) readStatus(dir string, init int) error {
	data, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		key, value, _ := strings.Cut(line, ":")
		f := strings.Fields(value)
		if len(f) == 0 {
			continue
		}
		switch key {
		case "NSpid":
			p.pid = f[len(f)-1]
		case "Uid":
			p.hostUID = f[1]
		case "Gid":
			p.hostGID = f[1]
		case "VmSize":
			p.vsz = f[0]
		case "VmRSS":
			p.rss = f[0]
		case "CapEff":
			p.capEff = capNames(f[0])
		case "Seccomp":
			p.seccomp = f[0]
		}
	}
	p.uid = inside(filepath.Join("/proc", strconv.Itoa(init), "uid_map"), p.hostUID)
	p.gid = inside(filepath.Join("/proc", strconv.Itoa(init), "gid_map"), p.hostGID)
	return nil
}

// inside turns an ID of this process's user namespace into one of the namespace with that map.
func inside(mapFile, id string) string {
	n := atoi64(id)
	data, err := os.ReadFile(mapFile)
	if err != nil {
		return id
	}
	for line := range strings.Lines(string(data)) {
		var first, outside, count int64
		if _, err := fmt.Sscan(line, &first, &outside, &count); err == nil && n >= outside && n < outside+count {
			return strconv.FormatInt(first+n-outside, 10)
		}
	}
	return id
}

func capNames(hex string) string {
	bits, err := strconv.ParseUint(hex, 16, 64)
	if err != nil || bits == 0 {
		return "none"
	}
	var names []string
	for i, n := range capabilityNames() {
		if bits&(1<<i) != 0 {
			names = append(names, strings.TrimPrefix(n, "CAP_"))
		}
	}
	return strings.Join(names, ",")
}

// ttyName is the terminal of field 7 of /proc/PID/stat: major 136 are pseudo-terminals.
func ttyName(field string) string {
	n := atoi64(field)
	major, minor := n>>8&0xfff, n&0xff|n>>12&0xfff00
	switch {
	case n == 0:
		return "?"
	case major >= 136 && major <= 143:
		return "pts/" + strconv.FormatInt(minor+(major-136)*256, 10)
	}
	return "tty" + strconv.FormatInt(minor, 10)
}

// passwd reads the names of the container's users from its /etc/passwd, which is not trusted.
func passwd(root string) map[string]string {
	users := map[string]string{}
	data, err := spec.NewRootfs(root).ReadFile("/etc/passwd")
	if err != nil {
		return users
	}
	for line := range strings.Lines(string(data)) {
		if w := strings.Split(line, ":"); len(w) > 2 {
			users[w[2]] = w[0]
		}
	}
	return users
}

// capabilityNames are the kernel's, by number.
func capabilityNames() []string {
	var names []string
	for _, c := range capability.ListKnown() {
		names = append(names, "CAP_"+strings.ToUpper(strings.TrimPrefix(c.String(), "CAP_")))
	}
	return names
}
