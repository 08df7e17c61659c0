// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
)

type diffOptions struct {
	format string
	latest bool
	of     diffKind
}

// diffKind says what names stand for.
type diffKind string

const (
	diffAny        diffKind = "CONTAINER|IMAGE"
	diffContainers diffKind = "CONTAINER"
	diffImages     diffKind = "IMAGE"
)

// NewDiff returns the command `diff`.
func NewDiff(g *cli.Global) *cobra.Command { return newDiff(g, diffAny, diff) }

// NewImageDiff returns the command `image diff`.
func NewImageDiff(g *cli.Global) *cobra.Command { return newDiff(g, diffImages, diff) }

func newDiff(g *cli.Global, of diffKind, run cli.Run[*diffOptions]) *cobra.Command {
	o := diffOptions{of: of}
	cmd := &cobra.Command{
		Use:  fmt.Sprintf("diff [options] %s [%s]", of, of),
		Args: cobra.MaximumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	const letters = "A for what was added, C for what was changed, D for what was deleted"
	switch of {
	case diffAny:
		cmd.Short = "Show what a container or an image has changed of the files below it"
		cmd.Long = "Shows what a container, running or not, has changed of its image's files, or what the last layer of an image has changed; with a second name, what has to be changed of that one's files:\n" + letters + "."
		cmd.Example = "berth diff web\n  berth diff --format json web\n  berth diff app alpine"
	case diffContainers:
		cmd.Short = "Show what a container has changed of its image's files"
		cmd.Long = "Shows what a container, running or not, has changed of its image's files; with a second one, what has to be changed of that one's:\n" + letters + "."
		cmd.Example = "berth container diff web\n  berth container diff web db"
	default:
		cmd.Short = "Show what the last layer of an image has changed"
		cmd.Long = "Shows what the last layer of an image has changed of the files below it; with a second image, what has to be changed of that one's:\n" + letters + "."
		cmd.Example = "berth image diff app\n  berth image diff app alpine"
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "output format: json")
	if of != diffImages {
		f.BoolVarP(&o.latest, "latest", "l", false, "act on the most recently created container")
	}
	return cmd
}

func diff(ctx context.Context, call cli.Call, o *diffOptions) error {
	if o.format != "" && o.format != "json" {
		return errors.New("only supported value for '--format' is 'json'")
	}
	switch {
	case len(call.Args) == 0 && o.of == diffImages:
		return errors.New("diff: give an image's name or ID")
	case len(call.Args) == 0 && !o.latest:
		return errors.New("diff: give a container's name or ID")
	case len(call.Args) > 0 && o.latest:
		return errors.New("--latest and containers cannot be used together")
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	var sides []libctr.Files
	if o.latest {
		list, err := e.Select(ctx, libctr.Selection{Latest: true})
		if err != nil {
			return err
		}
		sides = []libctr.Files{{Container: list[0].Container}}
	}
	for _, name := range call.Args {
		side, err := o.of.find(ctx, e, name)
		if err != nil {
			return err
		}
		sides = append(sides, side)
	}
	var changes []libctr.Change
	if len(sides) == 2 {
		changes, err = e.DiffFrom(ctx, sides[0], sides[1])
	} else {
		changes, err = e.Diff(ctx, sides[0])
	}
	if err != nil {
		return err
	}
	if o.format == "json" {
		return console.JSON(call.Out, diffOf(changes))
	}
	for _, c := range changes {
		fmt.Fprintf(call.Out, "%s %s\n", c.Kind, c.Path)
	}
	return nil
}

// find returns what a name stands for.
func (k diffKind) find(ctx context.Context, e *libctr.Engine, name string) (of libctr.Files, err error) {
	switch k {
	case diffContainers:
		of.Container, err = e.Lookup(ctx, name)
	case diffImages:
		of.Image, err = e.ImageView().Lookup(name, image.LookupOptions{})
		err = hint.Add(err, "see the local images with: berth images")
	default:
		return e.FindFiles(ctx, name)
	}
	return of, err
}

// diffReport is what --format json shows.
type diffReport struct {
	Changed []string `json:"changed,omitempty"`
	Added   []string `json:"added,omitempty"`
	Deleted []string `json:"deleted,omitempty"`
}

func diffOf(changes []libctr.Change) (r diffReport) {
	for _, c := range changes {
		to := map[libctr.ChangeKind]*[]string{libctr.Added: &r.Added, libctr.Changed: &r.Changed, libctr.Deleted: &r.Deleted}[c.Kind]
		*to = append(*to, c.Path)
	}
	return r
}
