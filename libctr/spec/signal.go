// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ParseSignal reads a signal as --stop-signal, kill -s and an image's StopSignal
// write it: a number from 1 to 64, or a name with or without SIG, in any case,
// RTMIN+N and RTMAX-N included.
func ParseSignal(value string) (syscall.Signal, error) {
	if n, err := strconv.Atoi(value); err == nil {
		if n < 1 || n > sigRTMax {
			return 0, fmt.Errorf("signal %q: signals are numbered 1 to %d", value, sigRTMax)
		}
		return syscall.Signal(n), nil
	}
	name := strings.ToUpper(value)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if s := unix.SignalNum(name); s != 0 {
		return s, nil
	}
	if n, ok := realTimeSignal(name); ok {
		return syscall.Signal(n), nil
	}
	return 0, fmt.Errorf("signal %q: no such signal", value)
}

// signal(7): the C library keeps the first two real-time signals for itself.
const (
	sigRTMin = 34
	sigRTMax = 64
)

func realTimeSignal(name string) (int, bool) {
	base, sign := 0, 0
	var offset string
	switch {
	case strings.HasPrefix(name, "SIGRTMIN"):
		base, sign, offset = sigRTMin, '+', name[len("SIGRTMIN"):]
	case strings.HasPrefix(name, "SIGRTMAX"):
		base, sign, offset = sigRTMax, '-', name[len("SIGRTMAX"):]
	default:
		return 0, false
	}
	if offset == "" {
		return base, true
	}
	if int(offset[0]) != sign {
		return 0, false
	}
	d, err := strconv.ParseUint(offset[1:], 10, 8)
	if err != nil || d > sigRTMax-sigRTMin {
		return 0, false
	}
	if sign == '-' {
		return base - int(d), true
	}
	return base + int(d), true
}
