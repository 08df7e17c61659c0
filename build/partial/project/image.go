// SPDX-License-Identifier: Apache-2.0

package project

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/image/v5/docker/reference"
)

// Extract is the container file of an image, or the one that was published by itself under a name.
func (p *Project) Extract(ctx context.Context, name string) (*partial.Extracted, error) {
	if _, err := p.Bases.Local(name); errors.Is(err, image.ErrNotFound) {
		if r, err := p.Parts.Record(ctx, name); err == nil && r != nil {
			return &partial.Extracted{Text: string(r.Composed), From: "record", Exact: true, Lock: r.Lock, Source: r.Source}, nil
		}
	}
	facts, _, err := p.ImageFacts(ctx, name)
	if err != nil {
		return nil, err
	}
	return partial.Extract(facts)
}

// ImageFacts reads an image, which is pulled if it is not in the store.
func (p *Project) ImageFacts(ctx context.Context, name string) (*partial.ImageFacts, *image.Image, error) {
	img, err := p.Bases.Local(name)
	if errors.Is(err, image.ErrNotFound) {
		if err = p.Bases.Fetch(ctx, name); err == nil {
			img, err = p.Bases.Local(name)
		}
	}
	if err != nil {
		return nil, nil, hint.Add(err, "see the local images with: %s", hint.To(hint.ListImages))
	}
	facts, err := p.Bases.Extraction(img)
	if err != nil {
		return nil, nil, err
	}
	if facts.Labels["dev.partials.digest"] == "" {
		facts.Provenance = p.provenance(ctx, name, img)
		return facts, img, nil
	}
	// A registry that does not answer, or has nothing, is no reason to stop: there is what was kept here, and the history.
	records, _ := p.Parts.Records(ctx, name)
	for _, r := range records { // anybody who may write there can attach one: the label says which is the build's
		if partial.DigestOf(partial.BodyOf(string(r.Composed))) == facts.Labels["dev.partials.digest"] {
			facts.Record = &partial.Records{Composed: r.Composed, Lock: r.Lock, Source: r.Source, Layers: r.Layers}
			return facts, img, nil
		}
	}
	// What was kept here.
	facts.Record, err = p.KeptRecord(facts.Labels["dev.partials.digest"], img.ID)
	return facts, img, err
}

// provenanceTime bounds the question, which is asked of every image without a label.
const provenanceTime = 15 * time.Second

// provenance asks the registry that an image is from for what BuildKit attached to it. Without an answer there is the history.
func (p *Project) provenance(ctx context.Context, name string, img *image.Image) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || reference.Domain(named) == "localhost" || strings.HasPrefix(img.ID, name) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, provenanceTime)
	defer cancel()
	text, _ := p.Parts.Provenance(ctx, named.String(), img.Digest.String())
	return text
}

// Uncompose turns blocks back into use lines: those that the parts still render like that.
func (p *Project) Uncompose(ctx context.Context, x *partial.Extracted) (string, error) {
	lock, err := x.ParsedLock()
	if err != nil {
		return "", err
	}
	text, err := partial.Uncompose(x.Text, lock, nil)
	if err != nil {
		return "", err
	}
	r, err := p.ComposeText(ctx, []byte(text), lock)
	if err != nil {
		return text, nil // the parts cannot be had here; the lines are what the author wrote
	}
	same := map[string]bool{}
	for _, b := range partial.Blocks(r.Text) {
		same[b.Text] = true
	}
	changed := func(name, block string) bool { return lock != nil && !same[block] }
	return partial.Uncompose(x.Text, lock, changed)
}

// VerifyImage checks an image against the container file that it says it was made of.
func (p *Project) VerifyImage(ctx context.Context, name string) (partial.Findings, error) {
	facts, img, err := p.ImageFacts(ctx, name)
	if err != nil {
		return nil, err
	}
	dirs, err := img.LayerDirs()
	if err != nil {
		return nil, err
	}
	return partial.VerifyImage(facts, base.OSRelease(dirs), p.Metas(ctx, facts))
}
