// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"io"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

func newImageTreeCmd(f *engineFlags) *cobra.Command {
	var children bool
	cmd := &cobra.Command{
		Use:     "tree [options] IMAGE",
		Short:   "Show an image's layers",
		Long:    "Shows the layers of a local image, the base first, and which images end in each.",
		Example: "berth image tree app",
		Args:    cobra.ExactArgs(1),
		RunE: f.withEngine(func(cmd *cobra.Command, e *libctr.Engine, args []string) error {
			img, err := lookupImage(e.ImageView(), args[0])
			if err != nil {
				return err
			}
			return printTree(img, children, cmd.OutOrStdout())
		}),
	}
	cmd.Flags().BoolVar(&children, "whatrequires", false, "show the layers that others put on this image instead")
	return cmd
}

func printTree(img *image.Image, children bool, out io.Writer) error {
	tree, err := img.LayerTree(children)
	if err != nil {
		return err
	}
	size, err := img.Size()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Image ID: %.12s\nTags:     %s\nSize:     %s\n", img.ID, img.Tags(), units.HumanSizeWithPrecision(float64(size), 4))
	if len(tree) == 0 {
		_, err := fmt.Fprintln(out, "No Image Layers")
		return err
	}
	fmt.Fprintln(out, "Image Layers")
	return printLayers(tree, "", out)
}

func printLayers(nodes []image.LayerNode, indent string, out io.Writer) error {
	for i, n := range nodes {
		branch, below := "├── ", "│   "
		if i == len(nodes)-1 {
			branch, below = "└── ", "    "
		}
		tags := ""
		if len(n.Tags) > 0 {
			tags = fmt.Sprintf(" Top Layer of: %s", n.Tags)
		}
		if _, err := fmt.Fprintf(out, "%s%sID: %.12s Size: %7s%s\n", indent, branch, n.ID, units.HumanSizeWithPrecision(float64(n.Size), 4), tags); err != nil {
			return err
		}
		if err := printLayers(n.Children, indent+below, out); err != nil {
			return err
		}
	}
	return nil
}
