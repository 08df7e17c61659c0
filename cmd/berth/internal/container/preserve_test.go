// SPDX-License-Identifier: Apache-2.0

package container

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPreservedFiles(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	fd, err := unix.FcntlInt(r.Fd(), unix.F_DUPFD, 40) // without FD_CLOEXEC, as what a caller passes
	if err != nil {
		t.Fatal(err)
	}
	files, err := (&preserveFlags{list: []uint{uint(fd)}}).files()
	if err != nil || len(files) != fd-2 || files[fd-3].Fd() != uintptr(fd) || files[0].Name() != os.DevNull {
		t.Errorf("files of descriptor %d: %v, %v; want it and what is before it as %s", fd, files, err, os.DevNull)
	}
	for _, f := range files {
		f.Close() // the descriptor, too
	}
	own, err := unix.FcntlInt(r.Fd(), unix.F_DUPFD_CLOEXEC, 50) // this program's
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(own)
	if _, err := (&preserveFlags{list: []uint{uint(own)}}).files(); err == nil {
		t.Error("a descriptor of the program itself is passed on")
	}
}
