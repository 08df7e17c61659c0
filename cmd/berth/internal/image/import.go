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

type importOptions struct{ library.ImportOptions }

// NewImport returns the command `import`.
func NewImport(g *cli.Global) *cobra.Command { return newImport(g, withImages(importImage)) }

func newImport(g *cli.Global, run cli.Run[*importOptions]) *cobra.Command {
	var o importOptions
	var platform cli.PlatformFlags
	var quiet bool
	cmd := &cobra.Command{
		Use:   "import [options] PATH [REFERENCE]",
		Short: "Create an image from a tar archive of a file system",
		Long: "Creates an image with one layer from a tar archive, plain or compressed, in a file, at an http or https URL, or on\n" +
			"standard input (-), and prints its ID. REFERENCE is a name for it.",
		Example: "debootstrap stable rootfs && tar -C rootfs -c . | berth import -c CMD=/bin/bash - debian",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Platform, err = platform.Options(); err != nil {
				return err
			}
			if len(args) == 2 {
				o.Name = args[1]
			}
			if args[0] == "-" && console.IsTerminal(os.Stdin) {
				return hint.Add(errors.New("import: standard input is a terminal"), "give the archive as PATH, or redirect: berth import - < FILE")
			}
			o.Progress = console.Progress(quiet)
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVarP(&o.Changes, "change", "c", nil, "apply `INSTRUCTION` to the image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR (repeatable)")
	f.StringVarP(&o.Message, "message", "m", "", "comment in the image's history")
	f.BoolVarP(&quiet, "quiet", "q", false, "do not show progress")
	platform.Bind(f)
	return cmd
}

func importImage(ctx context.Context, _ *libctr.Engine, r *library.Runtime, call cli.Call, o *importOptions) (err error) {
	var id string
	if source := call.Args[0]; source == "-" || source == "/dev/stdin" {
		id, err = r.ImportFrom(ctx, call.In, o.ImportOptions)
	} else {
		id, err = r.Import(ctx, source, o.ImportOptions)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(call.Out, id)
	return nil
}
