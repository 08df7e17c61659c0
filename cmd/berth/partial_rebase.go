//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialRebaseCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var onto, tag, part string
	var unsafe bool
	cmd := &cobra.Command{
		Use:   "rebase [options] (--onto BASE | --part NAME@VERSION) IMAGE",
		Short: "Put a composed image on a newer base, or a newer part into it, without building the rest",
		Long: "Puts the image's own layers on another base of the same distribution, major version and libc, and computes the configuration anew. Nothing is\n" +
			"run. It is refused if a layer may depend on the base: allowed are detached parts, COPY and ADD, and each RUN below \"#: rebase safe\".\n" +
			"With --part the layers of one detached part are replaced, after building only its helper stages.",
		Example: "berth partial rebase --onto docker.io/library/debian:12.9-slim -t shop/web:8 shop/web:7",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			if tag == "" {
				tag = args[0]
			}
			if (onto == "") == (part == "") {
				return errors.New("give one of --onto BASE and --part NAME@VERSION")
			}
			if part != "" {
				name, version, _ := strings.Cut(part, "@")
				o.File, o.Update, o.Only = "Containerfile", true, []string{name}
				return withLibrary(o, "", func(pr *project.Project) error {
					t := &partReplacement{project: pr, engine: f, name: name, version: version, talk: cmd.ErrOrStderr()}
					return t.replace(cmd.Context(), args[0], tag, cmd.OutOrStdout())
				})
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				return partialRebase(cmd.Context(), pr, args[0], onto, tag, unsafe, cmd.OutOrStdout())
			})
		},
	}
	p.bindRegistry(cmd.Flags())
	cmd.Flags().StringVar(&onto, "onto", "", "`IMAGE` to put it on")
	cmd.Flags().StringVarP(&tag, "tag", "t", "", "`NAME` of the result (default: IMAGE)")
	cmd.Flags().BoolVar(&unsafe, "unsafe", false, "take layers along that may depend on the old base")
	cmd.Flags().StringVar(&part, "part", "", "`NAME[@VERSION]` of a detached part to replace")
	return cmd
}

func partialRebase(ctx context.Context, p *project.Project, name, onto, tag string, unsafe bool, out io.Writer) error {
	facts, img, err := imageFacts(ctx, p, name)
	if err != nil {
		return err
	}
	x, err := partial.Extract(facts)
	if err != nil {
		return err
	}
	if !x.Exact {
		return partial.Errorf("P090", "cannot rebase: the container file of %s is not known exactly; rebuild it", name)
	}
	in := partial.RebaseInput{Text: x.Text, Metas: p.Metas(ctx, facts), NewRef: onto, Unsafe: unsafe}
	if in.OldRef, err = partial.LastBase(x.Text); err != nil {
		return err
	}
	if in.Config, err = base.Config(img); err != nil {
		return err
	}
	if in.Old, in.OldBase, err = baseFacts(ctx, p, in.OldRef); err != nil {
		return err
	}
	if in.New, in.NewBase, err = baseFacts(ctx, p, onto); err != nil {
		return err
	}
	r, err := partial.Rebase(in)
	if err != nil {
		return err
	}
	old, err := p.Bases.Local(in.OldRef)
	if err != nil {
		return err
	}
	under, err := p.Bases.Extraction(old)
	if err != nil {
		return err
	}
	n := len(under.DiffIDs)
	if n > len(facts.DiffIDs) || fmt.Sprint(under.DiffIDs) != fmt.Sprint(facts.DiffIDs[:n]) {
		return partial.Errorf("P090", "cannot rebase: the first layers of %s are not those of its base %s", name, in.OldRef)
	}
	now, err := p.Bases.Local(onto)
	if err != nil {
		return err
	}
	id, err := p.Bases.Rebase(ctx, img, now, n, r, tag)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, id)
	return err
}

// baseFacts reads a base, which is pulled if it is not in the store.
func baseFacts(ctx context.Context, p *project.Project, ref string) (*partial.Base, partial.ImageConfig, error) {
	facts, err := p.Bases.Base(ctx, ref)
	if err != nil {
		return nil, partial.ImageConfig{}, err
	}
	img, err := p.Bases.Local(ref)
	if err != nil {
		return nil, partial.ImageConfig{}, err
	}
	c, err := base.Config(img)
	return facts, c, err
}
