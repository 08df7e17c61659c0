// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"

	"github.com/Masterminds/semver/v3"
)

// Types of the index artifact, PREFIX/index:latest.
const (
	IndexArtifactType = "application/vnd.partials.index.v1"
	IndexType         = "application/vnd.partials.index.v1+json"
)

// IndexEntry is a version of a part as an index has it.
type IndexEntry struct {
	Ref         string   `json:"-"`    // as it is used here: ALIAS/PART
	Part        string   `json:"part"` // its repository below the index's prefix
	Name        string   `json:"name"` // as its metadata have it
	Version     string   `json:"version"`
	Digest      string   `json:"digest"`
	Summary     string   `json:"summary,omitempty"`
	Application string   `json:"application,omitempty"`
	Provides    []string `json:"provides,omitempty"`
}

func entryOf(p *partial.Part, name, digest string) IndexEntry {
	e := IndexEntry{Part: name, Name: p.Meta.Name, Version: p.Meta.Version, Digest: digest, Summary: p.Meta.Summary, Provides: p.Meta.Provides}
	if p.Meta.Application != nil {
		e.Application = p.Meta.Application.Name
	}
	return e
}

// Search lists the parts of all aliases whose name, summary, application or capabilities have all of the words, newest version
// first within a part. A registry's parts are those in its index; one without an index has none. Offline, only folders are searched.
func (l *Library) Search(ctx context.Context, words ...string) ([]IndexEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []IndexEntry
	for _, alias := range slices.Sorted(maps.Keys(l.opts.Aliases)) {
		list, err := l.catalog(ctx, alias)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if e.matches(words) {
				e.Ref = alias + "/" + e.Part
				found = append(found, e)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b IndexEntry) int {
		return cmp.Or(strings.Compare(a.Ref, b.Ref), -compareVersions(a.Version, b.Version))
	})
	return found, nil
}

func compareVersions(a, b string) int {
	x, err1 := semver.StrictNewVersion(a)
	y, err2 := semver.StrictNewVersion(b)
	if err1 != nil || err2 != nil {
		return strings.Compare(a, b)
	}
	return x.Compare(y)
}

func (e IndexEntry) matches(words []string) bool {
	text := strings.ToLower(strings.Join(append([]string{e.Part, e.Name, e.Summary, e.Application}, e.Provides...), " "))
	for _, w := range words {
		if !strings.Contains(text, strings.ToLower(w)) {
			return false
		}
	}
	return true
}

// catalog requires l.mu.
func (l *Library) catalog(ctx context.Context, alias string) ([]IndexEntry, error) {
	if list, ok := l.index[alias]; ok {
		return list, nil
	}
	loc, err := l.locate(partial.Ref{Kind: "alias", Text: alias + "/index"})
	if err != nil {
		var refused *partial.Error
		if errors.As(err, &refused) && refused.Code == "P060" {
			return nil, nil // cannot be used, so it has nothing to offer
		}
		return nil, err
	}
	var list []IndexEntry
	switch {
	case loc.kind == folder:
		list, err = readFolders(path.Dir(loc.path), alias)
	case loc.kind == registry && !l.opts.Offline:
		list, _, err = l.fetchIndex(ctx, loc)
	}
	if err == nil {
		l.index[alias] = list
	}
	return list, err
}

// readFolders lists the parts in the directories of a directory. What is broken is not offered.
func readFolders(dir, alias string) ([]IndexEntry, error) {
	dirs, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the parts of alias %s: %w", alias, err)
	}
	var list []IndexEntry
	for _, d := range dirs {
		loc := location{kind: folder, ref: alias + "/" + d.Name(), path: path.Join(dir, d.Name())}
		if p, err := readFolder(loc); err == nil {
			list = append(list, entryOf(p, d.Name(), p.Digest))
		}
	}
	return list, nil
}

// fetchIndex returns what an index lists, and its digest; nothing if there is no index.
func (l *Library) fetchIndex(ctx context.Context, loc location) ([]IndexEntry, string, error) {
	var data []byte
	var from *endpoint
	err := l.read(ctx, loc, func(e *endpoint) (err error) {
		from = e
		data, _, err = e.manifest(ctx, "latest")
		return err
	})
	var missing *partial.Error
	if errors.As(err, &missing) && missing.Code == "P022" {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	var m manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, "", fmt.Errorf("read index %s: %w", loc.path, err)
	}
	layer, err := m.layer(IndexType)
	if err != nil || layer == nil || m.ArtifactType != IndexArtifactType || layer.Size > maxReply/2 {
		return nil, "", fmt.Errorf("read index %s: it is no index of parts", loc.path)
	}
	body, err := l.blob(ctx, loc, from, *layer)
	if err != nil {
		return nil, "", err
	}
	var list []IndexEntry
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, "", fmt.Errorf("read index %s: %w", loc.path, err)
	}
	return slices.DeleteFunc(list, func(e IndexEntry) bool { return !isRelease(e.Version) || !isPlain(e.Part) || e.Part == "" }), digestOf(data), nil
}

// addToIndex writes a part into the index of its prefix. If somebody else wrote meanwhile, it reads and writes again.
func (l *Library) addToIndex(ctx context.Context, part location, p *partial.Part, digest string) error {
	prefix, leaf := path.Split(part.path)
	loc := location{kind: registry, ref: prefix + "index", path: prefix + "index"}
	if err := l.allowed(loc); err != nil {
		return err
	}
	places, err := l.sources(loc.path)
	if err != nil {
		return err
	}
	entry := entryOf(p, leaf, digest)
	for range 5 {
		list, _, err := l.fetchIndex(ctx, loc)
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(e IndexEntry) bool { return e.Part == entry.Part && e.Version == entry.Version })
		list = append(list, entry)
		slices.SortFunc(list, func(a, b IndexEntry) int {
			return cmp.Or(strings.Compare(a.Part, b.Part), compareVersions(a.Version, b.Version))
		})
		body, err := json.Marshal(list)
		if err != nil {
			return err
		}
		empty := []byte("{}")
		data, err := json.Marshal(manifest{
			SchemaVersion: 2, MediaType: manifestType, ArtifactType: IndexArtifactType,
			Config: describe(IndexArtifactType, "", empty), Layers: []descriptor{describe(IndexType, "index.json", body)},
		})
		if err != nil {
			return err
		}
		if err := places[len(places)-1].publish(ctx, loc, "latest", data, map[string][]byte{digestOf(empty): empty, digestOf(body): body}); err != nil {
			return err
		}
		if _, is, err := l.fetchIndex(ctx, loc); err != nil || is == digestOf(data) {
			return err
		}
	}
	return fmt.Errorf("write index %s: others write it all the time", loc.path)
}
