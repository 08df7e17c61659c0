// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

type saveOptions struct {
	library.SaveOptions
	output string
	multi  *bool // nil is containers.conf's
	quiet  bool
}

// NewSave returns the command `save`.
func NewSave(g *cli.Global) *cobra.Command { return newSave(g, withImages(save)) }

func newSave(g *cli.Global, run cli.Run[*saveOptions]) *cobra.Command {
	var o saveOptions
	var multi bool
	cmd := &cobra.Command{
		Use:   "save [options] IMAGE [IMAGE...]",
		Short: "Save images to an archive or directory",
		Long: "Writes an image to standard output or a file. Further arguments are more names for it in the archive,\n" +
			"or with --multi-image-archive more images.",
		Example: "berth save -o app.tar app\nberth save --format oci-archive app | ssh host berth load",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return fmt.Errorf("save images: %w", err)
			}
			if cmd.Flags().Changed("multi-image-archive") {
				o.multi = &multi
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "write to `FILE` or directory instead of standard output")
	f.StringVar(&o.Format, "format", "docker-archive", "docker-archive, oci-archive, oci-dir or docker-dir")
	f.BoolVarP(&multi, "multi-image-archive", "m", false, "save every argument as an image (docker-archive only)")
	f.BoolVar(&o.Compress, "compress", false, "compress layers (docker-dir only)")
	f.BoolVar(&o.Uncompressed, "uncompressed", false, "do not compress uncompressed layers (OCI formats)")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "do not show progress")
	return cmd
}

func (o *saveOptions) toStdout() bool { return o.output == "" || o.output == "/dev/stdout" }

func (o *saveOptions) check() error {
	if !slices.Contains([]string{"docker-archive", "oci-archive", "oci-dir", "docker-dir"}, o.Format) {
		return fmt.Errorf("--format %q: must be docker-archive, oci-archive, oci-dir or docker-dir", o.Format)
	}
	switch isDir := o.Format == "oci-dir" || o.Format == "docker-dir"; {
	case o.Compress && o.Format != "docker-dir":
		return errors.New("--compress needs --format docker-dir")
	case isDir && o.toStdout():
		return hint.Add(fmt.Errorf("--format %s makes a directory", o.Format), "name it with --output DIR")
	case o.toStdout() && console.IsTerminal(console.Out.File()):
		return hint.Add(errors.New("standard output is a terminal"), "name a file with --output FILE, or redirect: berth save IMAGE > FILE")
	}
	return nil
}

func save(ctx context.Context, e *libctr.Engine, r *library.Runtime, call cli.Call, o *saveOptions) error {
	if o.multi == nil {
		conf, err := e.Config()
		if err != nil {
			return err
		}
		o.multi = &conf.Engine.MultiImageArchive
	}
	images := call.Args
	if !*o.multi {
		images, o.Tags = images[:1], images[1:]
	}
	o.Progress = console.Progress(o.quiet)
	if o.toStdout() {
		return r.SaveTo(ctx, images, console.AsIs(call.Out), o.SaveOptions)
	}
	return r.Save(ctx, images, o.output, o.SaveOptions)
}
