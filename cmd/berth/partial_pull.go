// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialPullCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var lock string
	cmd := &cobra.Command{
		Use:     "pull [options] [PART[@RANGE]...]",
		Short:   "Fetch parts into the local store, so that builds work offline",
		Long:    "Fetches the newest version within the range of each PART, or with --lock everything that a lock names, bases included.",
		Example: "berth partial pull std/nodejs@^1\n  berth partial pull --lock Containerfile.lock",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (lock == "") == (len(args) == 0) {
				return errors.New("name parts, or give --lock FILE")
			}
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			dir := ""
			if lock != "" {
				dir = filepath.Dir(lock)
			}
			return withLibrary(o, dir, func(pr *project.Project) error {
				if lock != "" {
					return pullLocked(cmd.Context(), pr, lock, p.format, cmd.OutOrStdout())
				}
				pulled := pulledParts{}
				for _, a := range args {
					part, err := pr.Find(cmd.Context(), a)
					if err != nil {
						return err
					}
					pulled.Parts = append(pulled.Parts, pulledPart{part.Meta.Name, part.Meta.Version, part.Digest})
				}
				return pulled.show(p.format, cmd.OutOrStdout())
			})
		},
	}
	p.registry.bind(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringVar(&lock, "lock", "", "`FILE` whose parts and bases are wanted")
	return cmd
}

// pulledParts is what is in the local store now.
type pulledParts struct {
	Parts []pulledPart
	Bases []string
}

type pulledPart struct{ Name, Version, Digest string }

func (l *pulledParts) show(format string, out io.Writer) error {
	if format == "json" {
		return printJSON(out, l)
	}
	for _, p := range l.Parts {
		fmt.Fprintf(out, "%s %s %s\n", p.Name, p.Version, p.Digest)
	}
	for _, b := range l.Bases {
		fmt.Fprintln(out, b)
	}
	return nil
}

func pullLocked(ctx context.Context, p *project.Project, file, format string, out io.Writer) error {
	pulled := pulledParts{}
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; write it with: berth partial update", err)
	}
	if err != nil {
		return err
	}
	l, err := partial.ParseLock(filepath.Base(file), data)
	if err != nil {
		return err
	}
	for _, lp := range l.Parts {
		ref, _, err := partial.ParseRef(lp.From)
		if err != nil {
			return err
		}
		if _, err := p.Parts.Part(ctx, ref, partial.Release{Version: lp.Version, Digest: lp.Digest}); err != nil {
			return err
		}
		pulled.Parts = append(pulled.Parts, pulledPart{lp.Name, lp.Version, lp.Digest})
	}
	for _, pin := range l.Pinned() {
		if err := p.Bases.Fetch(ctx, pin); err != nil {
			return err
		}
		pulled.Bases = append(pulled.Bases, pin)
	}
	return pulled.show(format, out)
}
