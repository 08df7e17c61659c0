// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/solve"
	"github.com/berth-containers/berth/internal/nearest"

	"github.com/Masterminds/semver/v3"
	"go.podman.io/image/v5/types"
)

// Options say where to look and what to accept. The zero value works in the current directory,
// without a store and aliases, online.
type Options struct {
	Dir     string            // that ./references are relative to
	Store   string            // directory of the store ($GRAPHROOT/berth/parts); "" keeps nothing
	Offline bool              // use folders and the store only
	Aliases map[string]string // from the first component of a reference to a prefix: a registry's path, a folder, git+https://…
	Allow   []string          // prefixes of locations that may be used; nil allows all. Folders always may
	// Sums are the digests (sha256:…) that archives behind https must have, by URL.
	Sums map[string]string
	// Sys says where policy.json, registries.conf, certs.d and auth.json are, and how
	// registries are spoken to. Nil is the default.
	Sys *types.SystemContext
	// HTTP fetches archives behind https; nil is a client of its own.
	HTTP *http.Client
}

// Library finds, fetches and publishes parts. It may be used by several goroutines. Close it: it holds temporary directories.
type Library struct {
	opts  Options
	store *store // nil without one
	// places holds []*endpoint by repository: a connection and a token are used again.
	places sync.Map

	mu     sync.Mutex // guards the fields below; held while something is fetched, so that it is fetched once
	parts  map[string]*partial.Part
	metas  map[string]*fetched
	lists  map[string][]partial.Release
	index  map[string][]IndexEntry
	clones map[string]*clone // by URL
}

var _ partial.Library = (*Library)(nil)

// New returns a Library. It makes the store's directory if that is missing.
func New(opts Options) (*Library, error) {
	l := &Library{
		opts:   opts,
		parts:  map[string]*partial.Part{},
		metas:  map[string]*fetched{},
		lists:  map[string][]partial.Release{},
		index:  map[string][]IndexEntry{},
		clones: map[string]*clone{},
	}
	if opts.Store != "" {
		s, err := openStore(opts.Store)
		if err != nil {
			return nil, fmt.Errorf("open the store of parts: %w", err)
		}
		l.store = s
	}
	return l, nil
}

// Close removes temporary directories.
func (l *Library) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var first error
	for _, c := range l.clones {
		if err := os.RemoveAll(c.dir); err != nil && first == nil {
			first = err
		}
	}
	clear(l.clones)
	return first
}

// Releases lists the versions of the part that ref leads to: of a folder the one that is there, of a
// registry its tags that are versions, of a git repository its tags vX.Y.Z or DIR/vX.Y.Z. Offline it
// lists what the store has.
func (l *Library) Releases(ctx context.Context, ref partial.Ref) ([]partial.Release, error) {
	loc, err := l.locate(ref)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if list, ok := l.lists[loc.key()]; ok {
		return list, nil
	}
	list, err := l.releases(ctx, loc)
	if err == nil {
		l.lists[loc.key()] = list
	}
	return list, l.suggest(ctx, ref, err)
}

// suggest adds to an error that a part was not found which one may have been meant. It requires l.mu.
func (l *Library) suggest(ctx context.Context, ref partial.Ref, err error) error {
	var missing *partial.Error
	alias, name, ok := strings.Cut(ref.Text, "/")
	if !errors.As(err, &missing) || missing.Code != "P022" || ref.Kind != "alias" || !ok {
		return err
	}
	list, listErr := l.catalog(ctx, alias)
	if listErr != nil {
		return err // the first error is the one that counts
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Part)
	}
	if best := nearest.Word(name, names); best != "" {
		e := *missing
		e.Msg += fmt.Sprintf("; did you mean %q?", alias+"/"+best)
		return &e
	}
	return err
}

func (l *Library) releases(ctx context.Context, loc location) ([]partial.Release, error) {
	if l.opts.Offline && loc.kind != folder {
		list, err := l.stored(loc)
		if err == nil && len(list) == 0 {
			err = partial.Errorf("P052", "offline: missing %s", loc.ref)
		}
		return list, err
	}
	switch loc.kind {
	case folder:
		p, err := readFolder(loc)
		if err != nil {
			return nil, err
		}
		return []partial.Release{{Version: p.Meta.Version, Digest: p.Digest}}, nil
	case gitRepo:
		return l.gitReleases(ctx, loc)
	case archive:
		p, err := l.fetchArchive(ctx, loc, "")
		if err != nil {
			return nil, err
		}
		return []partial.Release{{Version: p.Meta.Version, Digest: p.Digest}}, nil
	}
	return l.tags(ctx, loc)
}

func (l *Library) stored(loc location) ([]partial.Release, error) {
	if l.store == nil {
		return nil, nil
	}
	return l.store.releases(loc.key())
}

// Meta returns the metadata of a release, by its digest if that is set. From a registry it fetches no body.
func (l *Library) Meta(ctx context.Context, ref partial.Ref, r partial.Release) (*partial.Meta, error) {
	loc, err := l.locate(ref)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if loc.kind != registry {
		p, err := l.part(ctx, loc, r)
		if err != nil {
			return nil, err
		}
		return p.Meta, nil
	}
	f, err := l.fetchMeta(ctx, loc, r)
	if err != nil {
		return nil, l.suggest(ctx, ref, err)
	}
	return f.meta, nil
}

// Part returns a release. With r.Digest set it is the part with that digest, from the store if it is there;
// otherwise what is published is fetched, and it is P051 if r.Version by now has another digest.
func (l *Library) Part(ctx context.Context, ref partial.Ref, r partial.Release) (*partial.Part, error) {
	loc, err := l.locate(ref)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	p, err := l.part(ctx, loc, r)
	return p, l.suggest(ctx, ref, err)
}

// part requires l.mu.
func (l *Library) part(ctx context.Context, loc location, r partial.Release) (*partial.Part, error) {
	key := loc.key() + "@" + r.Version + "@" + r.Digest
	if p := l.parts[key]; p != nil {
		return p, nil
	}
	p, err := l.find(ctx, loc, r)
	if err != nil {
		return nil, err
	}
	if r.Version != "" && p.Meta.Version != r.Version {
		if loc.kind == folder {
			return nil, partial.Errorf("P051", "%s %s is not in %s any more, which has %s", loc.ref, r.Version, loc.path, p.Meta.Version)
		}
		return nil, partial.Errorf("P051", "%s %s: what is published as that says that it is %s", loc.ref, r.Version, p.Meta.Version)
	}
	if r.Digest != "" && p.Digest != r.Digest {
		return nil, changed(loc, p.Meta.Version, p.Digest, r.Digest)
	}
	l.parts[key] = p
	return p, nil
}

func (l *Library) find(ctx context.Context, loc location, r partial.Release) (*partial.Part, error) {
	if loc.kind == folder {
		return readFolder(loc)
	}
	if p, err := l.fromStore(loc, r); p != nil || err != nil {
		return p, err
	}
	if l.opts.Offline {
		return nil, partial.Errorf("P052", "offline: missing %s", label(loc, r))
	}
	switch loc.kind {
	case gitRepo:
		return l.fetchGit(ctx, loc, r)
	case archive:
		return l.fetchArchive(ctx, loc, r.Digest)
	}
	return l.fetchPart(ctx, loc, r)
}

// fromStore returns a part that the store has, or nil.
func (l *Library) fromStore(loc location, r partial.Release) (*partial.Part, error) {
	a, err := l.inStore(loc, r)
	if a == nil || err != nil {
		return nil, err
	}
	return a.part(loc)
}

// inStore returns the artifact with the digest that is known or, offline, of the version that the store has; nil
// if there is none. Online a version alone is not enough: what it is now, its source knows.
func (l *Library) inStore(loc location, r partial.Release) (*artifact, error) {
	if l.store == nil || r.Digest == "" && !l.opts.Offline {
		return nil, nil
	}
	if r.Digest == "" {
		list, err := l.store.releases(loc.key())
		if err != nil {
			return nil, err
		}
		for _, have := range list {
			if have.Version == r.Version {
				r.Digest = have.Digest
			}
		}
	}
	return l.store.get(r.Digest)
}

// keep puts a part into the store.
func (l *Library) keep(loc location, p *partial.Part) error {
	if l.store == nil {
		return nil
	}
	pk, err := p.Pack()
	if err != nil {
		return err
	}
	return l.store.put(loc.key(), p.Meta.Version, &artifact{digest: pk.Digest, manifest: pk.Manifest, blobs: pk.Blobs})
}

func changed(loc location, version, is, locked string) error {
	if loc.kind == folder {
		return partial.Errorf("P051", "%s %s: digest is %s but the lock says %s; it was edited in %s since it was locked", loc.ref, version, is, locked, loc.path)
	}
	return partial.Errorf("P051", "%s %s: digest is %s but the lock says %s; the published part was changed or tampered with", loc.ref, version, is, locked)
}

// label names a release in messages.
func label(loc location, r partial.Release) string {
	switch {
	case r.Version != "":
		return loc.ref + " " + r.Version
	case r.Digest != "":
		return loc.ref + "@" + r.Digest
	}
	return loc.ref
}

// isRelease reports whether a tag is a version as parts have them: MAJOR.MINOR.PATCH, without build metadata.
func isRelease(tag string) bool {
	v, err := semver.StrictNewVersion(tag)
	return err == nil && v.Metadata() == "" && v.String() == tag
}

// Providers names the parts that provide a capability, as far as the indexes of the aliases tell.
func (l *Library) Providers(ctx context.Context, capability string) ([]string, error) {
	all, err := l.Search(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range all {
		for _, p := range e.Provides {
			if c, err := solve.ParseCapability(p); err == nil && c.Name == capability {
				names = append(names, e.Ref)
			}
		}
	}
	return unique(names), nil
}
