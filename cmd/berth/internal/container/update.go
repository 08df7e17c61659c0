// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/spf13/cobra"
)

type updateOptions struct {
	latest bool
	update libctr.UpdateOptions
}

// NewUpdate returns the command `update`.
func NewUpdate(g *cli.Global) *cobra.Command { return newUpdate(g, update) }

func newUpdate(g *cli.Global, run cli.Run[*updateOptions]) *cobra.Command {
	var o updateOptions
	var limits flags.Limits
	var health flags.Health
	cmd := &cobra.Command{
		Use:   "update [options] CONTAINER",
		Short: "Change limits, restart policy, health check and environment of a container",
		Long: "Changes a container. Limits, restart policy and health check of a running one change at once, its environment and ulimits with its next\n" +
			"start. Each change is a revision: see `berth container history` and `berth container rollback`.",
		Example: "berth update --memory 256m --cpus 1.5 web\n  berth update --restart always --env MODE=fast web",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.latest == (len(args) == 1) {
				return fmt.Errorf("%s: give a container's name or ID, or --latest", cmd.CommandPath())
			}
			if o.update.Resources, err = limits.Resources(); err != nil {
				return err
			}
			o.update.Health = health.Flags()
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	limits.Bind(f)
	health.Bind(f)
	f.BoolVarP(&o.latest, "latest", "l", false, "act on the most recently created container")
	f.StringVar(&o.update.Restart, "restart", "", "restart policy: no, always, on-failure[:N], unless-stopped")
	f.StringArrayVarP(&o.update.Env, "env", "e", nil, "set an environment variable: NAME=VALUE (repeatable)")
	f.StringArrayVar(&o.update.UnsetEnv, "unsetenv", nil, "unset an environment variable (repeatable)")
	f.StringArrayVar(&o.update.Ulimits, "ulimit", nil, "set a ulimit: NAME=SOFT[:HARD], or host (repeatable)")
	return cmd
}

func update(ctx context.Context, call cli.Call, o *updateOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	list, err := e.Select(ctx, libctr.Selection{Names: call.Args, Latest: o.latest})
	if err != nil {
		return err
	}
	c := list[0].Container
	o.update.Command = call.Argv
	if err := e.Update(ctx, c, o.update); err != nil {
		return err
	}
	fmt.Fprintln(call.Out, c.ID)
	return nil
}
