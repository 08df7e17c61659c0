// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/spf13/cobra"
)

type cloneOptions struct {
	clone libctr.CloneOptions
	run   bool
}

// NewClone returns the command `container clone`.
func NewClone(g *cli.Global) *cobra.Command { return newClone(g, clone) }

func newClone(g *cli.Global, run cli.Run[*cloneOptions]) *cobra.Command {
	var o cloneOptions
	var limits flags.Limits
	cmd := &cobra.Command{
		Use:   "clone [options] CONTAINER [NAME [IMAGE]]",
		Short: "Make a container like another one",
		Long: `Makes a container from the options that another one was made with, and what update has changed of them since. It has the volumes of that one, and a layer
of its own. It is called NAME, or as the other with -clone behind it.`,
		Example: "berth container clone web\n  berth container clone --destroy --force --run web web-2 nginx\n  berth container clone --memory 1g --name web-3 web",
		Args:    cobra.RangeArgs(1, 3),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.clone.Resources, err = limits.Resources(); err != nil {
				return err
			}
			if o.clone.Force && !o.clone.Destroy {
				return errors.New("cannot set --force without --destroy")
			}
			if len(args) > 1 {
				if o.clone.Name != "" && o.clone.Name != args[1] {
					return fmt.Errorf("--name %s and the argument %s are two names: give one", o.clone.Name, args[1])
				}
				o.clone.Name = args[1]
			}
			if len(args) > 2 {
				o.clone.Image = args[2]
			}
			return run(cmd.Context(), g.Call(cmd, args[:1]), &o)
		},
	}
	f := cmd.Flags()
	limits.Bind(f)
	f.StringVar(&o.clone.Name, "name", "", "name of the new container")
	f.BoolVar(&o.clone.Destroy, "destroy", false, "remove the other container")
	f.BoolVarP(&o.clone.Force, "force", "f", false, "with --destroy, also one that runs")
	f.BoolVar(&o.run, "run", false, "start the new container")
	return cmd
}

func clone(ctx context.Context, call cli.Call, o *cloneOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	o.clone.CreateCommand, o.clone.Progress = call.Argv, console.Progress(false)
	made, err := e.Clone(ctx, c, o.clone)
	if made != nil {
		fmt.Fprintln(call.Out, made.ID)
	}
	if err != nil || !o.run {
		return err
	}
	_, err = e.Start(ctx, made, libctr.StartOptions{NotifySocket: os.Getenv("NOTIFY_SOCKET")})
	return startCode(err)
}
