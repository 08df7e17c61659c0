// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type removeOptions struct {
	common
}

// NewRemove returns the command `partial remove`.
func NewRemove(g *cli.Global) *cobra.Command { return newRemove(g, remove) }

func newRemove(g *cli.Global, run cli.Run[*removeOptions]) *cobra.Command {
	var o removeOptions
	cmd := &cobra.Command{
		Use:     "remove [options] PART",
		Aliases: []string{"rm"},
		Short:   "Remove a part from a source",
		Long:    "Removes the \"#: use\" lines of a part from the source, and writes the lock. Parts that others need stay in the image.",
		Example: "berth partial remove std/nodejs",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	return cmd
}

func remove(ctx context.Context, call cli.Call, o *removeOptions) error {
	return o.onSource(ctx, call, nil, func(p *project.Project) error {
		part := call.Args[0]
		r, err := p.Remove(ctx, part)
		if err != nil || !o.format.json() {
			return err
		}
		return console.JSON(call.Out, struct {
			File, Part string
			Notes      []string
		}{p.File(), part, r.Notes})
	})
}
