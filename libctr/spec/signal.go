// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"strconv"
	"syscall"

	"go.podman.io/common/pkg/signal"
)

// lastSignal is the highest number that a signal has (signal(7)).
const lastSignal = 64

// ParseSignal reads a signal as --stop-signal, kill -s and an image's StopSignal
// write it: a number from 1 to 64, or a name with or without SIG, in any case,
// RTMIN+N and RTMAX-N included, as podman and docker know them.
func ParseSignal(value string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(value); err == nil && (n < 1 || n > lastSignal) {
		return 0, fmt.Errorf("signal %q: signals are numbered 1 to %d", value, lastSignal)
	}
	s, err := signal.ParseSignal(value)
	if err != nil {
		return 0, fmt.Errorf("signal %q: no such signal", value)
	}
	return s, nil
}
