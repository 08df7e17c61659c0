// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// A container that can be checkpointed has pipes in the place of FIFOs: CRIU takes no file that is in no mount of the container's. A link in RunDir,
// with the FIFO's name, has the name by which /proc shows the pipe: a monitor that adopts the container finds the pipe at one of its processes
// (docs/decisions/0068).

// openPipe makes one. The container's end is for reading and writing, as a FIFO's, unless flags say otherwise.
func openPipe(link string, input bool, flags int) (theirs, ours int, err error) {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC); err != nil {
		return -1, -1, err
	}
	ours, theirs = ends[0], ends[1]
	if input {
		ours, theirs = theirs, ours
	}
	defer func() {
		if err != nil {
			unix.Close(ours)
		}
	}()
	given := theirs
	defer unix.Close(given)
	if err := unix.SetNonblock(ours, true); err != nil {
		return -1, -1, err
	}
	at := "/proc/self/fd/" + strconv.Itoa(given)
	name, err := os.Readlink(at)
	if err != nil {
		return -1, -1, err
	}
	if err := errors.Join(removeIfThere(link), os.Symlink(name, link)); err != nil {
		return -1, -1, err
	}
	if theirs, err = unix.Open(at, flags|unix.O_CLOEXEC, 0); err != nil {
		return -1, -1, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return theirs, ours, nil
}

// reopenPipe opens the pipe that a link in RunDir names, at a process of the container that has it; -1 where none has it any more.
func (m *Monitor) reopenPipe(link string, flags int) (int, error) {
	name, err := os.Readlink(link)
	if err != nil {
		return -1, err
	}
	for _, pid := range append([]int{m.state.Pid}, containerProcesses(m.state.Pid)...) {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		fds, err := os.ReadDir(dir)
		if err != nil {
			continue // it has ended
		}
		for _, d := range fds {
			at := filepath.Join(dir, d.Name())
			if is, err := os.Readlink(at); err != nil || is != name {
				continue
			}
			fd, err := unix.Open(at, flags|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
			if err != nil {
				continue
			}
			// The process may have put another file there meanwhile.
			if is, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); err == nil && is == name {
				return fd, nil
			}
			unix.Close(fd)
		}
	}
	return -1, nil
}
