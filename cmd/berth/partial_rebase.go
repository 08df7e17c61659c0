// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"bytes"
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
					t := &partReplacement{project: pr, engine: f, name: name, version: version, format: p.format, talk: cmd.ErrOrStderr()}
					return t.replace(cmd.Context(), args[0], tag, cmd.OutOrStdout())
				})
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				return partialRebase(cmd.Context(), pr, args[0], onto, tag, unsafe, p.format, cmd.OutOrStdout())
			})
		},
	}
	p.bindRegistry(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringVar(&onto, "onto", "", "`IMAGE` to put it on")
	cmd.Flags().StringVarP(&tag, "tag", "t", "", "`NAME` of the result (default: IMAGE)")
	cmd.Flags().BoolVar(&unsafe, "unsafe", false, "take layers along that may depend on the old base")
	cmd.Flags().StringVar(&part, "part", "", "`NAME[@VERSION]` of a detached part to replace")
	return cmd
}

func partialRebase(ctx context.Context, p *project.Project, name, onto, tag string, unsafe bool, format string, out io.Writer) error {
	facts, img, err := imageFacts(ctx, p, name)
	if err != nil {
		return err
	}
	x, err := partial.Extract(facts)
	if err != nil {
		return err
	}
	if !x.Exact || x.From == "provenance" {
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
	if err := keepRebased(p, x, &in, r.Text, img.Digest.String(), id); err != nil {
		return err
	}
	return showRebased(out, format, id, tag)
}

func showRebased(out io.Writer, format, id, tag string) error {
	if format == "json" {
		return printJSON(out, struct{ ID, Name string }{id, tag})
	}
	_, err := fmt.Fprintln(out, id)
	return err
}

// keepRebased keeps a record for the new image where the old one's is at hand. It names the old image.
func keepRebased(p *project.Project, x *partial.Extracted, in *partial.RebaseInput, text, previous, id string) error {
	if len(x.Lock) == 0 {
		return nil
	}
	lock, err := partial.ParseLock("the image's lock", bytes.TrimSpace(x.Lock))
	if err != nil {
		return err
	}
	source, err := partial.SetBase("Containerfile", string(x.Source), in.NewRef)
	if err != nil {
		source = "" // a requirement file, or one that names its base by an ARG
	}
	body := partial.BodyOf(text)
	r := &partial.Result{Text: text, Body: body, Digest: partial.DigestOf(body), Lock: lock.Rebased(in.OldRef, in.NewRef, in.New, body, source)}
	if err := p.KeepRecord(r, []byte(source), previous); err != nil {
		return err
	}
	_, err = project.KeepLayers(p.Engine(), text, id)
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
