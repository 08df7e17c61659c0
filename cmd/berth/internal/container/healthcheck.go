// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

// NewHealthcheckGroup returns the group `healthcheck`.
func NewHealthcheckGroup(g *cli.Global) *cobra.Command {
	return cli.Group("healthcheck", "Manage health checks of containers", newHealthcheckRun(g, healthcheckRun))
}

func newHealthcheckRun(g *cli.Global, run cli.Run[cli.None]) *cobra.Command {
	return &cobra.Command{
		Use:     "run CONTAINER",
		Short:   "Run the health check of a container",
		Long:    "Runs the health check of a container now. Exit code: 0 if it is healthy, 1 if it is not, 125 if there is nothing to check.",
		Example: "berth healthcheck run web",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), nil) },
	}
}

func healthcheckRun(ctx context.Context, call cli.Call, _ cli.None) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	h, err := e.RunHealthcheck(ctx, c)
	if errors.Is(err, libctr.ErrNoHealthcheck) {
		return fmt.Errorf("container %s has no defined healthcheck", c.ID) // as podman
	}
	if err != nil {
		return notRunningHint(err, c.State.Name)
	}
	if last := len(h.Log) - 1; h.Status == "healthy" || last >= 0 && h.Log[last].ExitCode == 0 {
		return nil
	}
	fmt.Fprintln(call.Out, h.Status)
	return &cli.ExitError{Code: 1}
}
