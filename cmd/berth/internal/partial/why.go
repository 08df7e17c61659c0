// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type whyOptions struct {
	common
}

// NewWhy returns the command `partial why`.
func NewWhy(g *cli.Global) *cobra.Command { return newWhy(g, why) }

func newWhy(g *cli.Global, run cli.Run[*whyOptions]) *cobra.Command {
	var o whyOptions
	cmd := &cobra.Command{
		Use:     "why [options] PART",
		Short:   "Show why a part is needed",
		Example: "berth partial why std/ca-certs",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	return cmd
}

func why(ctx context.Context, call cli.Call, o *whyOptions) error {
	part := call.Args[0]
	return o.onSource(ctx, call, nil, func(p *project.Project) error {
		r, err := p.Compose(ctx)
		if err != nil {
			return err
		}
		lines := r.Why(part)
		if lines == nil {
			return partial.Errorf("P022", "%s is not among the parts of %s%s", part, p.File(), partial.DidYouMean(part, r.PartNames()))
		}
		if o.format.json() {
			return console.JSON(call.Out, lines)
		}
		for _, l := range lines {
			fmt.Fprintln(call.Out, l)
		}
		return nil
	})
}
