// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/rootless"
)

// Host is what Generate has to know of where the container will run: of the
// process, in the user namespace that the runtime is started in.
type Host struct {
	Rootless    bool            // in a user namespace other than the first: no device nodes, no raised limits
	Bounding    []string        // capabilities that can be given, CAP_…; sorted by number
	Rlimits     []record.Ulimit // the caller's own
	RaiseLimits bool            // hard limits can be raised (CAP_SYS_RESOURCE in the first user namespace)
	OOMScoreAdj int             // the caller's own
	Threads     int64           // that the kernel can have in all; 0 is unknown
	UIDMap      []IDRange       // of the user namespace; what is mapped
	GIDMap      []IDRange
	OwnerUID    uint32 // what ID 0 here is outside: the caller
	OwnerGID    uint32
	NoSetgroups bool // setgroups(2) is denied (user_namespaces(7)): no supplementary groups
	Mqueue      bool // /dev/mqueue is there
	CgroupV2    bool // the unified hierarchy alone
	NoSwapLimit bool // cgroup v1 without swap accounting
	NoSysctls   bool // /proc/sys is read-only: Berth runs in a container
	NoHostname  bool // a seccomp filter forbids sethostname(2): Berth runs in a container

	PerCPU []string // paths below /sys that are masked, one of each CPU
}

// IDRange is a range of user or group IDs that a namespace maps.
type IDRange struct{ First, Count uint32 }

// ReadHost reads the facts of the calling process. It takes well below 100 µs.
func ReadHost() (Host, error) {
	var h Host
	var err error
	var first bool
	if h.UIDMap, h.OwnerUID, first, err = readIDMap("/proc/self/uid_map"); err != nil {
		return h, err
	}
	if h.GIDMap, h.OwnerGID, _, err = readIDMap("/proc/self/gid_map"); err != nil {
		return h, err
	}
	// An engine in a container may map all IDs to themselves in a namespace of its own.
	first = first && rootless.FirstUserNS()
	h.Rootless = !first
	if setgroups, err := readProc("/proc/self/setgroups"); err == nil {
		h.NoSetgroups = bytes.HasPrefix(setgroups, []byte("deny"))
	}
	h.Bounding = boundingSet()
	for _, c := range h.Bounding {
		h.RaiseLimits = h.RaiseLimits || first && os.Geteuid() == 0 && c == "CAP_SYS_RESOURCE"
	}
	for _, r := range rlimits {
		var l unix.Rlimit
		if err := unix.Getrlimit(r.number, &l); err != nil {
			return h, fmt.Errorf("read the limit %s: %w", r.name, err)
		}
		h.Rlimits = append(h.Rlimits, record.Ulimit{Name: "RLIMIT_" + strings.ToUpper(r.name), Soft: int64(l.Cur), Hard: int64(l.Max)})
	}
	score, err := readProc("/proc/self/oom_score_adj")
	if err != nil {
		return h, err
	}
	if h.OOMScoreAdj, err = strconv.Atoi(string(bytes.TrimSpace(score))); err != nil {
		return h, err
	}
	if threads, err := readProc("/proc/sys/kernel/threads-max"); err == nil {
		h.Threads, _ = strconv.ParseInt(string(bytes.TrimSpace(threads)), 10, 64)
	}
	var st unix.Statfs_t
	h.CgroupV2 = unix.Statfs("/sys/fs/cgroup", &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC
	const v1 = "/sys/fs/cgroup/memory/memory."
	h.NoSwapLimit = !h.CgroupV2 && unix.Access(v1+"limit_in_bytes", unix.F_OK) == nil && unix.Access(v1+"memsw.limit_in_bytes", unix.F_OK) != nil
	h.Mqueue = unix.Access("/dev/mqueue", unix.F_OK) == nil
	h.NoSysctls = unix.Statfs("/proc/sys", &st) == nil && st.Flags&unix.ST_RDONLY != 0
	if mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0); err == nil && mode != 0 {
		h.NoHostname = !canSetHostname()
	}
	h.PerCPU = perCPU("/sys/devices/system/cpu")
	return h, nil
}

// perCPU lists what is masked below dir/cpuN: thermal_throttle, which Intel's CPUs have, all or none.
func perCPU(dir string) (paths []string) {
	if unix.Access(dir+"/cpu0/thermal_throttle", unix.F_OK) != nil {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, d := range entries {
		if n, ok := strings.CutPrefix(d.Name(), "cpu"); ok && n != "" && strings.Trim(n, "0123456789") == "" {
			paths = append(paths, dir+"/"+d.Name()+"/thermal_throttle")
		}
	}
	return paths
}

// canSetHostname tries to, in a UTS namespace that ends with the thread. It is false too where that cannot be made.
func canSetHostname() bool {
	can := make(chan bool)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var u unix.Utsname
		can <- unix.Unshare(unix.CLONE_NEWUTS) == nil && unix.Uname(&u) == nil && unix.Sethostname([]byte(unix.ByteSliceToString(u.Nodename[:]))) == nil
	}()
	return <-can
}

// readIDMap reads a map of /proc; owner is what 0 stands for, and first
// reports whether it is the first user namespace's.
func readIDMap(path string) (ranges []IDRange, owner uint32, first bool, err error) {
	data, err := readProc(path)
	if err != nil {
		return nil, 0, false, err
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			return nil, 0, false, fmt.Errorf("read %s: %q is not a mapping", path, line)
		}
		from, err1 := strconv.ParseUint(f[0], 10, 32)
		to, err2 := strconv.ParseUint(f[1], 10, 32)
		count, err3 := strconv.ParseUint(f[2], 10, 32)
		if err1 != nil || err2 != nil || err3 != nil {
			return nil, 0, false, fmt.Errorf("read %s: %q is not a mapping", path, line)
		}
		first = from == 0 && to == 0 && count == 1<<32-1
		if from == 0 {
			owner = uint32(to)
		}
		ranges = append(ranges, IDRange{uint32(from), uint32(count)})
	}
	return ranges, owner, first, nil
}

func mapped(ranges []IDRange, id uint32) bool {
	for _, r := range ranges {
		if id >= r.First && id-r.First < r.Count {
			return true
		}
	}
	return false
}

// readProc reads a file of /proc that is smaller than a page: os.ReadFile takes three times as long.
func readProc(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return buf[:n], nil
}
