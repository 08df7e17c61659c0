// SPDX-License-Identifier: Apache-2.0

// Package ignored undoes that a program's caller ignores signals. What is ignored stays so in every program that is
// started, also in a container, whose first process would be deaf to what its user sends.
//
// The Go runtime and crun see to most signals. They leave SIGHUP and SIGINT ignored (nohup), and know nothing of 32 and 33,
// which glibc keeps for itself: its posix_spawn, and so make and many CI agents, leaves these two ignored.
package ignored

import (
	"syscall"
	"unsafe"
)

// Last is the kernel's last signal (_NSIG).
const Last = syscall.Signal(64)

// Glibc's own signals, SIGCANCEL and SIGSETXID of nptl.
const (
	Cancel = syscall.Signal(32)
	SetXID = syscall.Signal(33)
)

// sigaction is struct kernel_sigaction of 64-bit systems: handler, flags, restorer, mask.
type sigaction [4]uint64

const sigIgn = 1 // SIG_IGN; SIG_DFL is 0

// Reset gives the signals from first to last that are ignored their default action. All others keep theirs.
func Reset(first, last syscall.Signal) {
	for sig := first; sig <= last; sig++ {
		var act sigaction
		if rtSigaction(sig, nil, &act) == 0 && act[0] == sigIgn {
			rtSigaction(sig, &sigaction{}, nil)
		}
	}
}

func rtSigaction(sig syscall.Signal, act, old *sigaction) syscall.Errno {
	const maskSize = 8
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), maskSize, 0, 0)
	return errno
}
