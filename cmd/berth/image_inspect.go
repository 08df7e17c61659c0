// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"io"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
	formats "go.podman.io/common/pkg/report"
)

func newImageInspectCmd(f *engineFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "inspect [options] IMAGE [IMAGE...]",
		Short:   "Show an image's configuration",
		Long:    "Shows everything about local images, as JSON or through a Go template.",
		Example: "berth image inspect --format '{{.Config.Cmd}}' app",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			return inspectImages(e.ImageView(), args, format, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "json", "`FORMAT`: json or a Go template")
	return cmd
}

// inspectImages prints what is known of the images; those that are not found come as the error,
// after the others.
func inspectImages(v *image.View, names []string, format string, out io.Writer) error {
	found := []*image.Data{}
	var errs []error
	for _, name := range names {
		img, err := lookupImage(v, name)
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
	if len(found) > 0 || len(errs) == 0 || formats.IsJSON(format) {
		errs = append(errs, printInspected(found, format, out))
	}
	return errors.Join(errs...)
}

func printInspected(found []*image.Data, format string, out io.Writer) error {
	if formats.IsJSON(format) || format == "" {
		return printJSON(out, found)
	}
	return printTemplate(out, "inspect", fieldsOfInspect(format), found, nil)
}
