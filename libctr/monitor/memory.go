// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// How the monitor keeps small (measured: ten idle ones, docs/performance.md). The first garbage
// collection of a process costs 250 KiB that never come back; the start of a container leaves less
// garbage than that. So there is none until a busy monitor has made a lot.
const (
	garbageLimit = 2560            // KiB of memory of its own, garbage included, above which tidy collects; an idle monitor has 1000
	memoryLimit  = 24 << 20        // bytes of memory, above which the Go runtime collects by itself
	tidyAfter    = 5 * time.Second // after something that leaves garbage
)

// limitMemory turns collecting by growth off. The CLI starts the monitor with
// GOMAXPROCS=1, which counts from the process's first moment; this is for who starts it without.
func limitMemory() {
	if runtime.GOMAXPROCS(0) != 1 {
		runtime.GOMAXPROCS(1)
	}
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(memoryLimit)
}

// tidySoon has garbage collected when the present burst of work is over.
func (m *Monitor) tidySoon() {
	if m.tidying.CompareAndSwap(false, true) {
		time.AfterFunc(tidyAfter, m.tidy)
	}
}

func (m *Monitor) tidy() {
	m.tidying.Store(false)
	if ownMemory() > garbageLimit {
		debug.FreeOSMemory()
	}
}

// ownMemory is how many KiB this process shares with no other, as the kernel has it. (To ask the Go runtime, with ReadMemStats, makes
// it 380 KiB more for good: each size of object gets a new span.)
func ownMemory() (kib int) {
	fd, err := unix.Open("/proc/self/smaps_rollup", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0
	}
	defer unix.Close(fd)
	var buf [2048]byte
	n, err := unix.Read(fd, buf[:])
	if err != nil {
		return 0
	}
	_, number, _ := bytes.Cut(buf[:n], []byte("\nAnonymous:"))
	for _, c := range bytes.TrimLeft(number, " ") {
		if c < '0' || c > '9' {
			break
		}
		kib = 10*kib + int(c-'0')
	}
	return kib
}
