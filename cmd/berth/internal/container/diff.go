// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type diffOptions struct {
	format string
	latest bool
}

// NewDiff returns the command `diff`.
func NewDiff(g *cli.Global) *cobra.Command { return newDiff(g, diff) }

func newDiff(g *cli.Global, run cli.Run[*diffOptions]) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:     "diff [options] CONTAINER",
		Short:   "Show what a container has changed of its image's files",
		Long:    "Shows what a container, running or not, has changed of its image's files: A for what was added, C for what was changed, D for what was deleted.",
		Example: "berth diff web\n  berth diff --format json web",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "output format: json")
	f.BoolVarP(&o.latest, "latest", "l", false, "act on the most recently created container")
	return cmd
}

func diff(ctx context.Context, call cli.Call, o *diffOptions) error {
	if o.format != "" && o.format != "json" {
		return errors.New("only supported value for '--format' is 'json'")
	}
	if len(call.Args) == 0 && !o.latest {
		return errors.New("diff: give a container's name or ID")
	}
	if len(call.Args) > 0 && o.latest {
		return errors.New("--latest and containers cannot be used together")
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	list, err := e.Select(ctx, libctr.Selection{Latest: o.latest, Names: call.Args})
	if err != nil {
		return err
	}
	changes, err := e.Diff(ctx, list[0].Container)
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
