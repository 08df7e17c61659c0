// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type stopOptions struct {
	sel     selectFlags
	timeout *time.Duration // nil is the container's own
}

// NewStop returns the command `stop`.
func NewStop(g *cli.Global) *cobra.Command { return newStop(g, stop) }

func newStop(g *cli.Global, run cli.Run[*stopOptions]) *cobra.Command {
	var o stopOptions
	cmd := &cobra.Command{
		Use:     "stop [options] CONTAINER [CONTAINER...]",
		Short:   "Stop one or more running containers",
		Example: "berth stop --time 2 web",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	bindTime(f, &o.timeout, "seconds to wait before killing the container")
	o.sel.bindAll(f, "stop all running containers")
	o.sel.bindLatest(f)
	o.sel.bindIgnore(f)
	o.sel.bindIDFile(f)
	o.sel.bindFilter(f, "f")
	return cmd
}

func stop(ctx context.Context, call cli.Call, o *stopOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return o.sel.eachNamed(ctx, e, call, activeOrRestarting, dependentsFirst, func(c *libctr.Container) error {
		return e.Stop(ctx, c, libctr.StopOptions{Timeout: o.timeout})
	})
}

// bindTime adds --time, which is nil unless it is given.
func bindTime(f *pflag.FlagSet, timeout **time.Duration, usage string) {
	f.VarP(&seconds{timeout}, "time", "t", usage)
	f.Lookup("time").DefValue = "the container's --stop-timeout"
}
