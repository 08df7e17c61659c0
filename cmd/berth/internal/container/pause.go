// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

// NewPause returns the command `pause`.
func NewPause(g *cli.Global) *cobra.Command { return newPause(g, pause) }

func newPause(g *cli.Global, run cli.Run[*selectFlags]) *cobra.Command {
	var sel selectFlags
	cmd := &cobra.Command{
		Use:     "pause [options] CONTAINER [CONTAINER...]",
		Short:   "Pause all processes in one or more containers",
		Example: "berth pause web",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &sel) },
	}
	sel.bindAll(cmd.Flags(), "pause all running containers")
	sel.bindLatest(cmd.Flags())
	sel.bindIDFile(cmd.Flags())
	sel.bindFilter(cmd.Flags(), "f")
	return cmd
}

func pause(ctx context.Context, call cli.Call, sel *selectFlags) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return sel.eachNamed(ctx, e, call, active, anyOrder, func(c *libctr.Container) error {
		return notRunningHint(e.Pause(ctx, c), c.State.Name)
	})
}
