// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/berth-containers/berth/libctr/record"
	"golang.org/x/sys/unix"
)

// BootID is the kernel's name for this boot.
var BootID = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
})

// Alive reports whether the container's init process is there: the same process, in the same boot,
// and not a zombie.
func Alive(s *record.State) bool {
	if s.Pid <= 0 || s.BootID != BootID() {
		return false
	}
	start, ok := procStart(s.Pid)
	return ok && start == s.PidStart
}

// procStart returns when a process started, in clock ticks since the boot (proc(5), field 22 of
// /proc/PID/stat); ok is false where there is none, or only its zombie.
func procStart(pid int) (start uint64, ok bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, false
	}
	// the command's name, in parentheses, may hold anything
	i := bytes.LastIndexByte(data, ')')
	if i < 0 {
		return 0, false
	}
	f := strings.Fields(string(data[i+1:]))
	if len(f) < 20 || f[0] == "Z" || f[0] == "X" {
		return 0, false
	}
	start, err = strconv.ParseUint(f[19], 10, 64)
	return start, err == nil
}

// sinceBoot is how long the kernel runs, sleep included.
func sinceBoot() time.Duration {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return 0
	}
	return time.Duration(up.Nano())
}

// processStart is when this process began, as near as the kernel's clock tick tells.
func processStart() time.Time {
	ticks, ok := procStart(os.Getpid())
	if !ok {
		return time.Now()
	}
	const hertz = 100 // USER_HZ on every architecture that Linux has now
	return time.Now().Add(-sinceBoot()).Add(time.Duration(ticks) * time.Second / hertz)
}
