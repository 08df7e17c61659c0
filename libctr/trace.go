// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// trace notes in $BERTH_TRACE how many microseconds a phase took since the one before: the
// benchmark makes a table of them. Without the variable it costs a comparison.
func trace(phase string) { tracer().note(phase) }

// Trace is trace for the command around the engine.
func Trace(phase string) { trace(phase) }

type phases struct {
	file *os.File
	mu   sync.Mutex
	last time.Time
}

var tracer = sync.OnceValue(func() *phases {
	path := os.Getenv("BERTH_TRACE")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return nil
	}
	return &phases{file: f, last: processStart()}
})

func (p *phases) note(phase string) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	fmt.Fprintf(p.file, "%s %d\n", phase, now.Sub(p.last).Microseconds())
	p.last = now
}
