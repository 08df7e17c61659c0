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
	if err := rootless.Setup(); err != nil {
		reportError(err)
		os.Exit(exitCode(err))
	}
	// Most commands end before they have made garbage worth collecting; 100 would cost `run` a collection.
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	// A second signal ends the program at once: it may wait for something that knows no context, like a lock of the store.
	context.AfterFunc(ctx, stop)
	root, err := newRootCmd(os.Args)
	if err == nil {
		err = root.ExecuteContext(ctx)
	}
	stop()
	if err != nil {
		reportError(err)
	}
	os.Exit(exitCode(err))
}
