// SPDX-License-Identifier: Apache-2.0

// Package proc reads what /proc says of processes (proc(5)).
package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// Stat returns a process's parent and start time; ok is false without such a process, or with its zombie only.
func Stat(pid int) (ppid int, start uint64, ok bool) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, false
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 20 || f[0][0] == 'Z' || f[0][0] == 'X' {
		return 0, 0, false
	}
	ppid, _ = strconv.Atoi(string(f[1]))
	start, err = strconv.ParseUint(string(f[19]), 10, 64)
	return ppid, start, err == nil
}

// HasArgument checks whether the process was started with arg among its arguments.
func HasArgument(pid int, arg string) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && bytes.Contains(append([]byte{0}, data...), []byte("\x00"+arg+"\x00"))
}

// Variable returns the value of a variable in the environment that the process was started with; "" where there is none, or where that may
// not be read.
func Variable(pid int, name string) string {
	data, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for word := range bytes.SplitSeq(data, []byte{0}) {
		if value, ok := bytes.CutPrefix(word, []byte(name+"=")); ok {
			return string(value)
		}
	}
	return ""
}
