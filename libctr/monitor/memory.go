// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"runtime"
	"runtime/debug"
	"time"
)

// How the monitor keeps small (measured: ten idle ones, docs/performance.md). The first garbage
// collection of a process costs 250 KiB that never come back; the start of a container leaves less
// garbage than that. So there is none until a busy monitor has made a lot.
const (
	garbageLimit = 1 << 20         // bytes of heap, garbage included, above which tidy collects
	memoryLimit  = 24 << 20        // bytes in all, above which the Go runtime collects by itself
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
	var s runtime.MemStats
	if runtime.ReadMemStats(&s); s.HeapAlloc > garbageLimit {
		debug.FreeOSMemory()
	}
}
