// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/berth-containers/berth/internal/proc"
	"github.com/berth-containers/berth/libctr/record"
)

var bootID = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
})

// procStat is proc.Stat.
func procStat(pid int) (ppid int, start uint64, ok bool) { return proc.Stat(pid) }

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

// initAlive reports whether the process that the state names is there: the same
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
