// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// memoryCgroup finds the directory of the memory cgroup that a process has for
// itself; empty where it shares that of the monitor.
func memoryCgroup(pid int) string {
	theirs, dir := cgroupOf(strconv.Itoa(pid))
	ours, _ := cgroupOf("self")
	if theirs == "" || theirs == ours {
		return ""
	}
	return filepath.Join(dir, theirs)
}

// cgroupOf reads /proc/PID/cgroup (cgroups(7)): the path in the memory hierarchy, and where that is mounted.
func cgroupOf(pid string) (path, mount string) {
	data, err := os.ReadFile("/proc/" + pid + "/cgroup")
	if err != nil {
		return "", ""
	}
	return parseCgroup(string(data), isCgroup2("/sys/fs/cgroup"))
}

func isCgroup2(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
}

// parseCgroup finds the memory controller's line in the text of /proc/PID/cgroup.
func parseCgroup(text string, v2 bool) (path, mount string) {
	for line := range strings.Lines(text) {
		id, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, p, _ := strings.Cut(rest, ":")
		if v2 && id == "0" {
			return p, "/sys/fs/cgroup"
		}
		if !v2 && slices.Contains(strings.Split(controllers, ","), "memory") {
			return p, "/sys/fs/cgroup/memory"
		}
	}
	return "", ""
}

// oomKilled reports whether the kernel has killed a process in the cgroup for want
// of memory: "oom_kill 1" in memory.events (v2) or memory.oom_control (v1).
func oomKilled(dir string) bool { return memoryEvents(dir)["oom_kill"] > 0 }

// memoryEvents reads the cgroup's counters; it is empty where there are none.
func memoryEvents(dir string) map[string]int {
	if dir == "" {
		return nil
	}
	for _, name := range []string{"memory.events", "memory.oom_control"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		events := map[string]int{}
		for line := range strings.Lines(string(data)) {
			word, count, _ := strings.Cut(strings.TrimSpace(line), " ")
			events[word], _ = strconv.Atoi(count)
		}
		return events
	}
	return nil
}

// oomWatch notices OOM kills when they happen: systemd removes a scope, and with it its
// memory.events, as soon as the last process has ended. It sleeps until the kernel changes the file.
type oomWatch struct {
	f     *os.File    // inotify
	seen  atomic.Bool // an OOM kill
	news  bool        // its event was written; guarded by Monitor.mu
	limit atomic.Bool // the container has met its limit
}

// limitPause is the least time between two events that tell of a limit being near: reclaim goes on and on there.
const limitPause = time.Minute

// watchOOM watches the memory cgroup dir, and has events tell of OOM kills and of a limit that is near; nil where there is nothing to watch (cgroups v1, whose directory stays).
func (m *Monitor) watchOOM(dir string) *oomWatch {
	if dir == "" || !isCgroup2("/sys/fs/cgroup") {
		return nil
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	// cgroup v2, "memory.events": a change of the file makes a file modified event
	if _, err := unix.InotifyAddWatch(fd, filepath.Join(dir, "memory.events"), unix.IN_MODIFY); err != nil {
		unix.Close(fd)
		return nil
	}
	w := &oomWatch{f: os.NewFile(uintptr(fd), "inotify")}
	before := memoryEvents(dir) // a former monitor has told of these, or they came before there was a watch
	w.note(before)
	go func() {
		buf := make([]byte, 512)
		var warned time.Time
		for {
			if _, err := w.f.Read(buf); err != nil {
				return
			}
			e := memoryEvents(dir)
			w.note(e)
			// cgroup v2, "memory.events": high and max count how often the processes were about to go over these limits.
			near := e["max"]+e["high"] > before["max"]+before["high"] && time.Since(warned) > limitPause
			killed := e["oom_kill"] > before["oom_kill"]
			if near {
				warned = time.Now()
			}
			before = e
			m.tellOfLimit(w, dir, near && !killed, killed)
		}
	}()
	return w
}

// note remembers what the counters of a cgroup say.
func (w *oomWatch) note(e map[string]int) {
	if e["oom_kill"] > 0 {
		w.seen.Store(true)
	}
	if e["max"] > 0 || e["oom"] > 0 {
		w.limit.Store(true)
	}
}

// A container that the kernel kills in its first milliseconds may be gone, and systemd may have removed its cgroup, before it can be watched. The counters of a cgroup
// count those below it too (cgroup v2, "memory.events"), so one around it, which stays, tells whether there was a kill meanwhile.

// shortLife is how long a container may have run for a kill around it to be taken for its own.
const shortLife = 2 * time.Second

// cgroupAround is the directory of a cgroup around the container's that is there before and after it; empty where systemd makes none, or cgroups are v1.
func (m *Monitor) cgroupAround() string {
	slice, _, systemd := strings.Cut(m.cfg.CgroupPath, ":")
	if !systemd || !isCgroup2("/sys/fs/cgroup") {
		return ""
	}
	own, mount := cgroupOf("self")
	return aroundScope(own, mount, slice, unix.Geteuid() == 0 && !inUserNamespace())
}

// aroundScope is that of a scope which systemd makes in a slice, for a process in the cgroup own: the topmost slice, or an ordinary user's own.
func aroundScope(own, mount, slice string, root bool) string {
	if root {
		top, _, _ := strings.Cut(strings.TrimSuffix(slice, ".slice"), "-") // a-b.slice is in a.slice
		return filepath.Join(mount, top+".slice")
	}
	before, rest, ok := strings.Cut(own, "/user-") // /user.slice/user-1000.slice/…
	if !ok {
		return ""
	}
	user, _, _ := strings.Cut(rest, "/")
	return filepath.Join(mount, before, "user-"+user)
}

func inUserNamespace() bool {
	data, err := os.ReadFile("/proc/self/uid_map")
	return err == nil && strings.Join(strings.Fields(string(data)), " ") != "0 0 4294967295"
}

// killedUnseen reports whether there was an OOM kill around a container that ended by SIGKILL, which nobody asked for, before it was watched.
func (m *Monitor) killedUnseen() bool {
	if m.around == "" || time.Since(m.state.StartedAt) > shortLife || m.memory != "" && memoryEvents(m.memory) != nil {
		return false
	}
	return memoryEvents(m.around)["oom_kill"] > m.killsBefore
}

// tellOfLimit writes events about the container's memory, unless recordExit was faster.
func (m *Monitor) tellOfLimit(w *oomWatch, dir string, near, killed bool) {
	if !near && !killed {
		return
	}
	figure := func(name string) string {
		data, _ := os.ReadFile(filepath.Join(dir, name))
		return strings.TrimSpace(string(data))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.init == nil || m.oom != w {
		return
	}
	if killed {
		w.news = true
		m.event("oom", nil)
	}
	if near {
		m.event("near_limit", map[string]string{"resource": "memory", "usage": figure("memory.current"), "limit": figure("memory.max")})
	}
}

// told reports whether an event has told of an OOM kill. It requires Monitor.mu.
func (w *oomWatch) told() bool { return w != nil && w.news }

// killed reports whether there was an OOM kill, after the container has ended, and ends the watch. sigkill says that
// init ended by a SIGKILL that nobody asked the monitor for.
func (w *oomWatch) killed(dir string, sigkill bool) bool {
	if w == nil {
		return oomKilled(dir)
	}
	defer w.f.Close()
	if w.seen.Load() || oomKilled(dir) {
		return true
	}
	if _, err := os.Stat(filepath.Join(dir, "memory.events")); !sigkill || !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	// systemd was faster than we, and the kernel tells of changes of memory.events at most every 10 ms: the last
	// one, the kill, may have come with nobody left to tell. A container that has met its limit and then was
	// killed by nobody was killed by the kernel.
	for range 10 {
		if w.seen.Load() || w.limit.Load() {
			return true
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}
