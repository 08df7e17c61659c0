// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"errors"
	"io"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
)

type inspectOptions struct{ format string }

// NewInspect returns the command `image inspect`.
func NewInspect(g *cli.Global) *cobra.Command { return newInspect(g, inspect) }

func newInspect(g *cli.Global, run cli.Run[*inspectOptions]) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:     "inspect [options] IMAGE [IMAGE...]",
		Short:   "Display the configuration of one or more images",
		Long:    "Displays everything about local images, as JSON or through a Go template.",
		Example: "berth image inspect --format '{{.Config.Cmd}}' app",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVarP(&o.format, "format", "f", "json", "`FORMAT`: json or a Go template")
	cli.Fields(cmd.Flags(), &image.Data{})
	return cmd
}

// inspect shows what is known of the images; those that are not found come as the error, after the others.
func inspect(ctx context.Context, call cli.Call, o *inspectOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	view := e.ImageView()
	found := []*image.Data{}
	var errs []error
	for _, name := range call.Args {
		img, err := lookup(view, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		data, err := img.Inspect()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, data)
	}
	if len(found) > 0 || len(errs) == 0 || console.IsJSON(o.format) {
		errs = append(errs, printInspected(found, o.format, call.Out))
	}
	return errors.Join(errs...)
}

func printInspected(found []*image.Data, format string, out io.Writer) error {
	if console.IsJSON(format) || format == "" {
		return console.JSON(out, found)
	}
	return console.PrintTemplate(out, "inspect", console.FieldsOfInspect(format), found, nil)
}
