// SPDX-License-Identifier: Apache-2.0

// Package thread runs code that changes what belongs to a thread: its namespaces.
package thread

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// Own calls do on a thread that ends afterwards. It never takes the process's first thread: that cannot end, and is
// what /proc/PID shows.
func Own(do func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: see runtime.LockOSThread
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread()
			result <- Own(do)
			return
		}
		result <- do()
	}()
	return <-result
}
