// SPDX-License-Identifier: Apache-2.0

// Package leash has everything that a command starts die with it, however it ends: helpers of the libraries, the programs that
// those run, and what they start in turn.
//
// A command that starts others marks their environment, and starts a keeper, which holds one end of a pipe whose other end only
// the command has. When that closes, the command has died, and the keeper kills all that has the mark, and all that
// descends from it. What is meant to outlive a command is started without the mark (Without).
//
// The signal that Linux sends at a parent's death would not do: it comes when the thread that started the child ends, the child of a
// child does not get it, and a container of RUN loses it on its way. A process that is between fork(2) and execve(2) has no mark
// yet, but it has the pipe still, so the keeper waits for it.
package leash

import (
	"crypto/rand"
	"os"
	"strings"
	"sync"
	"syscall"

	"github.com/berth-containers/berth/internal/ignored"
)

// Env is the variable that marks what belongs to a command.
const Env = "_BERTH_LEASH"

var (
	mu     sync.Mutex
	mark   string
	pipe   *os.File
	giveUp = map[*func()]bool{}
)

// AtGiveUp has f called by GiveUp, until done is called. It is for what is large and quickly removed.
func AtGiveUp(f func()) (done func()) {
	mu.Lock()
	defer mu.Unlock()
	giveUp[&f] = true
	return func() {
		mu.Lock()
		defer mu.Unlock()
		delete(giveUp, &f)
	}
}

// GiveUp is for a command that ends now, before it has come to its own cleaning: the next command does the rest.
func GiveUp() {
	mu.Lock()
	defer mu.Unlock()
	for f := range giveUp {
		(*f)()
	}
}

// Start puts what this process starts from now on on a leash. The program is the one that calls Keep when its first
// argument is --keep. A process has one keeper; further calls do nothing.
func Start(program string) error {
	mu.Lock()
	defer mu.Unlock()
	if pipe != nil {
		return nil
	}
	ignored.Reset(ignored.Cancel, ignored.SetXID) // for RUN: the others are as the user wants them (nohup), and crun resets them
	theirs, ours, err := os.Pipe()
	if err != nil {
		return err
	}
	defer theirs.Close()
	devNull, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		ours.Close()
		return err
	}
	defer devNull.Close()
	word := rand.Text()
	p, err := os.StartProcess(program, []string{keeperName, "--keep", word}, &os.ProcAttr{
		Dir: "/", Env: []string{"GOMAXPROCS=1"}, Files: []*os.File{theirs, devNull, devNull},
		// what kills the command may mean its whole process group
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		ours.Close()
		return err
	}
	mark, pipe = word, ours
	_ = p.Release()
	return os.Setenv(Env, mark)
}

// End takes the leash off: what is left of the command's children goes on. It is for a command that has come to its end, or that
// becomes another program.
func End() {
	mu.Lock()
	defer mu.Unlock()
	os.Unsetenv(Env)
	if pipe == nil {
		return
	}
	_, _ = pipe.Write([]byte{1}) // the keeper may have been killed
	pipe.Close()
	mark, pipe = "", nil
}

// Without is an environment without the mark, for a process that is to outlive the command.
func Without(env []string) []string {
	var kept []string
	for _, v := range env {
		if !strings.HasPrefix(v, Env+"=") {
			kept = append(kept, v)
		}
	}
	return kept
}
