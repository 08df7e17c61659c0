// SPDX-License-Identifier: Apache-2.0

package project

import (
	"context"
	"slices"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
)

// Rebase puts the layers of an image that are its own on another base, and calls the result tag; unsafe takes along those that may depend on the old
// base. Nothing is run. It returns the ID of the result.
func (p *Project) Rebase(ctx context.Context, name, onto, tag string, unsafe bool) (string, error) {
	facts, img, err := p.ImageFacts(ctx, name)
	if err != nil {
		return "", err
	}
	x, err := partial.Extract(facts)
	if err != nil {
		return "", err
	}
	if !x.Exact || x.From == "provenance" {
		return "", partial.Errorf("P090", "cannot rebase: the container file of %s is not known exactly; rebuild it", name)
	}
	in := partial.RebaseInput{Text: x.Text, Metas: p.Metas(ctx, facts), NewRef: onto, Unsafe: unsafe}
	if in.OldRef, err = partial.LastBase(x.Text); err != nil {
		return "", err
	}
	if in.Config, err = base.Config(img); err != nil {
		return "", err
	}
	if in.Old, in.OldBase, err = p.BaseFacts(ctx, in.OldRef); err != nil {
		return "", err
	}
	if in.New, in.NewBase, err = p.BaseFacts(ctx, onto); err != nil {
		return "", err
	}
	r, err := partial.Rebase(in)
	if err != nil {
		return "", err
	}
	old, err := p.Bases.Local(in.OldRef)
	if err != nil {
		return "", err
	}
	under, err := p.Bases.Extraction(old)
	if err != nil {
		return "", err
	}
	n := len(under.DiffIDs)
	if n > len(facts.DiffIDs) || !slices.Equal(under.DiffIDs, facts.DiffIDs[:n]) {
		return "", partial.Errorf("P090", "cannot rebase: the first layers of %s are not those of its base %s", name, in.OldRef)
	}
	now, err := p.Bases.Local(onto)
	if err != nil {
		return "", err
	}
	id, err := p.Bases.Rebase(ctx, img, now, n, r, tag)
	if err != nil {
		return "", err
	}
	return id, p.keepRebased(x, &in, r.Text, img.Digest.String(), id)
}

// keepRebased keeps a record for the new image where the old one's is at hand. It names the old image.
func (p *Project) keepRebased(x *partial.Extracted, in *partial.RebaseInput, text, previous, id string) error {
	lock, err := x.ParsedLock()
	if lock == nil || err != nil {
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
	_, err = KeepLayers(p.opts.Engine, text, id)
	return err
}

// BaseFacts reads a base, which is pulled if it is not in the store.
func (p *Project) BaseFacts(ctx context.Context, ref string) (*partial.Base, partial.ImageConfig, error) {
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
