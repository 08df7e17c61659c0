package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/libctr"
)

// kept is what a build leaves for the push of its image: $DATA/part-records/DIGEST.json, where DIGEST is the one in
// the image's label.
type kept struct {
	Version                int `json:"version"` // 1
	Composed, Lock, Source []byte
	SourceName             string
}

func recordFile(e *libctr.Engine, digest string) string {
	return filepath.Join(e.DataDir(), "part-records", strings.TrimPrefix(digest, "sha256:")+".json")
}

// KeepRecord keeps a composition for the push of the image that is built of it.
func KeepRecord(e *libctr.Engine, r *partial.Result, file string) error {
	source, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return keepRecord(e, r, filepath.Base(file), source)
}

// KeepRecord keeps a composition of the given source.
func (p *Project) KeepRecord(r *partial.Result, source []byte) error {
	return keepRecord(p.opts.Engine, r, filepath.Base(p.opts.File), source)
}

// KeptRecord returns what was kept of a build; nil if nothing was.
func (p *Project) KeptRecord(digest string) (*partial.Records, error) {
	k, err := readKept(p.opts.Engine, digest)
	if k == nil || err != nil {
		return nil, err
	}
	return &partial.Records{Composed: k.Composed, Lock: k.Lock, Source: k.Source}, nil
}

// readKept returns nil for a build of which nothing was kept.
func readKept(e *libctr.Engine, digest string) (*kept, error) {
	data, err := os.ReadFile(recordFile(e, digest))
	if errors.Is(err, fs.ErrNotExist) || digest == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var k kept
	if err := json.Unmarshal(data, &k); err != nil {
		return nil, fmt.Errorf("read the build's record: %w", err)
	}
	return &k, nil
}

func keepRecord(e *libctr.Engine, r *partial.Result, name string, source []byte) error {
	lock, err := r.Lock.Marshal()
	if err != nil {
		return err
	}
	path := recordFile(e, r.Digest)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the build's record: %w", err)
	}
	data, err := json.Marshal(kept{Version: 1, Composed: []byte(r.Text), Lock: lock, Source: source, SourceName: name})
	if err != nil {
		return err
	}
	if err := atomicfile.Write(path, data, 0o600, false); err != nil {
		return fmt.Errorf("keep the build's record: %w", err)
	}
	return nil
}

// AttachRecord sends what was kept of an image's build next to the image in its registry, as a referrer. digest is the one
// in the image's label. It tells whether there was something to send.
func AttachRecord(ctx context.Context, o Options, image, digest string) (sent bool, err error) {
	k, err := readKept(o.Engine, digest)
	if k == nil || err != nil {
		return false, err
	}
	p, err := OpenDir(o, ".")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	_, err = p.Parts.Attach(ctx, image, registry.Record{Composed: k.Composed, Lock: k.Lock, Source: k.Source, SourceName: k.SourceName})
	return err == nil, err
}
