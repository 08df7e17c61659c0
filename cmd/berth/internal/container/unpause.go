// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/spf13/cobra"
)

// NewUnpause returns the command `unpause`.
func NewUnpause(g *cli.Global) *cobra.Command { return newUnpause(g, unpause) }

func newUnpause(g *cli.Global, run cli.Run[*selectFlags]) *cobra.Command {
	var sel selectFlags
	cmd := &cobra.Command{
		Use:     "unpause [options] CONTAINER [CONTAINER...]",
		Short:   "Resume paused containers",
		Example: "berth unpause web",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &sel) },
	}
	sel.bindAll(cmd.Flags(), "resume all paused containers")
	sel.bindLatest(cmd.Flags())
	sel.bindIDFile(cmd.Flags())
	sel.bindFilter(cmd.Flags(), "f")
	return cmd
}

func unpause(ctx context.Context, call cli.Call, sel *selectFlags) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return sel.eachNamed(ctx, e, call, active, anyOrder, func(c *libctr.Container) error {
		if sel.all && c.State.Status != record.Paused {
			return nil
		}
		return e.Unpause(ctx, c)
	})
}
