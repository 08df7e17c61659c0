// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"strings"
	"unsafe"
)

// hideArgs takes the values of environment variables (-e NAME=VALUE) off this process's command line, which everybody on
// the machine may read for as long as `run` or `exec` waits for the container. os.Args keeps them.
func hideArgs() {
	args := make([]string, len(os.Args))
	for i, a := range os.Args {
		args[i] = strings.Clone(a)
	}
	for _, value := range envValues(os.Args) {
		// The strings of os.Args are the memory that /proc/PID/cmdline shows: proc_pid_cmdline(5). It can be written.
		shown := unsafe.Slice(unsafe.StringData(value), len(value))
		for i := range shown {
			shown[i] = '*'
		}
	}
	os.Args = args
}

// envValues are the parts of a command line that are values of variables. What is taken for one by mistake, as in the
// container's own command, is hidden to no harm.
func envValues(args []string) (values []string) {
	next := false
	for _, a := range args[min(1, len(args)):] {
		pair, found := a, next
		next = false
		if !found {
			short := strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "--")
			switch i := strings.IndexByte(a, 'e'); {
			case a == "--env":
				next = true
			case strings.HasPrefix(a, "--env="):
				pair, found = strings.TrimPrefix(a, "--env="), true
			case short && i > 0 && !strings.Contains(a[:i], "="): // -e, also at the end of others: -ite
				pair, found, next = a[i+1:], i+1 < len(a), i+1 == len(a)
			}
		}
		if _, value, ok := strings.Cut(pair, "="); found && ok {
			values = append(values, value)
		}
	}
	return values
}
