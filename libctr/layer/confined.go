// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"errors"
	"fmt"
	"io"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/ioutils"
	"go.podman.io/storage/pkg/lockfile"
)

// confined is a store that makes the archive of a layer again without looking at anything outside the layer, and takes no layer
// for which other engines on the same store would look elsewhere.
//
// For every layer that it unpacks, the storage library (1.65, layers.go, Diff) writes down how the archive was made: headers as
// they came, and between them the names of files. To give the archive back, it opens the layer's directory joined with each
// name, wherever ".." and links lead and whatever is there. The names are the image's. See record.go for what is done here.
type confined struct{ storage.Store }

// RecordError says that the archive of a layer cannot be made again from its files and its record.
type RecordError struct {
	Layer string // its ID
	Err   error
}

func (e *RecordError) Error() string { return fmt.Sprintf("layer %.12s: %v", e.Layer, e.Err) }
func (e *RecordError) Unwrap() error { return e.Err }

// Diff returns the archive of a layer. An error while it is read names the images that have the layer.
func (s *confined) Diff(from, to string, options *storage.DiffOptions) (io.ReadCloser, error) {
	l, err := s.Store.Layer(to)
	if err != nil || from != "" && from != l.Parent {
		return s.Store.Diff(from, to, options) // of two layers that are mounted
	}
	rec, unlock, err := s.openRecord(l)
	if err != nil {
		return nil, s.explain(l.ID, err)
	}
	if rec == nil {
		return s.diffOfFiles(from, to, l, options) // a container's
	}
	if rec.foreign {
		// The driver looks the names up by itself, safely but for these.
		err := rec.checkNames()
		rec.close()
		unlock()
		if err != nil {
			return nil, s.explain(l.ID, err)
		}
		return s.Store.Diff(from, to, options)
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := rec.replay(w)
		rec.close()
		unlock() // before the images are looked up
		if err != nil {
			err = s.explain(l.ID, err)
		}
		w.CloseWithError(err)
	}()
	plain := ioutils.NewReadCloserWrapper(r, func() error {
		err := r.Close()
		<-done
		return err
	})
	compression := l.CompressionType
	if options != nil && options.Compression != nil {
		compression = *options.Compression
	}
	return compress(plain, compression)
}

// diffOfFiles returns the archive of what a container has changed, and ends with an error where that goes beyond the limits of package
// unpack: a container can make a file that is larger than the disk, and holes are read as zeros.
func (s *confined) diffOfFiles(from, to string, l *storage.Layer, options *storage.DiffOptions) (io.ReadCloser, error) {
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return nil, err
	}
	compression := l.CompressionType
	if options != nil && options.Compression != nil {
		compression = *options.Compression
	}
	plain := archive.Uncompressed
	r, err := s.Store.Diff(from, to, &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return nil, err
	}
	bounded := unpack.NewReader(r, unpack.Options{Limits: limits, What: "the container's files", Dir: s.GraphRoot()})
	return compress(ioutils.NewReadCloserWrapper(bounded, r.Close), compression)
}

// compress returns what in gives in compressed form, and closes it.
func compress(in io.ReadCloser, compression archive.Compression) (io.ReadCloser, error) {
	if compression == archive.Uncompressed {
		return in, nil
	}
	r, w := io.Pipe()
	c, err := archive.CompressStream(w, compression)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := io.Copy(c, in)
		w.CloseWithError(errors.Join(err, c.Close(), in.Close()))
	}()
	return ioutils.NewReadCloserWrapper(r, func() error {
		err := r.Close()
		<-done
		return err
	}), nil
}

// openRecord takes the lock of the store's layers and opens a layer's record. Without a record, or with an error, it is nil and
// nothing is locked.
func (s *confined) openRecord(l *storage.Layer) (rec *layerRecord, unlock func(), err error) {
	// It takes the driver's lock for a moment, which the library takes before that of the layers: the other way round, two
	// goroutines or processes would wait for each other.
	driver, err := s.GraphDriver()
	if err != nil {
		return nil, nil, err
	}
	lock, err := lockfile.GetLockFile(newWalker(s.Store).layersLock())
	if err != nil {
		return nil, nil, err
	}
	lock.RLock()
	roots := append([]string{s.GraphRoot()}, driver.AdditionalImageStores()...)
	rec, err = openRecord(driver, roots, s.GraphDriverName()+"-layers", l)
	if err != nil || rec == nil {
		lock.Unlock()
		return nil, nil, err
	}
	return rec, lock.Unlock, nil
}

// explain makes a RecordError of err, and adds which images have the layer and how they are removed.
func (s *confined) explain(id string, err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return err // nobody reads it
	}
	err = &RecordError{Layer: id, Err: err}
	names, nerr := imagesOf(s.Store, id)
	if nerr != nil || len(names) == 0 {
		return hint.Add(err, "find out what else is damaged with: %s", hint.To(hint.Check))
	}
	return hint.Add(fmt.Errorf("image %s: %w", names[0], err), "the layer's files are not those it came with: remove the image with: %s", hint.To(hint.ForceRemoveImage, names[0]))
}

// imagesOf returns the images that a layer is part of, each by a name or by its ID.
func imagesOf(store storage.Store, id string) ([]string, error) {
	images, err := store.Images()
	if err != nil {
		return nil, err
	}
	parents, err := parentsOf(store)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, img := range images {
		switch {
		case !parents.has(&img, id):
		case len(img.Names) > 0:
			names = append(names, img.Names[0])
		default:
			names = append(names, fmt.Sprintf("%.12s", img.ID))
		}
	}
	return names, nil
}

// parents has the parent of each layer.
type parents map[string]string

func parentsOf(store storage.Store) (parents, error) {
	layers, err := store.Layers()
	if err != nil {
		return nil, err
	}
	p := parents{}
	for _, l := range layers {
		p[l.ID] = l.Parent
	}
	return p, nil
}

// has reports whether a layer is part of an image.
func (p parents) has(img *storage.Image, id string) bool {
	for _, top := range append([]string{img.TopLayer}, img.MappedTopLayers...) {
		for n := 0; top != "" && n <= len(p); n++ { // records may make a circle
			if top == id {
				return true
			}
			top = p[top]
		}
	}
	return false
}

// PutLayer makes a layer, and removes it again if its record leads out of it.
func (s *confined) PutLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) {
	l, size, err := s.Store.PutLayer(id, parent, names, mountLabel, writeable, options, diff)
	if err != nil || diff == nil {
		return l, size, err
	}
	if err := s.admit(l.ID); err != nil {
		return nil, -1, errors.Join(err, s.Store.DeleteLayer(l.ID))
	}
	return l, size, nil
}

// ApplyStagedLayer makes a layer as PutLayer does.
func (s *confined) ApplyStagedLayer(args storage.ApplyStagedLayerOptions) (*storage.Layer, error) {
	l, err := s.Store.ApplyStagedLayer(args)
	if err != nil {
		return nil, err
	}
	if err := s.admit(l.ID); err != nil {
		return nil, errors.Join(err, s.Store.DeleteLayer(l.ID))
	}
	return l, nil
}

// ApplyDiff fills a layer; it fails if the record then leads out of it.
func (s *confined) ApplyDiff(to string, diff io.Reader) (int64, error) {
	n, err := s.Store.ApplyDiff(to, diff)
	if err != nil {
		return n, err
	}
	return n, s.admit(to)
}

// admit checks the record of a layer that has just been made.
func (s *confined) admit(id string) error {
	l, err := s.Store.Layer(id)
	if err != nil {
		return err
	}
	rec, unlock, err := s.openRecord(l)
	if err != nil || rec == nil {
		return err
	}
	defer unlock()
	defer rec.close()
	if rec.foreign {
		err = rec.checkNames()
	} else {
		err = rec.checkFiles()
	}
	if err != nil {
		return hint.Add(fmt.Errorf("layer %s: %w", l.UncompressedDigest, err),
			"the layer is made to reach files outside of it, or by a damaged tool; nothing of it was kept: tell those who made the image")
	}
	return nil
}

// Check has the library check the store, but not open what records of layers say: that is for Check of this package.
func (s *confined) Check(options *storage.CheckOptions) (storage.CheckReport, error) {
	if options == nil {
		options = storage.CheckMost()
	}
	safe := *options
	safe.LayerDigests, safe.LayerContents = false, false
	return s.Store.Check(&safe)
}
