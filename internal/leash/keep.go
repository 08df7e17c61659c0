// SPDX-License-Identifier: Apache-2.0

package leash

import (
	"bytes"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const keeperName = "berth-keeper"

// Keep is the keeper: it reads the pipe until the command has ended, and then kills what has the mark.
func Keep(mark string, pipe io.Reader) {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	_ = os.WriteFile("/proc/self/comm", []byte(keeperName), 0) // not berth-monitor, whose program it shares
	var said [1]byte
	if n, _ := pipe.Read(said[:]); n > 0 || mark == "" {
		return // End
	}
	// A process that the kernel cannot end now, one that waits for a disk, is not waited for without end.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		all := belonging(mark, nil)
		if len(all) == 0 {
			return
		}
		for _, p := range all {
			p.kill(mark)
		}
	}
}

// Interrupt kills what this process has started and waits for, since those that it waits in know of no context: at once all that
// there is, and for some seconds, if this process lives that long, what unpacks a further layer, and what is left of those that were killed. What ends
// a container by itself when it is told of a signal is left to do so, and what cleans up is started later.
func Interrupt() {
	mu.Lock()
	word := mark
	mu.Unlock()
	if word == "" {
		return
	}
	for _, p := range belonging(word, endsItself) {
		p.kill(word)
	}
	go func() {
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
			for _, p := range belonging(word, cleansUp) {
				p.kill(word)
			}
		}
	}()
}

// unpackers are what the storage library runs for layers, which come from elsewhere.
var unpackers = []string{"storage-untar", "storage-applyLayer", "storage-tar"}

// cleansUp tells of the other children of this process.
func cleansUp(p *process) bool {
	return endsItself(p) || p.parent == os.Getpid() && !slices.Contains(unpackers, p.argv0)
}

// endsItself tells of what buildah passes the signal on to, and of a build's own process, which is told in another way.
func endsItself(p *process) bool {
	return p.argv0 == "berth-build-worker" || p.argv0 == "buildah-oci-runtime" || strings.HasPrefix(p.argv0, "buildah-chroot-")
}

// process is one of those in /proc.
type process struct {
	pid, parent int
	name        string // comm(5)
	started     string // in ticks since the boot: numbers are used again
	argv0       string
	marked      bool
}

// belonging finds the processes that have a mark, and those that descend from them, but for monitors, which are meant to live, and
// those that without names; what descends from either is left out too.
func belonging(mark string, without func(*process) bool) []*process {
	all, found := others(mark), false
	for _, p := range all {
		found = found || p.marked
	}
	if !found {
		return nil
	}
	var belong []*process
	for _, p := range all {
		if ours(p, all, without) {
			belong = append(belong, p)
		}
	}
	parentsFirst(belong, all)
	return belong
}

// others are all processes but this one.
func others(mark string) map[int]*process {
	dirs, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	all := map[int]*process{}
	for _, d := range dirs {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p := look(pid, mark); p != nil {
			all[pid] = p
		}
	}
	return all
}

// KillTree kills a child that has not been waited for, and what descends from it.
func KillTree(pid int) {
	const noMark = ""
	all := others(noMark)
	var tree []*process
	for _, p := range all {
		up := p
		for n := 0; up != nil && up.pid != pid && n < len(all); n++ {
			up = all[up.parent]
		}
		if up != nil && up.pid == pid {
			tree = append(tree, p)
		}
	}
	parentsFirst(tree, all)
	for _, p := range tree {
		p.kill(noMark)
	}
}

// parentsFirst sorts processes so that none is killed before its parent: a script whose child has been killed may go on, and end as if
// all were well.
func parentsFirst(list []*process, all map[int]*process) {
	depth := func(p *process) (n int) {
		for p = all[p.parent]; p != nil && n <= len(all); p = all[p.parent] {
			n++
		}
		return n
	}
	slices.SortFunc(list, func(a, b *process) int { return depth(a) - depth(b) })
}

func ours(p *process, all map[int]*process, without func(*process) bool) bool {
	marked := false
	for steps := 0; p != nil && steps <= len(all); p, steps = all[p.parent], steps+1 {
		if p.name == "berth-monitor" || p.name == keeperName || without != nil && without(p) {
			return false
		}
		marked = marked || p.marked
	}
	return marked
}

// look is nil for a process that has ended, and is not to be seen by us.
func look(pid int, mark string) *process {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	stat, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return nil
	}
	p := &process{pid: pid}
	from, to := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if from < 0 || to < from {
		return nil
	}
	words := strings.Fields(string(stat[to+1:])) // from the third field of proc_pid_stat(5) on
	if len(words) < 20 || words[0] == "Z" || words[0] == "X" {
		return nil
	}
	p.started = words[19]
	if p.parent, err = strconv.Atoi(words[1]); err != nil {
		return nil
	}
	p.name = string(stat[from+1 : to])
	if environ, err := os.ReadFile(dir + "/environ"); err == nil {
		p.marked = bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+Env+"="+mark+"\x00"))
	}
	if cmdline, err := os.ReadFile(dir + "/cmdline"); err == nil {
		argv0, _, _ := bytes.Cut(cmdline, []byte{0})
		p.argv0 = string(argv0)
	}
	return p
}

// kill kills a process that has been looked at, and no other that has got its number since.
func (p *process) kill(mark string) {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return // it has ended
	}
	defer unix.Close(fd)
	if now := look(p.pid, mark); now != nil && now.started == p.started {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}
