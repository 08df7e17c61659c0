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

type composeOptions struct {
	common
	output, push string
}

// NewCompose returns the command `partial compose`.
func NewCompose(g *cli.Global) *cobra.Command { return newCompose(g, compose) }

func newCompose(g *cli.Global, run cli.Run[*composeOptions]) *cobra.Command {
	var o composeOptions
	cmd := &cobra.Command{
		Use:   "compose [options]",
		Short: "Write the plain Containerfile that a source stands for",
		Long: "Writes the composed file: the plain Containerfile that build would build, which any builder takes. Versions come\n" +
			"from the lock as long as it fits the source; otherwise they are chosen, and the lock FILE.lock is written. With --push the\n" +
			"composed file is published, with the lock and the source, where extract finds it.",
		Example: "berth partial compose -o Containerfile.composed\n  berth partial compose --locked\n  berth partial compose --push registry.example.org/files/web:7",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindCompose(f)
	o.format.bind(f)
	f.StringVarP(&o.output, "output", "o", "", "`FILE` to write to (default: standard output)")
	f.StringVar(&o.push, "push", "", "publish it in a registry as `NAME`, HOST/REPOSITORY[:TAG], and print its digest instead of the text")
	return cmd
}

func compose(ctx context.Context, call cli.Call, o *composeOptions) error {
	opts, err := o.source(ctx, call)
	if err != nil {
		return err
	}
	r, err := project.Compose(ctx, opts)
	if err != nil {
		return Coded(err)
	}
	PrintNotes(call.Err, r.Notes)
	published := ""
	if o.push != "" {
		if published, err = project.PublishFile(ctx, opts, r, o.push); err != nil {
			return Coded(err)
		}
	}
	if o.format.json() {
		return console.JSON(call.Out, composed(r, published))
	}
	if published != "" {
		if _, err := fmt.Fprintln(call.Out, published); err != nil || o.output == "" {
			return err
		}
	}
	return writeOutput(call.Out, o.output, r.Text)
}

// composed is a composition for --format json.
func composed(r *partial.Result, published string) any {
	type block struct {
		Name, Version, Digest, Role, Stage, NeededBy string
		Params                                       map[string]string
	}
	shown := struct {
		Text, Digest string
		Published    string `json:",omitempty"`
		Blocks       []block
		Notes        []string
	}{Text: r.Text, Digest: r.Digest, Published: published, Notes: r.Notes}
	for _, b := range r.Blocks {
		shown.Blocks = append(shown.Blocks, block{b.Part.Meta.Name, b.Part.Meta.Version, b.Part.Digest, b.Role, b.Stage, b.Needed, b.Params})
	}
	return shown
}
