// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type pullOptions struct {
	common
	lock string
}

// NewPull returns the command `partial pull`.
func NewPull(g *cli.Global) *cobra.Command { return newPull(g, pull) }

func newPull(g *cli.Global, run cli.Run[*pullOptions]) *cobra.Command {
	var o pullOptions
	cmd := &cobra.Command{
		Use:     "pull [options] [PART[@RANGE]...]",
		Short:   "Pull parts into local storage, so that builds work offline",
		Long:    "Pulls the newest version within the range of each PART, or with --lock everything that a lock names, bases included.",
		Example: "berth partial pull std/nodejs@^1\n  berth partial pull --lock Containerfile.lock",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (o.lock == "") == (len(args) == 0) {
				return errors.New("name parts, or give --lock FILE")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.registry.Bind(f)
	o.format.bind(f)
	f.StringVar(&o.lock, "lock", "", "pull the parts and bases that the lock `FILE` names")
	return cmd
}

func pull(ctx context.Context, call cli.Call, o *pullOptions) error {
	opts, err := o.options(ctx, call)
	if err != nil {
		return err
	}
	dir := "."
	if o.lock != "" {
		dir = filepath.Dir(o.lock)
	}
	return withLibrary(opts, dir, func(p *project.Project) error {
		if o.lock != "" {
			return pullLocked(ctx, p, o.lock, o.format, call.Out)
		}
		pulled := pulledParts{}
		for _, a := range call.Args {
			part, err := p.Find(ctx, a)
			if err != nil {
				return err
			}
			pulled.Parts = append(pulled.Parts, pulledPart{part.Meta.Name, part.Meta.Version, part.Digest})
		}
		return pulled.show(o.format, call.Out)
	})
}

// pulledParts is what is in the local store now.
type pulledParts struct {
	Parts []pulledPart
	Bases []string
}

type pulledPart struct{ Name, Version, Digest string }

func (l *pulledParts) show(format format, out io.Writer) error {
	if format.json() {
		return console.JSON(out, l)
	}
	for _, p := range l.Parts {
		fmt.Fprintf(out, "%s %s %s\n", p.Name, p.Version, p.Digest)
	}
	for _, b := range l.Bases {
		fmt.Fprintln(out, b)
	}
	return nil
}

func pullLocked(ctx context.Context, p *project.Project, file string, format format, out io.Writer) error {
	parts, bases, err := p.FetchLocked(ctx, file)
	if err != nil {
		return err
	}
	pulled := pulledParts{Bases: bases}
	for _, lp := range parts {
		pulled.Parts = append(pulled.Parts, pulledPart{lp.Name, lp.Version, lp.Digest})
	}
	return pulled.show(format, out)
}
