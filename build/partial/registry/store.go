// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/internal/atomicfile"

	"golang.org/x/sys/unix"
)

// store is an OCI image layout (image-layout.md) of parts: oci-layout, index.json, blobs/sha256/DIGEST. In
// the index, org.opencontainers.image.ref.name is LOCATION:VERSION. Blobs are never changed; the index is
// replaced atomically, by whoever holds the lock. Readers take no lock.
type store struct{ dir string }

type layoutIndex struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	Manifests     []descriptor `json:"manifests"`
}

func openStore(dir string) (*store, error) {
	s := &store{dir}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o755); err != nil {
		return nil, err
	}
	mark := filepath.Join(dir, "oci-layout")
	if _, err := os.Stat(mark); !errors.Is(err, fs.ErrNotExist) {
		return s, err
	}
	return s, atomicfile.Write(mark, []byte(`{"imageLayoutVersion":"1.0.0"}`+"\n"), 0o644, false)
}

func (s *store) blob(digest string) string {
	return filepath.Join(s.dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
}

func (s *store) index() (*layoutIndex, error) {
	x := &layoutIndex{SchemaVersion: 2, MediaType: indexType}
	data, err := os.ReadFile(filepath.Join(s.dir, "index.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return x, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the store of parts: %w", err)
	}
	if err := json.Unmarshal(data, x); err != nil {
		return nil, fmt.Errorf("read the store of parts (%s): %w", s.dir, err)
	}
	return x, nil
}

// change replaces the index, under the lock.
func (s *store) change(edit func(*layoutIndex)) (err error) {
	lock, err := os.OpenFile(filepath.Join(s.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // which unlocks
	for {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("lock the store of parts: %w", err)
		}
	}
	x, err := s.index()
	if err != nil {
		return err
	}
	edit(x)
	slices.SortFunc(x.Manifests, func(a, b descriptor) int {
		return strings.Compare(a.Annotations[annotationRefName], b.Annotations[annotationRefName])
	})
	data, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(s.dir, "index.json"), append(data, '\n'), 0o644, false)
}

// put adds a part, or replaces what was known as that version. Older digests stay to be found by locks.
func (s *store) put(location, version string, a *artifact) error {
	for digest, data := range a.blobs {
		if err := s.write(digest, data); err != nil {
			return err
		}
	}
	if err := s.write(a.digest, a.manifest); err != nil {
		return err
	}
	d := descriptor{
		MediaType: manifestType, ArtifactType: partial.PartArtifactType, Digest: a.digest, Size: int64(len(a.manifest)),
		Annotations: map[string]string{annotationRefName: location + ":" + version},
	}
	err := s.change(func(x *layoutIndex) {
		x.Manifests = slices.DeleteFunc(x.Manifests, func(old descriptor) bool {
			return old.Annotations[annotationRefName] == d.Annotations[annotationRefName]
		})
		x.Manifests = append(x.Manifests, d)
	})
	if err != nil {
		return fmt.Errorf("keep part %s %s: %w", location, version, err)
	}
	return nil
}

func (s *store) write(digest string, data []byte) error {
	path := s.blob(digest)
	if info, err := os.Stat(path); err == nil && info.Size() == int64(len(data)) {
		return nil
	}
	if err := atomicfile.Write(path, data, 0o644, false); err != nil {
		return fmt.Errorf("keep blob %s: %w", digest, err)
	}
	return nil
}

// get reads an artifact by its digest; nil if the store has not all of it. The digests are checked:
// what is damaged is as good as missing.
func (s *store) get(digest string) (*artifact, error) {
	raw, err := s.read(digest, maxReply)
	if raw == nil || err != nil {
		return nil, err
	}
	m, err := partManifest(raw)
	if err != nil {
		return nil, nil //nolint:nilerr // not a part: fetch it again
	}
	a := &artifact{digest: digest, manifest: raw, blobs: map[string][]byte{}}
	for _, d := range append([]descriptor{m.Config}, m.Layers...) {
		data, err := s.read(d.Digest, maxBlob)
		if data == nil || err != nil {
			return nil, err
		}
		a.blobs[d.Digest] = data
	}
	return a, nil
}

func (s *store) read(digest string, limit int64) ([]byte, error) {
	if !isDigest(digest) {
		return nil, nil
	}
	info, err := os.Stat(s.blob(digest))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() > limit {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the store of parts: %w", err)
	}
	data, err := os.ReadFile(s.blob(digest))
	if err != nil {
		return nil, fmt.Errorf("read the store of parts: %w", err)
	}
	if digestOf(data) != digest {
		return nil, nil
	}
	return data, nil
}

// releases lists the versions of a location.
func (s *store) releases(location string) ([]partial.Release, error) {
	x, err := s.index()
	if err != nil {
		return nil, err
	}
	var list []partial.Release
	for _, d := range x.Manifests {
		if version, ok := strings.CutPrefix(d.Annotations[annotationRefName], location+":"); ok && isRelease(version) {
			list = append(list, partial.Release{Version: version, Digest: d.Digest})
		}
	}
	return list, nil
}

func isDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	return ok && len(hex) == 64 && strings.Trim(hex, "0123456789abcdef") == ""
}

// Stored is a part in the store.
type Stored struct {
	Location string // HOST/REPOSITORY, git+https://… or https://…
	Version  string
	Digest   string
	Size     int64 // bytes of manifest and blobs
}

// Stored lists what the store has, by location and version.
func (l *Library) Stored() ([]Stored, error) {
	if l.store == nil {
		return nil, nil
	}
	x, err := l.store.index()
	if err != nil {
		return nil, err
	}
	var all []Stored
	for _, d := range x.Manifests {
		name := d.Annotations[annotationRefName]
		i := strings.LastIndexByte(name, ':')
		if i < 0 {
			continue
		}
		e := Stored{Location: name[:i], Version: name[i+1:], Digest: d.Digest, Size: d.Size}
		a, err := l.store.get(d.Digest)
		if err != nil {
			return nil, err
		}
		if a != nil {
			for _, b := range a.blobs {
				e.Size += int64(len(b))
			}
		}
		all = append(all, e)
	}
	return all, nil
}

// Prune removes the parts whose digests keep does not want, and what belongs to no part. It returns the parts and the bytes
// that are gone. Parts of older digests, which are only found by locks, are no entries of the list; they go too.
func (l *Library) Prune(keep func(digest string) bool) (removed []Stored, freed int64, err error) {
	if l.store == nil {
		return nil, 0, nil
	}
	all, err := l.Stored()
	if err != nil {
		return nil, 0, err
	}
	for _, s := range all {
		if !keep(s.Digest) {
			removed = append(removed, s)
		}
	}
	err = l.store.change(func(x *layoutIndex) {
		x.Manifests = slices.DeleteFunc(x.Manifests, func(d descriptor) bool { return !keep(d.Digest) })
	})
	if err != nil {
		return nil, 0, err
	}
	freed, err = l.store.sweep(keep)
	return removed, freed, err
}

// sweep removes the blobs that no part with a digest that is kept needs.
func (s *store) sweep(keep func(digest string) bool) (freed int64, err error) {
	dir := filepath.Join(s.dir, "blobs", "sha256")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	needed := map[string]bool{}
	for _, e := range entries {
		digest := "sha256:" + e.Name()
		if !keep(digest) {
			continue
		}
		a, err := s.get(digest)
		if err != nil {
			return 0, err
		}
		if a == nil {
			continue
		}
		needed[digest] = true
		for d := range a.blobs {
			needed[d] = true
		}
	}
	for _, e := range entries {
		if needed["sha256:"+e.Name()] {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.Remove(filepath.Join(dir, e.Name()))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, fmt.Errorf("remove blob %s: %w", e.Name(), err)
		}
		freed += info.Size()
	}
	return freed, nil
}
