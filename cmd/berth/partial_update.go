// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/spf13/cobra"
)

func newPartialUpdateCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var format string
	var dryRun bool
	var base string
	cmd := &cobra.Command{
		Use:   "update [options] [PART...]",
		Short: "Take new versions of parts and bases into the lock",
		Long: "Chooses versions anew, of all parts or only of those named, asks registries for the digests of bases, prints what changes, with\n" +
			"the differences of the parts' texts, and writes the lock.",
		Example: "berth partial update --dry-run\n  berth partial update std/nodejs",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			o, err := p.source(cmd, f)
			if err != nil {
				return err
			}
			o.Update, o.Only = true, args
			return withProject(o, func(p *project.Project) error {
				if err := knownParts(p, args); err != nil {
					return err
				}
				text, err := p.Text(), error(nil)
				if base != "" {
					changed, err := partial.SetBase(o.File, string(text), base)
					if err != nil {
						return err
					}
					text = []byte(changed)
				}
				if err = partialUpdate(cmd.Context(), p, text, dryRun, format, cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil || base == "" || dryRun {
					return err
				}
				return atomicfile.Write(o.File, text, fileMode(o.File), false)
			})
		},
	}
	p.bindCompose(cmd.Flags())
	bindFormat(cmd.Flags(), &format)
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "write nothing")
	cmd.Flags().StringVar(&base, "base", "", "`IMAGE` to write into the FROM line of the last stage")
	return cmd
}

// knownParts wants each name to be that of a part in the lock, or of a line of the source.
func knownParts(p *project.Project, names []string) error {
	known := partial.UsedParts(p.Text())
	if l := p.Lock(); l != nil {
		for _, part := range l.Parts {
			known = append(known, part.Name)
		}
	}
	for _, n := range names {
		if !slices.ContainsFunc(known, func(k string) bool { return k == n || strings.HasSuffix(k, "/"+n) }) {
			return partial.Errorf("P022", "%s is neither used nor locked%s", n, partial.DidYouMean(n, known))
		}
	}
	return nil
}

func partialUpdate(ctx context.Context, p *project.Project, text []byte, dryRun bool, format string, out, talk io.Writer) error {
	r, err := p.ComposeText(ctx, text, p.Lock())
	if err != nil {
		return err
	}
	printNotes(talk, r.Notes)
	if err := printChanges(ctx, p, r, format, out); err != nil {
		return err
	}
	if dryRun {
		return nil
	}
	_, err = p.WriteLock(r)
	return err
}

// printChanges prints what a new lock has that the old one has not, and the other way round.
func printChanges(ctx context.Context, p *project.Project, r *partial.Result, format string, out io.Writer) error {
	old := p.Lock()
	if old == nil {
		old = &partial.Lock{}
	}
	type change struct {
		partial.LockChange
		Diff string `json:",omitempty"`
	}
	changes, into := []change{}, out
	if format == "json" {
		out = io.Discard
	}
	for _, c := range partial.LockChanges(old, r.Lock) {
		fmt.Fprintln(out, c.String())
		changes = append(changes, change{LockChange: c})
		if c.Kind != "part" || c.Old == "" || c.New == "" {
			continue
		}
		was, err := lockedPart(ctx, p, old, c)
		if err != nil {
			fmt.Fprintln(out, "  (the old text cannot be had, so what has changed in it is not shown)")
			continue
		}
		i := slices.IndexFunc(r.Blocks, func(b partial.Block) bool { return b.Part.Meta.Name == c.Name })
		if i >= 0 {
			diff := partial.Diff(was.Text, r.Blocks[i].Part.Text, "  ")
			fmt.Fprint(out, diff)
			changes[len(changes)-1].Diff = diff
		}
	}
	if format == "json" {
		return printJSON(into, changes)
	}
	return nil
}

// lockedPart reads the part that a lock has.
func lockedPart(ctx context.Context, p *project.Project, l *partial.Lock, c partial.LockChange) (*partial.Part, error) {
	for _, lp := range l.Parts {
		if lp.Name == c.Name && lp.Digest == c.OldDigest {
			ref, _, err := partial.ParseRef(lp.From)
			if err != nil {
				return nil, err
			}
			return p.Parts.Part(ctx, ref, partial.Release{Version: lp.Version, Digest: lp.Digest})
		}
	}
	return nil, fmt.Errorf("%s is not in the lock", c.Name)
}
