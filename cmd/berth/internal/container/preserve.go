// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// preserveFlags are --preserve-fds and --preserve-fd: descriptors of this process that a command in a container gets.
type preserveFlags struct {
	count uint
	list  []uint
}

func (p *preserveFlags) bind(f *pflag.FlagSet) {
	f.UintVar(&p.count, "preserve-fds", 0, "pass `N` additional file descriptors to the command")
	f.UintSliceVar(&p.list, "preserve-fd", nil, "pass the file descriptors `FD[,FD...]` to the command (repeatable)")
}

// maxPreserved is how many files a request to a monitor carries besides the standard streams.
const maxPreserved = 60

func (p *preserveFlags) check() error {
	if p.count > 0 && len(p.list) > 0 {
		return errors.New("cannot use --preserve-fds and --preserve-fd at the same time")
	}
	if p.count > maxPreserved {
		return fmt.Errorf("--preserve-fds %d: %d descriptors can be passed on at most", p.count, maxPreserved)
	}
	for _, fd := range p.list {
		switch {
		case fd < 3:
			return fmt.Errorf("--preserve-fd %d: the descriptors that can be passed on begin with 3", fd)
		case fd >= 3+maxPreserved:
			return fmt.Errorf("--preserve-fd %d: the descriptors that can be passed on end with %d", fd, 2+maxPreserved)
		}
	}
	return nil
}

// inherited reports whether a descriptor is the caller's: those of this program are closed when it runs another.
func inherited(fd uint) bool {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil && flags&unix.FD_CLOEXEC == 0
}

// files are what the command gets as 3, 4, …. With --preserve-fd it keeps the numbers: those between are /dev/null there.
func (p *preserveFlags) files() (files []*os.File, err error) {
	for fd := uint(3); fd < 3+p.count; fd++ {
		if !inherited(fd) {
			return nil, fmt.Errorf("file descriptor %d is not available - the preserve-fds option requires that file descriptors must be passed", fd)
		}
		files = append(files, os.NewFile(uintptr(fd), fmt.Sprintf("fd %d", fd)))
	}
	for fd := uint(3); len(p.list) > 0 && fd <= slices.Max(p.list); fd++ {
		var f *os.File
		switch {
		case !slices.Contains(p.list, fd):
			if f, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				return nil, err
			}
		case !inherited(fd):
			return nil, fmt.Errorf("--preserve-fd %d: file descriptor %d is not available - the preserve-fd option requires that file descriptors must be passed", fd, fd)
		default:
			f = os.NewFile(uintptr(fd), fmt.Sprintf("fd %d", fd))
		}
		files = append(files, f)
	}
	return files, nil
}
