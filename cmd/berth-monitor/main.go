// Berth-monitor is the process that each running container has. The CLI starts it:
//
//	berth-monitor DIR            start the container in DIR when the first client says so
//	berth-monitor --adopt DIR    take over a container whose monitor was killed
//	berth-monitor --net-mend …   help a network helper, see network/mend
//
// It inherits the first client's connection as descriptor 3 and the container's
// locked lock file as descriptor 4. See package monitor.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/network/mend"
)

func main() {
	// One thread of Go code is enough, and each further one costs memory.
	runtime.GOMAXPROCS(1)
	if len(os.Args) > 1 && os.Args[1] == "--net-mend" {
		os.Exit(mend.Main(os.Args[2:]))
	}
	// A container that lives for a moment needs no garbage collection at all.
	debug.SetGCPercent(-1)
	time.AfterFunc(time.Second, shrink)

	opts := monitor.Options{ConnFD: 3, LockFD: 4}
	switch {
	case len(os.Args) == 2:
		opts.Dir = os.Args[1]
	case len(os.Args) == 3 && os.Args[1] == "--adopt":
		opts.Dir, opts.Adopt = os.Args[2], true
	default:
		os.Stderr.WriteString("usage: berth-monitor [--adopt] DIR (it is berth that runs it)\n")
		os.Exit(125)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // not Ignore, which containers would inherit
	if err := monitor.Run(ctx, opts); err != nil {
		os.Stderr.WriteString("berth-monitor: " + err.Error() + "\n")
		os.Exit(1)
	}
}

// shrink gives back what the start has used, and collects garbage from now on.
func shrink() {
	debug.SetGCPercent(25)
	debug.FreeOSMemory()
}
