// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
)

// partReplacement puts another version of a detached part into an image.
type partReplacement struct {
	project       *project.Project
	engine        *engineFlags
	name, version string
	format        string
	talk          io.Writer
}

func (t *partReplacement) replace(ctx context.Context, name, tag string, out io.Writer) error {
	facts, img, err := imageFacts(ctx, t.project, name)
	if err != nil {
		return err
	}
	x, err := partial.Extract(facts)
	if err != nil {
		return err
	}
	if !x.Exact || len(x.Lock) == 0 || len(x.Source) == 0 {
		return hint.Add(partial.Errorf("P090", "cannot replace %s in %s: the record of its build (source and lock) is not at hand", t.name, name),
			"it is kept where the image was built, and next to it in a registry that it was pushed to")
	}
	lock, err := partial.ParseLock("the image's lock", bytes.TrimSpace(x.Lock))
	if err != nil {
		return err
	}
	r, err := t.project.ComposeText(ctx, x.Source, lock)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(r.Blocks, func(b partial.Block) bool { return b.Part.Meta.Name == t.name && !strings.HasPrefix(b.Stage, "build:") })
	if i < 0 {
		return partial.Errorf("P022", "%s is not a part of %s", t.name, name)
	}
	part := r.Blocks[i].Part.Meta
	switch {
	case t.version != "" && part.Version != t.version:
		return partial.Errorf("P021", "%s %s does not fit the source; %s does", t.name, t.version, part.Version)
	case part.Layer != "detached":
		return partial.Errorf("P090", "cannot replace %s: it is not detached; run: berth build", t.name)
	}
	return t.assemble(ctx, &rebaseOf{facts, img, x, r}, tag, out)
}

func (t *partReplacement) assemble(ctx context.Context, o *rebaseOf, tag string, out io.Writer) error {
	in := partial.RebaseInput{Text: o.extracted.Text, NewText: o.composed.Text}
	var err error
	if in.OldRef, err = partial.LastBase(in.Text); err != nil {
		return err
	}
	if in.Config, err = base.Config(o.img); err != nil {
		return err
	}
	if in.Old, in.OldBase, err = baseFacts(ctx, t.project, in.OldRef); err != nil {
		return err
	}
	in.New, in.NewRef, in.NewBase = in.Old, in.OldRef, in.OldBase
	r, err := partial.Rebase(in)
	if err != nil {
		return err
	}
	under, err := t.project.Bases.Local(in.OldRef)
	if err != nil {
		return err
	}
	c, err := under.Config()
	if err != nil {
		return err
	}
	layers := len(c.RootFS.DiffIDs)
	at, err := partial.PartLayers(in.Text, t.name, len(o.facts.DiffIDs)-layers)
	if err != nil {
		return err
	}
	for i := range at {
		at[i] += layers
	}
	alone, err := partial.PartAlone(in.NewText, t.name)
	if err != nil {
		return err
	}
	id, err := t.buildAlone(ctx, alone)
	if err != nil {
		return err
	}
	made, err := t.project.Bases.Local(id)
	if err != nil {
		return err
	}
	if id, err = t.project.Bases.ReplaceLayers(ctx, o.img, made, at, r, tag); err != nil {
		return err
	}
	if err := t.project.KeepRecord(o.composed, o.extracted.Source, o.img.Digest.String()); err != nil {
		return err
	}
	if _, err := project.KeepLayers(t.project.Engine(), o.composed.Text, id); err != nil {
		return err
	}
	return showRebased(out, t.format, id, tag)
}

// rebaseOf is what is known of the image.
type rebaseOf struct {
	facts     *partial.ImageFacts
	img       *image.Image
	extracted *partial.Extracted
	composed  *partial.Result
}

func (t *partReplacement) buildAlone(ctx context.Context, text string) (string, error) {
	b := &partTest{engine: t.engine, talk: t.talk}
	log, err := b.buildText(ctx, text)
	if err != nil {
		return "", err
	}
	for _, e := range slices.Backward(log) {
		if e.Kind == build.Built {
			return e.Image, nil
		}
	}
	return "", fmt.Errorf("build %s alone: there is no image", t.name)
}
