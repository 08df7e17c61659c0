// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/trial"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type rebaseOptions struct {
	common
	onto, tag, part string
	unsafe          bool
}

// NewRebase returns the command `partial rebase`.
func NewRebase(g *cli.Global) *cobra.Command { return newRebase(g, rebase) }

func newRebase(g *cli.Global, run cli.Run[*rebaseOptions]) *cobra.Command {
	var o rebaseOptions
	cmd := &cobra.Command{
		Use:   "rebase [options] (--onto BASE | --part NAME@VERSION) IMAGE",
		Short: "Put a composed image on a newer base, or a newer part into it, without building the rest",
		Long: "Puts the image's own layers on another base of the same distribution, major version and libc, and computes the configuration again. Nothing is\n" +
			"run. It is refused if a layer may depend on the base: allowed are detached parts, COPY and ADD, and each RUN below \"#: rebase safe\".\n" +
			"With --part the layers of one detached part are replaced, after building only its helper stages.",
		Example: "berth partial rebase --onto docker.io/library/debian:12.9-slim -t shop/web:8 shop/web:7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (o.onto == "") == (o.part == "") {
				return errors.New("give one of --onto BASE and --part NAME@VERSION")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.bindRegistry(f)
	o.format.bind(f)
	f.StringVar(&o.onto, "onto", "", "`IMAGE` to put it on")
	f.StringVarP(&o.tag, "tag", "t", "", "`NAME` of the result (default: IMAGE)")
	f.BoolVar(&o.unsafe, "unsafe", false, "also move layers that may depend on the old base")
	f.StringVar(&o.part, "part", "", "replace the detached part `NAME[@VERSION]`")
	return cmd
}

func rebase(ctx context.Context, call cli.Call, o *rebaseOptions) error {
	opts, err := o.options(ctx, call)
	if err != nil {
		return err
	}
	image := call.Args[0]
	tag := cmp.Or(o.tag, image)
	name, version, _ := strings.Cut(o.part, "@")
	if o.part != "" {
		opts.File, opts.Update, opts.Only = "Containerfile", true, []string{name}
	}
	return withLibrary(opts, ".", func(p *project.Project) (err error) {
		var id string
		if o.part != "" {
			r := &trial.Replacement{Trial: &trial.Trial{Project: p, Log: call.Err}, Part: name, Version: version}
			id, err = r.In(ctx, image, tag)
			err = cli.StepCode(err)
		} else {
			id, err = p.Rebase(ctx, image, o.onto, tag, o.unsafe)
		}
		if err != nil {
			return err
		}
		if o.format.json() {
			return console.JSON(call.Out, struct{ ID, Name string }{id, tag})
		}
		_, err = fmt.Fprintln(call.Out, id)
		return err
	})
}
