// Command berth is a rootless, daemonless container engine: see docs/architecture.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

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
		reportError(err)
		os.Exit(exitCode(err))
	}
	// Most commands end before they have made garbage worth collecting; 100 would cost `run` a collection.
	debug.SetGCPercent(400)
	ctx := untilSignal()
	root, err := newRootCmd(os.Args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	err = interruptedError(ctx, err)
	if err != nil {
		reportError(err)
	}
	os.Exit(exitCode(err))
}

// untilSignal returns a context that ends with the first SIGINT, SIGTERM or SIGHUP; its cause is an *interruption. A second
// signal ends the program at once: it may wait for something that knows no context, like a lock of the store.
func untilSignal() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	got := make(chan os.Signal, 1)
	signal.Notify(got, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		s := <-got
		signal.Stop(got)
		cancel(&interruption{s.(syscall.Signal)})
	}()
	return ctx
}
