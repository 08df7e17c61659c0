// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type yankOptions struct {
	common
	reason string
	undo   bool
}

// NewYank returns the command `partial yank`.
func NewYank(g *cli.Global) *cobra.Command { return newYank(g, yank) }

func newYank(g *cli.Global, run cli.Run[*yankOptions]) *cobra.Command {
	var o yankOptions
	cmd := &cobra.Command{
		Use:   "yank [options] PART@VERSION",
		Short: "Mark a published version as not to be chosen any more",
		Long: "Marks a version in its registry: composition chooses it only where a lock has it. The version itself stays. With --undo\n" +
			"the mark is removed, where the registry lets anything be deleted.",
		Example: "berth partial yank --reason \"CVE-2026-1\" registry.example.org/parts/nodejs@1.4.1",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.undo && o.reason != "" {
				return errors.New("--reason is for yanking, not for --undo")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.registry.Bind(f)
	o.format.bind(f)
	f.StringVar(&o.reason, "reason", "", "`TEXT` that says why")
	f.BoolVar(&o.undo, "undo", false, "remove the mark")
	return cmd
}

func yank(ctx context.Context, call cli.Call, o *yankOptions) error {
	return o.onLibrary(ctx, call, func(p *project.Project) error {
		ref, rng, err := partial.ParseRef(call.Args[0])
		if err != nil {
			return err
		}
		if rng.Any() {
			return errors.New("name the version: PART@VERSION")
		}
		version, word := rng.String(), "yanked"
		if o.undo {
			word = "not yanked any more"
			err = p.Parts.Unyank(ctx, ref, version)
		} else {
			err = p.Parts.Yank(ctx, ref, version, o.reason)
		}
		if err != nil {
			return err
		}
		if o.format.json() {
			return console.JSON(call.Out, struct {
				Part, Version string
				Yanked        bool
			}{ref.Text, version, !o.undo})
		}
		_, err = fmt.Fprintf(call.Err, "%s %s is %s\n", ref.Text, version, word)
		return err
	})
}
