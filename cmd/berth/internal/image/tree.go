// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"fmt"
	"io"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

type treeOptions struct{ children bool }

// NewTree returns the command `image tree`.
func NewTree(g *cli.Global) *cobra.Command { return newTree(g, tree) }

func newTree(g *cli.Global, run cli.Run[*treeOptions]) *cobra.Command {
	var o treeOptions
	cmd := &cobra.Command{
		Use:     "tree [options] IMAGE",
		Short:   "Show the layers of an image as a tree",
		Long:    "Shows the layers of a local image, the base first, and which images end in each.",
		Example: "berth image tree app",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVar(&o.children, "whatrequires", false, "show the layers that other images put on this one instead")
	return cmd
}

func tree(ctx context.Context, call cli.Call, o *treeOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	img, err := lookup(e.ImageView(), call.Args[0])
	if err != nil {
		return err
	}
	return printTree(img, o.children, call.Out)
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
