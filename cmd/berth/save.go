// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

// saveOptions are save's flags.
type saveOptions struct {
	library.SaveOptions
	output string
	multi  bool
	quiet  bool
}

func newSaveCmd(f *engineFlags) *cobra.Command {
	var o saveOptions
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
			return changeImages(cmd.Context(), f, func(e *libctr.Engine, r *library.Runtime) error {
				if !cmd.Flags().Changed("multi-image-archive") {
					c, err := e.Config()
					if err != nil {
						return err
					}
					o.multi = c.Engine.MultiImageArchive
				}
				return save(cmd, r, args, o)
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&o.output, "output", "o", "", "`FILE` or directory to write instead of standard output")
	fl.StringVar(&o.Format, "format", "docker-archive", "docker-archive, oci-archive, oci-dir or docker-dir")
	fl.BoolVarP(&o.multi, "multi-image-archive", "m", false, "save every argument as an image (docker-archive only)")
	fl.BoolVar(&o.Compress, "compress", false, "compress layers (docker-dir only)")
	fl.BoolVar(&o.Uncompressed, "uncompressed", false, "leave layers uncompressed that are so (OCI formats)")
	fl.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
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
	case o.toStdout() && isTerminal(stdout.file()):
		return hint.Add(errors.New("standard output is a terminal"), "name a file with --output FILE, or redirect: berth save IMAGE > FILE")
	}
	return nil
}

func save(cmd *cobra.Command, r *library.Runtime, images []string, o saveOptions) error {
	if !o.multi {
		images, o.Tags = images[:1], images[1:]
	}
	o.Progress = progress(o.quiet)
	if o.toStdout() {
		return r.SaveTo(cmd.Context(), images, asIs(cmd.OutOrStdout()), o.SaveOptions)
	}
	return r.Save(cmd.Context(), images, o.output, o.SaveOptions)
}
