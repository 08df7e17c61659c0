// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type migrateOptions struct{ runtime string }

// NewMigrate returns the command `system migrate`.
func NewMigrate(g *cli.Global) *cobra.Command { return newMigrate(g, migrate) }

func newMigrate(g *cli.Global, run cli.Run[*migrateOptions]) *cobra.Command {
	var o migrateOptions
	cmd := &cobra.Command{
		Use:   "migrate [options]",
		Short: "Stop all containers, so that a change of subordinate IDs, version or runtime takes effect",
		Long: "Stops all containers. What starts afterwards has the subordinate IDs that /etc/subuid and /etc/subgid say by then, and is kept by the\n" +
			"installed version. With --new-runtime all containers run under another OCI runtime from then on. Records need no change.",
		Example: "berth system migrate --new-runtime runc",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVar(&o.runtime, "new-runtime", "", "have all containers run under another OCI runtime: a `NAME` of containers.conf or a path")
	return cmd
}

func migrate(ctx context.Context, call cli.Call, o *migrateOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	stopped := func(id string) { fmt.Fprintf(call.Out, "stopped %s\n", id) }
	err = e.Migrate(ctx, libctr.MigrateOptions{Runtime: o.runtime, Stopped: stopped})
	return cli.ReportAllButLast(errors.Join(cli.Joined(err)...))
}
