// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type initOptions struct{ sel selectFlags }

// NewInit returns the command `init`.
func NewInit(g *cli.Global) *cobra.Command { return newInit(g, initialize) }

func newInit(g *cli.Global, run cli.Run[*initOptions]) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init [options] CONTAINER [CONTAINER...]",
		Short: "Initialize one or more containers",
		Long: `Prepares containers for their start without starting their commands: file systems are mounted, the network is set up, and the OCI runtime has
made the container, so that it can be looked at before its command runs. Start it with berth start.`,
		Example: "berth init web",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	o.sel.bindAll(cmd.Flags(), "initialize all containers that are not initialized yet")
	o.sel.bindLatest(cmd.Flags())
	return cmd
}

func initialize(ctx context.Context, call cli.Call, o *initOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return o.sel.eachNamed(ctx, e, call, nil, requiredFirst, func(c *libctr.Container) error {
		err := e.Init(ctx, c, libctr.StartOptions{Passthrough: &libctr.Passthrough{Stdout: console.Out.File(), Stderr: console.Err.File()}})
		if o.sel.all && errors.Is(err, libctr.ErrState) {
			return nil // as podman
		}
		return startCode(err)
	})
}
