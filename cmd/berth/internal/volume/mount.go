// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

// NewMount returns the command `volume mount`.
func NewMount(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "mount VOLUME [VOLUME...]",
		Short:   "Print where the files of volumes are",
		Long:    "Prints the directories of volumes. A local volume is a directory, which need not be mounted; files of others than you can be changed in: berth unshare",
		Example: "ls $(berth volume mount data)",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return each(cmd.Context(), g.Call(cmd, args), (*libctr.Engine).VolumePath)
		},
	}
}

// NewUnmount returns the command `volume unmount`.
func NewUnmount(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "unmount VOLUME [VOLUME...]",
		Aliases: []string{"umount"},
		Short:   "Undo volume mount",
		Long:    "Undoes what volume mount has done, which is nothing for local volumes, and prints the volumes' names.",
		Example: "berth volume unmount data",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return each(cmd.Context(), g.Call(cmd, args), func(e *libctr.Engine, name string) (string, error) {
				_, err := e.VolumePath(name)
				return name, err
			})
		},
	}
}

// each prints something of each volume, and then says which there are not.
func each(ctx context.Context, call cli.Call, what func(*libctr.Engine, string) (string, error)) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range call.Args {
		text, err := what(e, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		fmt.Fprintln(call.Out, text)
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}
