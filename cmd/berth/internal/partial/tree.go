// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type treeOptions struct {
	common
}

// NewTree returns the command `partial tree`.
func NewTree(g *cli.Global) *cobra.Command { return newTree(g, tree) }

func newTree(g *cli.Global, run cli.Run[*treeOptions]) *cobra.Command {
	var o treeOptions
	cmd := &cobra.Command{
		Use:     "tree [options]",
		Short:   "Show the parts of a source and what they require as a tree",
		Example: "berth partial tree",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	return cmd
}

func tree(ctx context.Context, call cli.Call, o *treeOptions) error {
	return o.onSource(ctx, call, nil, func(p *project.Project) error {
		r, err := p.Compose(ctx)
		if err != nil {
			return err
		}
		if o.format.json() {
			return console.JSON(call.Out, r.Lock.Parts)
		}
		printPartTree(call.Out, r)
		return nil
	})
}

// printPartTree prints each stage with the parts that the source uses in it, and below them what they require.
func printPartTree(out io.Writer, r *partial.Result) {
	version, requires := map[string]string{}, map[string][]string{}
	for _, lp := range r.Lock.Parts {
		version[lp.Name] = lp.Version
		requires[lp.Name] = lp.Requires
	}
	var show func(name string, depth int)
	show = func(name string, depth int) {
		fmt.Fprintf(out, "%s%s %s\n", strings.Repeat("  ", depth), name, version[name])
		for _, dep := range requires[name] {
			show(dep, depth+1)
		}
	}
	stage := ""
	for i, b := range r.Blocks {
		if strings.HasPrefix(b.Stage, "build:") {
			continue
		}
		if b.Stage != stage || i == 0 {
			stage = b.Stage
			fmt.Fprintln(out, stage)
		}
		if b.Needed == "" {
			show(b.Part.Meta.Name, 1)
		}
	}
}
