// SPDX-License-Identifier: Apache-2.0

// Command berth is a rootless, daemonless container engine: see docs/architecture.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/rootless"
	"go.podman.io/storage/pkg/reexec"
)

func main() {
	if help() || reexec.Init() { // the storage library runs this program again as its helpers
		return
	}
	hideArgs()
	syscall.Umask(0o022) // as podman: what is made for a container is for all its users
	if err := rootless.Setup(); err != nil {
		cli.Report(err)
		os.Exit(exitCode(err))
	}
	// Most commands end before they have made garbage worth collecting; 100 would cost `run` a collection.
	debug.SetGCPercent(400)
	g := &cli.Global{Argv: os.Args}
	ctx := untilSignal(g)
	if err := ready(); err != nil {
		cli.Report(err)
		os.Exit(exitCode(err))
	}
	root, err := newRootCmd(g)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	err = interruptedError(ctx, err)
	if err != nil {
		cli.Report(err)
	}
	if ctx.Err() == nil {
		leash.End() // else what was started for the command's work dies with it
	}
	os.Exit(exitCode(err))
}

// How long after a signal another one is the same: timeout(1) and systemd send one to the process and one to its group.
const sameSignal = 300 * time.Millisecond

// noSignal follows the last signal.
type noSignal struct{}

func (noSignal) Signal()        {}
func (noSignal) String() string { return "no signal" }

// patience is how long a command may take to clean up after a signal. One that waits for what knows no context, a pipe that nobody
// writes to or a server that says nothing, has left its cleaning to the next command then, as one that is killed.
const patience = 5 * time.Second

// untilSignal returns a context that ends with the first SIGINT, SIGTERM or SIGHUP; its cause is an *interruption. What the command
// has started is killed then, for it may be waited for by something that knows no context. A second
// signal ends the program at once: it may wait for something else, like a lock of the store.
//
// What is given to beforeExec is for a program that another one takes the place of: it lets a signal end the process as if nothing had been
// set, and returns the interruption if one has come before, of which the next program would not hear.
func untilSignal(g *cli.Global) context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	got, none := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(got, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	beforeExec(func() error {
		signal.Stop(got) // has waited for what is on its way when it returns
		select {
		case got <- noSignal{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		select {
		case <-none:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	go func() {
		s := <-got
		if s == (noSignal{}) {
			close(none)
			return
		}
		cancel(&interruption{s.(syscall.Signal)})
		leash.Interrupt()
		time.Sleep(sameSignal)
		signal.Stop(got)
		time.Sleep(patience - sameSignal)
		if !g.PassesSignals.Load() {
			err := interruptedError(ctx, context.Canceled)
			leash.GiveUp()
			cli.Report(err)
			os.Exit(exitCode(err))
		}
	}()
	return ctx
}
