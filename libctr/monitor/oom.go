package monitor

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

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

// oomKilled tells whether the kernel has killed a process in the cgroup for want
// of memory: "oom_kill 1" in memory.events (v2) or memory.oom_control (v1).
func oomKilled(dir string) bool {
	if dir == "" {
		return false
	}
	for _, name := range []string{"memory.events", "memory.oom_control"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(data)) {
			if n, ok := strings.CutPrefix(line, "oom_kill "); ok {
				return strings.TrimSpace(n) != "0"
			}
		}
	}
	return false
}
