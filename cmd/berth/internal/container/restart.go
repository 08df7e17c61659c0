// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type restartOptions struct {
	sel     selectFlags
	running bool
	timeout *time.Duration // nil is the container's own
}

// NewRestart returns the command `restart`.
func NewRestart(g *cli.Global) *cobra.Command { return newRestart(g, restart) }

func newRestart(g *cli.Global, run cli.Run[*restartOptions]) *cobra.Command {
	var o restartOptions
	cmd := &cobra.Command{
		Use:     "restart [options] CONTAINER [CONTAINER...]",
		Short:   "Restart one or more containers",
		Example: "berth restart web",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	bindTime(f, &o.timeout, "seconds to wait before killing the container")
	f.BoolVar(&o.running, "running", false, "restart all running containers")
	o.sel.bindAll(f, "restart all containers, running or not")
	o.sel.bindLatest(f)
	o.sel.bindIDFile(f)
	o.sel.bindFilter(f, "f")
	return cmd
}

func restart(ctx context.Context, call cli.Call, o *restartOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	var where func(*libctr.Container) bool
	if o.running {
		o.sel.all, where = true, active
	}
	return o.sel.eachNamed(ctx, e, call, where, requiredFirst, func(c *libctr.Container) error {
		return e.Restart(ctx, c, libctr.StopOptions{Timeout: o.timeout})
	})
}
