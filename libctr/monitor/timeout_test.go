// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"testing"

	"github.com/berth-containers/berth/libctr/record"
)

// A process that ends as its time is over is not the one that was started in its place.
func TestTimeOutOfAProcessThatHasEnded(t *testing.T) {
	gone := &process{pidfd: -1, exited: make(chan struct{})}
	close(gone.exited)
	runs := &process{pidfd: -1, exited: make(chan struct{})}
	for name, tc := range map[string]struct {
		init, p *process
		want    bool
	}{
		"runs":          {runs, runs, true},
		"has ended":     {gone, gone, false},
		"started again": {runs, &process{pidfd: -1, exited: make(chan struct{})}, false},
	} {
		runs.timedOut = false
		m := &Monitor{init: tc.init, state: &record.State{}}
		if got := m.timeOut(tc.p); got != tc.want || tc.p.timedOut != tc.want || (m.state.StoppedBy != "") != tc.want {
			t.Errorf("%s: %v, marked %v, stopped by %q; want %v", name, got, tc.p.timedOut, m.state.StoppedBy, tc.want)
		}
	}
}
