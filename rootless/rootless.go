// SPDX-License-Identifier: Apache-2.0

// Package rootless puts a command into the user namespace that an unprivileged
// engine works in: subordinate IDs, the namespace that all of a user's
// containers share, and the private mount namespace around it. It knows no
// containers or images.
//
// The work is done by a C constructor (enter.c), before the Go runtime starts. It enters for the command lines
// that the program has named (MustEnter), and where Enter has started the program again. All processes of
// a user share one namespace while any of them lives; $XDG_RUNTIME_DIR/berth/userns names
// one of them. So containers can join each other's namespaces, and only the first
// command of a boot pays for newuidmap.
package rootless

/*
#cgo CFLAGS: -Wall -Wextra -Wno-unused-parameter -O2
#include <stdlib.h>
#include "enter.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
	"golang.org/x/sys/unix"
)

// Environment variables that the container libraries read: they make
// unshare.IsRootless and unshare.GetRootlessUID tell the truth inside.
const (
	envConfigured = "_CONTAINERS_USERNS_CONFIGURED"
	envUID        = "_CONTAINERS_ROOTLESS_UID"
	envGID        = "_CONTAINERS_ROOTLESS_GID"
	envEnter      = "_BERTH_ENTER"
	envEnterPid   = "_BERTH_ENTER_PID"
	envParent     = "_BERTH_ENTER_PARENT"
)

// Setup tells what the constructor did, and passes it on to the container
// libraries through the environment. main calls it before anything else. The
// error, with a hint, says why the user namespace could not be entered.
func Setup() error {
	C.berth_finish_enter()
	if msg := C.GoString(&C.berth_entry.error[0]); msg != "" {
		return hint.Add(errors.New(msg), "%s", C.GoString(&C.berth_entry.hint[0]))
	}
	if C.berth_entry.entered != 0 {
		os.Setenv(envConfigured, "done")
		os.Setenv(envUID, strconv.Itoa(int(C.berth_entry.uid)))
		os.Setenv(envGID, strconv.Itoa(int(C.berth_entry.gid)))
		os.Unsetenv(envEnterPid)
		os.Unsetenv(envParent)
	}
	os.Unsetenv(envEnter)
	return nil
}

// Enter puts this program into the user namespace that an ordinary user's containers live in, where it is not yet: it executes the
// program again, with the same arguments and environment. A program that uses package libctr calls it first of all in main; berth
// does without, since its own command lines tell (MustEnter). As root it only returns. The error, with a hint, says why the
// namespace could not be entered.
func Enter() error {
	again := os.Getenv(envEnter) != ""
	if err := Setup(); err != nil || Entered() || again || os.Geteuid() == 0 {
		return err
	}
	path, err := Executable()
	if err != nil {
		return fmt.Errorf("enter the user namespace: %w", err)
	}
	err = unix.Exec(path, os.Args, append(os.Environ(), envEnter+"=1"))
	return fmt.Errorf("enter the user namespace: run %s again: %w", path, err)
}

// Entered reports whether this process is in Berth's user namespace now.
func Entered() bool { return C.berth_entry.entered != 0 || os.Getenv(envConfigured) != "" }

// IsRootless reports whether the engine runs for an unprivileged user, inside or
// outside the namespace.
func IsRootless() bool { return os.Geteuid() != 0 || os.Getenv(envConfigured) != "" }

// Executable returns the path of this program, from before the process has changed its mount namespace.
func Executable() (string, error) {
	if path := C.GoString(&C.berth_entry.exe[0]); path != "" {
		return path, nil
	}
	return os.Executable()
}

// UID returns the user's ID outside the user namespace.
func UID() int {
	if n, err := strconv.Atoi(os.Getenv(envUID)); err == nil && os.Getenv(envConfigured) != "" {
		return n
	}
	return int(C.berth_entry.uid)
}

// GID returns the user's group ID outside the user namespace.
func GID() int {
	if n, err := strconv.Atoi(os.Getenv(envGID)); err == nil && os.Getenv(envConfigured) != "" {
		return n
	}
	return int(C.berth_entry.gid)
}

// SingleID reports whether this process entered a namespace with just the user's own ID in it.
func SingleID() bool { return C.berth_entry.single != 0 }

// FirstUserNS reports whether this process is in the first user namespace of the machine. Its inode is fixed in the kernel
// (PROC_USER_INIT_INO); the ID map does not tell, since any namespace may map all IDs to themselves.
func FirstUserNS() bool {
	link, err := os.Readlink("/proc/self/ns/user")
	return err != nil || link == "user:[4026531837]"
}

// MustEnter reports whether the constructor enters the user namespace for a command line: what the program's C function
// berth_must_enter says (cmd/berth/entering.c), and never in a program that has none.
func MustEnter(args []string) bool {
	argv := make([]*C.char, len(args)+1)
	for i, a := range args {
		argv[i] = C.CString(a)
		defer C.free(unsafe.Pointer(argv[i]))
	}
	return bool(C.berth_must_enter(C.int(len(args)), &argv[0]))
}

// RuntimeDir is the directory where a user's commands meet; it ends with the
// boot or the user's last logout. Root's is /run/berth.
func RuntimeDir() string {
	if !IsRootless() {
		return "/run/berth"
	}
	if xdg := os.Getenv("XDG_RUNTIME_DIR"); strings.HasPrefix(xdg, "/") {
		return xdg + "/berth"
	}
	run := fmt.Sprintf("/run/user/%d", UID())
	var st syscall.Stat_t
	if syscall.Stat(run, &st) == nil && (int(st.Uid) == UID() || st.Uid == 0 && Entered() && os.Geteuid() == 0) {
		return run + "/berth"
	}
	return fmt.Sprintf("/tmp/berth-run-%d", UID())
}

// Pin names process pid, which stays, as the one through which later commands
// find the user namespace, if the one named now is this process or has ended. It is a
// shortcut: without it they search /proc.
func Pin(pid int) {
	if !IsRootless() || !Entered() {
		return
	}
	path := RuntimeDir() + "/userns"
	data, err := os.ReadFile(path)
	if err != nil {
		return
	}
	first, rest, ok := strings.Cut(string(data), " ")
	if !ok {
		return
	}
	named, err := strconv.Atoi(first)
	if err != nil || (named != os.Getpid() && unix.Kill(named, 0) == nil) {
		return
	}
	// A lost update costs the next command a search, nothing else.
	_ = atomicfile.Write(path, []byte(strconv.Itoa(pid)+" "+rest), 0o600, false)
}

// IDMap is one line of a uid_map or gid_map.
type IDMap struct {
	Inside  uint32 // first ID in this process's user namespace
	Outside uint32 // first ID in the parent user namespace
	Size    uint32 // number of IDs
}

// IDMaps returns the mappings of this process's user namespace.
func IDMaps() (uids, gids []IDMap, err error) {
	if uids, err = readMap("/proc/self/uid_map"); err != nil {
		return nil, nil, err
	}
	gids, err = readMap("/proc/self/gid_map")
	return uids, gids, err
}

func readMap(path string) ([]IDMap, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var maps []IDMap
	for line := range strings.Lines(string(data)) {
		var m IDMap
		if _, err := fmt.Sscan(line, &m.Inside, &m.Outside, &m.Size); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		maps = append(maps, m)
	}
	return maps, nil
}

// EnterEnv is the environment with which a new process of this program joins the
// user namespace that the monitor of the container with init process pid lived in; nested says that
// the container has a user namespace of its own below it.
func EnterEnv(pid int, nested bool) []string {
	env := append(os.Environ(), envEnterPid+"="+strconv.Itoa(pid))
	if nested {
		env = append(env, envParent+"=1")
	}
	return env
}

// NewMountsEnv is the environment with which a new process of a program of this module enters the user namespace, if it has to, and a
// mount namespace of its own in any case.
func NewMountsEnv() []string { return append(os.Environ(), envEnter+"=1") }

// WarnSingleID returns, once a process, the warning for a user without subordinate
// IDs, and the empty string otherwise.
var WarnSingleID = sync.OnceValue(func() string {
	if !SingleID() {
		return ""
	}
	return fmt.Sprintf("no subordinate IDs for user %d in /etc/subuid and /etc/subgid: only images whose files all belong to one user will work; "+
		"an administrator can add them with: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER", UID())
})
