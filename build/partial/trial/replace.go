// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
)

// Replacement puts another version of a detached part into an image.
type Replacement struct {
	*Trial         // of a project that updates this part only
	Part    string // its name
	Version string // empty is the newest that the source allows
}

// In replaces the layers of the part in an image, after building only those of the new version, and calls the result tag. It returns the result's ID.
func (t *Replacement) In(ctx context.Context, name, tag string) (string, error) {
	facts, img, err := t.Project.ImageFacts(ctx, name)
	if err != nil {
		return "", err
	}
	x, err := partial.Extract(facts)
	if err != nil {
		return "", err
	}
	if !x.Exact || len(x.Lock) == 0 || len(x.Source) == 0 {
		return "", hint.Add(partial.Errorf("P090", "cannot replace %s in %s: the record of its build (source and lock) is not at hand", t.Part, name),
			"it is kept where the image was built, and next to it in a registry that it was pushed to")
	}
	lock, err := x.ParsedLock()
	if err != nil {
		return "", err
	}
	r, err := t.Project.ComposeText(ctx, x.Source, lock)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(r.Blocks, func(b partial.Block) bool { return b.Part.Meta.Name == t.Part && !strings.HasPrefix(b.Stage, "build:") })
	if i < 0 {
		return "", partial.Errorf("P022", "%s is not a part of %s", t.Part, name)
	}
	part := r.Blocks[i].Part.Meta
	switch {
	case t.Version != "" && part.Version != t.Version:
		return "", partial.Errorf("P021", "%s %s does not fit the source; %s does", t.Part, t.Version, part.Version)
	case part.Layer != "detached":
		return "", partial.Errorf("P090", "cannot replace %s: it is not detached", t.Part).FixedBy("run: %s", hint.To(hint.BuildImage))
	}
	return t.assemble(ctx, &subject{facts, img, x, r}, tag)
}

// subject is what is known of the image.
type subject struct {
	facts     *partial.ImageFacts
	img       *image.Image
	extracted *partial.Extracted
	composed  *partial.Result // with the new version
}

func (t *Replacement) assemble(ctx context.Context, o *subject, tag string) (string, error) {
	p := t.Project
	in := partial.RebaseInput{Text: o.extracted.Text, NewText: o.composed.Text}
	var err error
	if in.OldRef, err = partial.LastBase(in.Text); err != nil {
		return "", err
	}
	if in.Config, err = base.Config(o.img); err != nil {
		return "", err
	}
	if in.Old, in.OldBase, err = p.BaseFacts(ctx, in.OldRef); err != nil {
		return "", err
	}
	in.New, in.NewRef, in.NewBase = in.Old, in.OldRef, in.OldBase
	r, err := partial.Rebase(in)
	if err != nil {
		return "", err
	}
	at, err := t.layers(in, o)
	if err != nil {
		return "", err
	}
	alone, err := partial.PartAlone(in.NewText, t.Part)
	if err != nil {
		return "", err
	}
	id, err := t.buildAlone(ctx, alone)
	if err != nil {
		return "", err
	}
	made, err := p.Bases.Local(id)
	if err != nil {
		return "", err
	}
	if id, err = p.Bases.ReplaceLayers(ctx, o.img, made, at, r, tag); err != nil {
		return "", err
	}
	if err := p.KeepRecord(o.composed, o.extracted.Source, o.img.Digest.String()); err != nil {
		return "", err
	}
	_, err = project.KeepLayers(p.Engine(), o.composed.Text, id)
	return id, err
}

// layers are the numbers of the part's layers in the image.
func (t *Replacement) layers(in partial.RebaseInput, o *subject) ([]int, error) {
	under, err := t.Project.Bases.Local(in.OldRef)
	if err != nil {
		return nil, err
	}
	c, err := under.Config()
	if err != nil {
		return nil, err
	}
	below := len(c.RootFS.DiffIDs)
	at, err := partial.PartLayers(in.Text, t.Part, len(o.facts.DiffIDs)-below)
	if err != nil {
		return nil, err
	}
	for i := range at {
		at[i] += below
	}
	return at, nil
}

func (t *Replacement) buildAlone(ctx context.Context, text string) (string, error) {
	log, err := t.buildText(ctx, text)
	if err != nil {
		return "", err
	}
	if id := log.built(); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("build %s alone: there is no image", t.Part)
}
