// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type rmOptions struct {
	libctr.RemoveVolumeOptions
	all bool
}

// NewRm returns the command `volume rm`.
func NewRm(g *cli.Global) *cobra.Command { return newRm(g, remove) }

func newRm(g *cli.Global, run cli.Run[*rmOptions]) *cobra.Command {
	var o rmOptions
	var timeout int
	cmd := &cobra.Command{
		Use:     "rm [options] VOLUME [VOLUME...]",
		Aliases: []string{"remove"},
		Short:   "Remove one or more volumes",
		Example: "berth volume rm data",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !o.all && len(args) == 0 {
				return errors.New("volume rm: give a volume's name")
			}
			if cmd.Flags().Changed("time") {
				d := time.Duration(max(timeout, 0)) * time.Second
				o.Force, o.Timeout = true, &d
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.Force, "force", "f", false, "remove the containers that use a volume too; ignore volumes that do not exist")
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "remove all volumes")
	cmd.Flags().IntVarP(&timeout, "time", "t", 10, "seconds to wait before killing a container that uses a volume; implies --force")
	return cmd
}

func remove(ctx context.Context, call cli.Call, o *rmOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	names := call.Args
	if o.all {
		list, err := e.Volumes()
		if err != nil {
			return err
		}
		for _, v := range list {
			names = append(names, v.Name)
		}
	}
	var errs []error
	for _, name := range names {
		err := e.RemoveVolume(ctx, name, o.RemoveVolumeOptions)
		if o.Force && errors.Is(err, libctr.ErrNoSuchVolume) {
			err = nil
		}
		if err != nil {
			errs = append(errs, removeCode(err))
			continue
		}
		fmt.Fprintln(call.Out, name)
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}

// removeCode gives the exit codes of podman-volume-rm(1).
func removeCode(err error) error {
	switch {
	case errors.Is(err, libctr.ErrNoSuchVolume):
		return &cli.ExitError{Code: 1, Err: err}
	case errors.Is(err, libctr.ErrVolumeInUse):
		return &cli.ExitError{Code: 2, Err: err}
	}
	return err
}
