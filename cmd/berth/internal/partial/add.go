// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type addOptions struct {
	common
	stage string
}

// NewAdd returns the command `partial add`.
func NewAdd(g *cli.Global) *cobra.Command { return newAdd(g, add) }

func newAdd(g *cli.Global, run cli.Run[*addOptions]) *cobra.Command {
	var o addOptions
	cmd := &cobra.Command{
		Use:   "add [options] PART[@RANGE] [as dev] [PARAM=VALUE...]",
		Short: "Add a part to a source",
		Long: "Adds a \"#: use\" line to the source and, the first time, the guard that keeps plain builders from building the file\n" +
			"without its parts; composes it, and writes the lock. If there is no solution nothing is written.",
		Example: "berth partial add std/nodejs@^1 version=22.11.0",
		Args:    cobra.MinimumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	f.StringVar(&o.stage, "stage", "", "`STAGE` to add the part to (default: the last)")
	return cmd
}

func add(ctx context.Context, call cli.Call, o *addOptions) error {
	words := make([]string, len(call.Args))
	for i, a := range call.Args {
		words[i] = partial.QuoteWord(a)
	}
	use := strings.Join(words, " ")
	return o.onSource(ctx, call, nil, func(p *project.Project) error {
		r, line, err := p.Add(ctx, use, o.stage)
		if err != nil {
			return err
		}
		PrintNotes(call.Err, r.Notes)
		if o.format.json() {
			return console.JSON(call.Out, struct {
				File  string
				Line  int
				Use   string
				Notes []string
			}{p.File(), line, use, r.Notes})
		}
		_, err = fmt.Fprintf(call.Err, "%s:%d: #: use %s\n", p.File(), line, use)
		return err
	})
}
