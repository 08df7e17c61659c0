package monitor

import (
	"bytes"
	"os"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/libctr/record"
)

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// procStat returns fields of /proc/PID/stat (proc(5)); ok is false without such a
// process, or with its zombie only.
func procStat(pid int) (ppid int, start uint64, ok bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, false
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 20 || f[0][0] == 'Z' || f[0][0] == 'X' {
		return 0, 0, false
	}
	ppid, _ = strconv.Atoi(string(f[1]))
	start, err = strconv.ParseUint(string(f[19]), 10, 64)
	return ppid, start, err == nil
}

// neverExecuted checks whether a process, or a zombie, is a fork that has executed no program since (PF_FORKNOEXEC).
func neverExecuted(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 7 {
		return false
	}
	flags, err := strconv.ParseUint(string(f[6]), 10, 64)
	return err == nil && flags&0x40 != 0
}

// adopted returns the pids of the children that this process, a subreaper, has got from processes which
// have ended; others may be among them. They are its first thread's, which a Go program always has.
func adopted() []int {
	me := strconv.Itoa(os.Getpid())
	data, _ := os.ReadFile("/proc/self/task/" + me + "/children") // there is none without CONFIG_PROC_CHILDREN
	var pids []int
	for _, f := range bytes.Fields(data) {
		if pid, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// children returns the pids of this process's children, slowly.
func children() []int {
	var pids []int
	all, _ := os.ReadDir("/proc")
	for _, d := range all {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		if ppid, _, ok := procStat(pid); ok && ppid == os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// initAlive tells whether the process that the state names is there: the same
// one, in the same boot.
func initAlive(s *record.State) bool {
	if s.Pid <= 0 || s.BootID != bootID() {
		return false
	}
	_, start, ok := procStat(s.Pid)
	return ok && start == s.PidStart
}

func readPid(path string) (int, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(data)))
}
