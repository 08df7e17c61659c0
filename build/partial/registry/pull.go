// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/berth-containers/berth/build/partial"
)

// yankedTag begins the tag that marks a version as yanked. The version's own manifest stays as it is, so that
// digests in locks stay true; and listing the tags is enough to know.
const yankedTag = "yanked-"

// fetched is a manifest with the metadata that its config holds.
type fetched struct {
	artifact // its blobs are the config only
	m        *manifest
	meta     *partial.Meta
	from     *endpoint
}

// tags lists the versions in a repository.
func (l *Library) tags(ctx context.Context, loc location) ([]partial.Release, error) {
	var tags []string
	err := l.read(ctx, loc, func(e *endpoint) (err error) {
		tags, err = e.tags(ctx)
		return err
	})
	if err != nil {
		return nil, err
	}
	yanked := map[string]bool{}
	for _, t := range tags {
		if v, ok := strings.CutPrefix(t, yankedTag); ok {
			yanked[v] = true
		}
	}
	var list []partial.Release
	for _, t := range tags {
		if isRelease(t) {
			list = append(list, partial.Release{Version: t, Yanked: yanked[t]})
		}
	}
	if len(list) == 0 {
		return nil, partial.Errorf("P022", "part %s not found (%s has no tag that is a version)", loc.ref, loc.path)
	}
	return list, nil
}

// read asks the places of a repository one after the other, until one answers.
func (l *Library) read(ctx context.Context, loc location, ask func(*endpoint) error) error {
	places, err := l.sources(loc.path)
	if err != nil {
		return err
	}
	for i, e := range places {
		if err = ask(e); err == nil {
			return nil
		}
		var refused *partial.Error
		if errors.As(err, &refused) || ctx.Err() != nil {
			break
		}
		if i == len(places)-1 {
			err = explain(ctx, loc, err)
		}
	}
	return err
}

// explain says whether a registry could not be reached or said no.
func explain(ctx context.Context, loc location, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var answer *statusError
	if errors.As(err, &answer) {
		switch answer.code {
		case http.StatusNotFound, http.StatusUnauthorized, http.StatusForbidden:
			return partial.Errorf("P022", "part %s not found (registry answered %d); check the name or log in", loc.ref, answer.code)
		}
	}
	return &NetworkError{fmt.Errorf("ask the registry for %s: %w", loc.ref, err)}
}

// fetchMeta returns a manifest and its metadata, by digest if that is set. It requires l.mu.
func (l *Library) fetchMeta(ctx context.Context, loc location, r partial.Release) (*fetched, error) {
	key := loc.key() + "@" + r.Version
	if r.Digest != "" {
		key = loc.key() + "@" + r.Digest
	}
	if f := l.metas[key]; f != nil {
		return f, nil
	}
	f, err := l.storedMeta(loc, r)
	if err != nil {
		return nil, err
	}
	if f == nil && l.opts.Offline {
		return nil, partial.Errorf("P052", "offline: missing %s", label(loc, r))
	}
	if f == nil {
		if f, err = l.askMeta(ctx, loc, r); err != nil {
			return nil, l.replaced(ctx, loc, r, err)
		}
	}
	if r.Version != "" && f.meta.Version != r.Version {
		return nil, partial.Errorf("P051", "%s %s: what is published as that says that it is %s", loc.ref, r.Version, f.meta.Version)
	}
	l.metas[key] = f
	return f, nil
}

// replaced says of a digest that cannot be found what its version is instead; otherwise it returns err.
func (l *Library) replaced(ctx context.Context, loc location, r partial.Release, err error) error {
	var gone *partial.Error
	if r.Version == "" || r.Digest == "" || !errors.As(err, &gone) || gone.Code != "P022" {
		return err
	}
	if is, asked := l.digest(ctx, loc, r.Version); asked == nil && is != r.Digest {
		return changed(loc, r.Version, is, r.Digest)
	}
	return err
}

func (l *Library) storedMeta(loc location, r partial.Release) (*fetched, error) {
	a, err := l.inStore(loc, r)
	if a == nil || err != nil {
		return nil, err
	}
	f := &fetched{artifact: *a}
	if f.m, err = partManifest(a.manifest); err != nil {
		return nil, err
	}
	f.meta, err = a.meta(loc)
	return f, err
}

// askMeta fetches a manifest and its config.
func (l *Library) askMeta(ctx context.Context, loc location, r partial.Release) (*fetched, error) {
	f := &fetched{}
	err := l.read(ctx, loc, func(e *endpoint) (err error) {
		ref := r.Version
		if r.Digest != "" {
			ref = r.Digest
		}
		f.from = e
		f.manifest, _, err = e.manifest(ctx, ref)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.digest = digestOf(f.manifest)
	if r.Digest != "" && f.digest != r.Digest {
		return nil, changed(loc, r.Version, f.digest, r.Digest)
	}
	if f.m, err = partManifest(f.manifest); err != nil {
		return nil, improper(loc, err)
	}
	if err := l.trust(ctx, loc, r, f.digest); err != nil {
		return nil, err
	}
	config, err := l.blob(ctx, loc, f.from, f.m.Config)
	if err != nil {
		return nil, err
	}
	f.blobs = map[string][]byte{f.m.Config.Digest: config}
	f.meta, err = f.artifact.meta(loc)
	return f, err
}

// blob fetches what a descriptor points to, from the store if it is there, and checks it.
func (l *Library) blob(ctx context.Context, loc location, e *endpoint, d descriptor) ([]byte, error) {
	if l.store != nil {
		if data, err := l.store.read(d.Digest, maxBlob); data != nil || err != nil {
			return data, err
		}
	}
	if !isDigest(d.Digest) {
		return nil, improper(loc, fmt.Errorf("%q is no digest", d.Digest))
	}
	data, err := e.blob(ctx, d.Digest)
	if err != nil {
		return nil, explain(ctx, loc, err)
	}
	if err := d.check(data); err != nil {
		return nil, partial.Errorf("P051", "part %s: %v", loc.ref, err)
	}
	if l.store != nil {
		if err := l.store.write(d.Digest, data); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// fetchPart fetches a whole part. What a version has become since it was locked is asked first: a part that was
// replaced is told, even if the old one can still be had.
func (l *Library) fetchPart(ctx context.Context, loc location, r partial.Release) (*partial.Part, error) {
	if r.Version != "" && r.Digest != "" {
		is, err := l.digest(ctx, loc, r.Version)
		var gone *partial.Error
		switch {
		case errors.As(err, &gone) && gone.Code == "P022": // the tag was removed; the digest may be there
		case err != nil:
			return nil, err
		case is != r.Digest:
			return nil, changed(loc, r.Version, is, r.Digest)
		}
	}
	f, err := l.fetchMeta(ctx, loc, r)
	if err != nil {
		return nil, err
	}
	a := f.artifact
	a.blobs = map[string][]byte{}
	for _, d := range append([]descriptor{f.m.Config}, f.m.Layers...) {
		if data, ok := f.blobs[d.Digest]; ok {
			a.blobs[d.Digest] = data
		} else if a.blobs[d.Digest], err = l.blob(ctx, loc, f.from, d); err != nil {
			return nil, err
		}
	}
	p, err := a.part(loc)
	if err != nil || l.store == nil {
		return p, err
	}
	return p, l.store.put(loc.key(), p.Meta.Version, &a)
}

// Digest asks what a version has as its digest now: a registry for its tag, any other source for the part.
func (l *Library) Digest(ctx context.Context, ref partial.Ref, version string) (string, error) {
	loc, err := l.locate(ref)
	if err != nil {
		return "", err
	}
	if l.opts.Offline && loc.kind != folder {
		return "", partial.Errorf("P052", "offline: cannot ask what %s %s is by now", loc.ref, version)
	}
	if loc.kind == registry {
		return l.digest(ctx, loc, version)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.part(ctx, loc, partial.Release{Version: version})
	if err != nil {
		return "", err
	}
	return p.Digest, nil
}

func (l *Library) digest(ctx context.Context, loc location, tag string) (digest string, err error) {
	err = l.read(ctx, loc, func(e *endpoint) (err error) {
		digest, err = e.digest(ctx, tag)
		return err
	})
	return digest, err
}
