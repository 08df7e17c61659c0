// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

type loadOptions struct {
	input string
	quiet bool
}

func (o *loadOptions) fromStdin() bool {
	return o.input == "" || o.input == "-" || o.input == "/dev/stdin"
}

// NewLoad returns the command `load`.
func NewLoad(g *cli.Global) *cobra.Command { return newLoad(g, withImages(load)) }

func newLoad(g *cli.Global, run cli.Run[*loadOptions]) *cobra.Command {
	var o loadOptions
	cmd := &cobra.Command{
		Use:   "load [options]",
		Short: "Load images from an archive or directory",
		Long: "Loads the images of a docker-archive or oci-archive file, plain or compressed, or of an oci or dir directory,\n" +
			"and prints their names. Without --input the archive is read from standard input.",
		Example: "berth load -i app.tar\nssh host berth save app | berth load",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.input == "" && console.IsTerminal(os.Stdin) {
				return hint.Add(errors.New("load images: standard input is a terminal"), "give the archive with --input FILE, or redirect: berth load < FILE")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().StringVarP(&o.input, "input", "i", "", "`FILE` or directory to load instead of standard input")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "do not show progress")
	return cmd
}

func load(ctx context.Context, _ *libctr.Engine, r *library.Runtime, call cli.Call, o *loadOptions) (err error) {
	var names []string
	if o.fromStdin() {
		names, err = r.LoadFrom(ctx, call.In, console.Progress(o.quiet))
	} else {
		names, err = r.Load(ctx, o.input, console.Progress(o.quiet))
	}
	for _, name := range names {
		fmt.Fprintln(call.Out, "Loaded image: "+name)
	}
	return err
}
