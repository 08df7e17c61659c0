// SPDX-License-Identifier: Apache-2.0

// Package gitrun keeps within bounds what git writes and holds in memory for a repository that is not trusted: git takes whatever the
// other side sends, and ten small trees that name each other ten times are ten billion files.
package gitrun

import (
	"context"
	"errors"
	"os/exec"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/internal/unpack"
	"golang.org/x/sys/unix"
)

const (
	// maxMemory is what git may have: it keeps the list of all files in memory, of 10 million some 1.5 GiB, and single files.
	maxMemory = 4 << 30
	// reserve is left free on the disk. It is more than git writes from one look to the next.
	reserve = 128 << 20
	// often is how long it is from one look at the free room to the next.
	often = 50 * time.Millisecond
)

// Run runs a command of git that writes to dir. Where dir then has more than the limits of package unpack allow, Run ends git and all that
// git has started, and returns an error with unpack.ErrRefused or ENOSPC in its tree. Other errors are those of cmd.Run.
func Run(cmd *exec.Cmd, dir string) error {
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return err
	}
	in := unpack.Options{Limits: limits, What: "the repository", Dir: dir}
	if err := cmd.Start(); err != nil {
		return err
	}
	restrain(cmd.Process.Pid, limits.Size)
	ctx, cancel := context.WithCancel(context.Background())
	refused := make(chan error, 1)
	go func() { refused <- watch(ctx, cmd.Process.Pid, in) }()
	err = cmd.Wait()
	cancel()
	why := <-refused
	if why == nil {
		why = in.CheckTree() // git may have been faster than the looks
	}
	if why != nil {
		return why
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() && st.Signal() == unix.SIGXFSZ {
			return in.TooLarge()
		}
	}
	return err
}

// restrain bounds what a process that has just been started, and those that it will start, can have.
func restrain(pid int, size int64) {
	lower := func(resource int, to uint64) {
		var now unix.Rlimit
		if unix.Prlimit(pid, resource, nil, &now) == nil && now.Cur > to { // else it has ended
			_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: to, Max: min(now.Max, to)}, nil)
		}
	}
	lower(unix.RLIMIT_DATA, maxMemory)
	if size > 0 {
		lower(unix.RLIMIT_FSIZE, uint64(size))
	}
}

// watch kills a process that goes beyond a limit, and returns why. Looking at all that has been written takes at most a tenth of
// the time.
func watch(ctx context.Context, pid int, in unpack.Options) error {
	next := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(often):
		}
		why := unpack.Room(in.Dir, in.What, reserve)
		if began := time.Now(); why == nil && began.After(next) {
			why = in.CheckTree()
			next = time.Now().Add(10 * time.Since(began))
		}
		if why != nil {
			leash.KillTree(pid)
			return why
		}
	}
}
