// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/unpack"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/transfer"
	"go.podman.io/storage/pkg/archive"
)

// The archive of a checkpoint has podman's files. Theirs of the container's configuration are Berth's own, so that neither engine restores
// the other's. See docs/decisions/0068.
const (
	archivedConfig  = "config.dump"     // archivedContainer
	archivedSpec    = "spec.dump"       // the OCI spec; for a reader, nothing restores from it
	archivedNetwork = "network.status"  // for a reader
	archivedRootfs  = "rootfs-diff.tar" // files that the container has added and changed
	archivedDeleted = "deleted.files"   // a JSON list of paths
	archivedVolumes = "volumes"         // a directory with NAME.tar of each
)

// archivedContainer says of which container an archive is. The names that podman's tools read (checkpointctl) are theirs.
type archivedContainer struct {
	ID             string    `json:"id"`
	Name           string    `json:"name"`
	ImageID        string    `json:"rootfsImage,omitempty"`
	ImageName      string    `json:"rootfsImageName,omitempty"`
	Runtime        string    `json:"runtime,omitempty"`
	Created        time.Time `json:"createdTime"`
	CheckpointedAt time.Time `json:"checkpointedTime"`

	Berth *archivedRequest `json:"berth,omitempty"` // nil: another engine has made the archive
}

type archivedRequest struct {
	Version int              `json:"version"`
	Request json.RawMessage  `json:"request"` // record.Config.Asked
	Volumes []archivedVolume `json:"volumes,omitempty"`
	Partial bool             `json:"partial,omitempty"` // it has a pre-checkpoint only
}

// archiveVersion is what this Berth writes and reads.
const archiveVersion = 1

type archivedVolume struct {
	Name        string `json:"name"`
	Destination string `json:"destination"`
	Anonymous   bool   `json:"anonymous,omitempty"`
}

// checkpointArchive writes one.
type checkpointArchive struct {
	e      *Engine
	c      *Container
	cfg    *record.Config
	opts   CheckpointOptions
	bundle string
	w      *tar.Writer
}

func (e *Engine) exportCheckpoint(ctx context.Context, c *Container, cfg *record.Config, opts CheckpointOptions) (err error) {
	compression, err := parseCompression(opts.Compression)
	if err != nil {
		return err
	}
	packed, err := archive.CompressStream(opts.Export, compression)
	if err != nil {
		return err
	}
	a := &checkpointArchive{e: e, c: c, cfg: cfg, opts: opts, bundle: filepath.Join(c.Dir, record.BundleDir), w: tar.NewWriter(packed)}
	if err := a.write(ctx); err != nil {
		return errors.Join(err, packed.Close())
	}
	return errors.Join(a.w.Close(), packed.Close())
}

func parseCompression(name string) (archive.Compression, error) {
	switch name {
	case "", "zstd":
		return archive.Zstd, nil
	case "gzip":
		return archive.Gzip, nil
	case "none":
		return archive.Uncompressed, nil
	}
	return 0, field.Errorf("selected compression algorithm (%q) not supported. Please select one from: gzip, none, zstd", name)
}

func (a *checkpointArchive) write(ctx context.Context) error {
	request, err := a.request()
	if err != nil {
		return err
	}
	about, err := json.MarshalIndent(request, "", "  ")
	if err != nil {
		return err
	}
	network, err := json.Marshal(a.cfg.Network)
	if err != nil {
		return err
	}
	if err := errors.Join(a.putData(archivedConfig, about), a.putFile(archivedSpec, filepath.Join(a.bundle, "config.json")),
		a.putData(archivedNetwork, network)); err != nil {
		return err
	}
	for _, name := range []string{record.DumpLog, record.DumpStats} {
		if err := a.putFile(name, filepath.Join(a.bundle, name)); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	if a.opts.PreCheckpoint {
		return a.putDir(ctx, record.PreCheckpointDir)
	}
	if err := a.putDir(ctx, record.CheckpointDir); err != nil {
		return err
	}
	if !a.opts.IgnoreRootFS {
		if err := a.putRootfs(ctx); err != nil {
			return err
		}
	}
	if a.opts.IgnoreVolumes {
		return nil
	}
	for _, v := range request.Berth.Volumes {
		if err := a.putMade(archivedVolumes+"/"+v.Name+".tar", func(w io.Writer) error { return a.e.ExportVolume(ctx, v.Name, w) }); err != nil {
			return err
		}
	}
	return nil
}

func (a *checkpointArchive) request() (*archivedContainer, error) {
	r := &archivedRequest{Version: archiveVersion, Request: a.cfg.Asked, Partial: a.opts.PreCheckpoint}
	if _, err := askedOf(a.cfg); err != nil {
		return nil, err
	}
	for _, m := range a.cfg.Mounts {
		if m.Type != "volume" || slices.ContainsFunc(r.Volumes, func(v archivedVolume) bool { return v.Name == m.Name }) {
			continue
		}
		v, err := a.e.Volume(m.Name)
		if err != nil {
			return nil, err
		}
		r.Volumes = append(r.Volumes, archivedVolume{Name: m.Name, Destination: m.Destination, Anonymous: v.Anonymous})
	}
	return &archivedContainer{ID: a.c.ID, Name: a.c.State.Name, ImageID: a.cfg.ImageID, ImageName: a.cfg.ImageName, Runtime: a.cfg.Runtime.Name,
		Created: a.cfg.Created, CheckpointedAt: a.c.State.CheckpointedAt, Berth: r}, nil
}

func (a *checkpointArchive) header(name string, size int64) error {
	return a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: size, ModTime: time.Now(), Format: tar.FormatPAX})
}

func (a *checkpointArchive) putData(name string, data []byte) error {
	if err := a.header(name, int64(len(data))); err != nil {
		return err
	}
	_, err := a.w.Write(data)
	return err
}

func (a *checkpointArchive) putFile(name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return a.putOpen(name, f)
}

func (a *checkpointArchive) putOpen(name string, f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if err := a.header(name, st.Size()); err != nil {
		return err
	}
	_, err = io.CopyN(a.w, f, st.Size())
	return err
}

// putDir puts the files of CRIU's in a directory of the bundle, and the link parent that it makes for --parent-path.
func (a *checkpointArchive) putDir(ctx context.Context, name string) error {
	entries, err := os.ReadDir(filepath.Join(a.bundle, name))
	if err != nil {
		return err
	}
	if err := a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o700, ModTime: time.Now(), Format: tar.FormatPAX}); err != nil {
		return err
	}
	for _, d := range entries {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case d.Type().IsRegular():
			err = a.putFile(name+"/"+d.Name(), filepath.Join(a.bundle, name, d.Name()))
		case d.Name() == parentLink && d.Type() == os.ModeSymlink:
			err = a.w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name + "/" + parentLink, Linkname: parentTarget, ModTime: time.Now(), Format: tar.FormatPAX})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// The link in a checkpoint to the one before, of which it has only what has changed.
const (
	parentLink   = "parent"
	parentTarget = "../" + record.PreCheckpointDir
)

// putRootfs puts what the container has changed of its image's files.
func (a *checkpointArchive) putRootfs(ctx context.Context) error {
	changes, err := a.e.Diff(ctx, Files{Container: a.c})
	if err != nil {
		return err
	}
	changed, deleted := map[string]bool{}, []string{}
	for _, c := range changes {
		if c.Kind == Deleted {
			deleted = append(deleted, c.Path)
		} else {
			changed[c.Path[1:]] = true
		}
	}
	err = a.putMade(archivedRootfs, func(w io.Writer) (err error) {
		r, err := a.root(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, r.Close()) }()
		top, err := r.root.Find("/")
		if err != nil {
			return err
		}
		defer top.Close()
		return transfer.Copy(ctx, only{&transfer.Tree{Top: top, IDs: r.ids.inside}, changed}, transfer.NewArchiveWriter(w))
	})
	if err != nil || len(deleted) == 0 {
		return err
	}
	data, err := json.Marshal(deleted)
	if err != nil {
		return err
	}
	return a.putData(archivedDeleted, data)
}

// root opens the container's root file system, whose lock is held where it has ended.
func (a *checkpointArchive) root(ctx context.Context) (*containerRoot, error) {
	if a.opts.LeaveRunning {
		return a.e.openBareRoot(ctx, a.c)
	}
	return a.e.openLocked(a.c, a.cfg)
}

// only is what of a source has one of the names.
type only struct {
	transfer.Source
	names map[string]bool
}

func (o only) Each(ctx context.Context, put func(*transfer.Entry) error) error {
	return o.Source.Each(ctx, func(e *transfer.Entry) error {
		if !o.names[e.Name] {
			return nil
		}
		if !o.names[e.Link] {
			e.Link = "" // that file is left out; they have the same content
		}
		return put(e)
	})
}

// putMade puts what work writes, whose size is known only then.
func (a *checkpointArchive) putMade(name string, work func(io.Writer) error) error {
	spool, err := os.CreateTemp(a.bundle, "export-")
	if err != nil {
		return err
	}
	defer spool.Close()
	if err := os.Remove(spool.Name()); err != nil {
		return err
	}
	if err := work(spool); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return a.putOpen(name, spool)
}

// boundedArchive reads an archive, packed or not, that is not trusted.
func boundedArchive(ctx context.Context, r io.Reader, what, dir string) (*unpack.Reader, func() error, error) {
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return nil, nil, err
	}
	plain, err := archive.DecompressStream(untilDone{ctx, r})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", what, err)
	}
	return unpack.NewReader(plain, unpack.Options{Limits: limits, What: what, Dir: dir}), plain.Close, nil
}
