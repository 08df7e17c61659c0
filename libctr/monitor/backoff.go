// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"time"

	"github.com/berth-containers/berth/libctr/record"
)

// The pauses before restarts are docker's.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = time.Minute
	steadyAfter  = 10 * time.Second // a container that ran so long has recovered
)

// backoff tells how long to wait before the next restart.
type backoff struct{ pause time.Duration }

func (b *backoff) next(ran time.Duration) time.Duration {
	if b.pause == 0 || ran >= steadyAfter {
		b.pause = firstPause
	} else {
		b.pause = min(2*b.pause, longestPause)
	}
	return b.pause
}

// wantsRestart applies the policy to a container that has just ended.
func wantsRestart(r record.Restart, s *record.State) bool {
	if s.StoppedBy != "" || s.Checkpointed {
		return false
	}
	switch r.Policy {
	case "always", "unless-stopped":
		return true
	case "on-failure":
		return s.ExitCode != 0 && (r.MaxRetries == 0 || s.Restarts < r.MaxRetries)
	}
	return false
}
