// SPDX-License-Identifier: Apache-2.0

// Berth-monitor is the process that each running container has. The CLI starts it:
//
//	berth-monitor DIR            start the container in DIR when the first client says so
//	berth-monitor --early DIR    the same, while the container is still being made
//	berth-monitor --adopt DIR    take over a container whose monitor was killed
//	berth-monitor --keep MARK    kill what a command has started when it dies, see internal/leash
//	berth-monitor --udp-relay …  be a relay beside a network helper, see network/udprelay
//
// It inherits the first client's connection as descriptor 3 and the container's
// locked lock file as descriptor 4. See package monitor.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/berth-containers/berth/internal/ignored"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/network/udprelay"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--udp-relay" {
		os.Exit(udprelay.Main(os.Args[2:]))
	}
	if len(os.Args) == 3 && os.Args[1] == "--keep" {
		leash.Keep(os.Args[2], os.Stdin)
		return
	}
	ignored.Reset(1, ignored.Last)
	opts := monitor.Options{ConnFD: 3, LockFD: 4}
	switch {
	case len(os.Args) == 2:
		opts.Dir = os.Args[1]
	case len(os.Args) == 3 && os.Args[1] == "--early":
		opts.Dir, opts.Early = os.Args[2], true
	case len(os.Args) == 3 && os.Args[1] == "--adopt":
		opts.Dir, opts.Adopt = os.Args[2], true
	default:
		os.Stderr.WriteString("usage: berth-monitor [--early | --adopt] DIR (it is berth that runs it)\n")
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
