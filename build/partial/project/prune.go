// SPDX-License-Identifier: Apache-2.0

package project

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/registry"
)

// Prune removes the records of builds whose images are gone, and from the store all parts or those that neither a
// record nor one of the locks names. What is no lock of parts among the files is left aside.
func (p *Project) Prune(all bool, locks []string) (removed []registry.Stored, freed int64, err error) {
	wanted := map[string]bool{}
	want := func(data []byte) {
		if l, err := partial.ParseLock("", data); err == nil {
			for _, part := range l.Parts {
				wanted[part.Digest] = true
			}
		}
	}
	freed, err = p.pruneRecords(want)
	if err != nil {
		return nil, freed, err
	}
	for _, file := range locks {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, freed, err
		}
		want(data)
	}
	removed, n, err := p.Parts.Prune(func(digest string) bool { return !all && wanted[digest] })
	return removed, freed + n, err
}

// atWork is how old a record must be to be removed: it is written before its image is built.
const atWork = time.Hour

// pruneRecords removes the records that no local image has the digest of, and gives want the locks of the others.
func (p *Project) pruneRecords(want func(lock []byte)) (freed int64, err error) {
	images, err := p.opts.Engine.ImageView().Images()
	if err != nil {
		return 0, err
	}
	used := map[string]bool{}
	for _, img := range images {
		if c, err := img.Config(); err == nil {
			used[strings.TrimPrefix(c.Config.Labels["dev.partials.digest"], "sha256:")] = true
		}
	}
	dir := filepath.Dir(recordFile(p.opts.Engine, ""))
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return freed, err
		}
		var k kept
		if used[strings.TrimSuffix(e.Name(), ".json")] && json.Unmarshal(data, &k) == nil {
			want(k.Lock)
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) < atWork {
			want(k.Lock)
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return freed, err
		}
		freed += int64(len(data))
	}
	return freed, nil
}
