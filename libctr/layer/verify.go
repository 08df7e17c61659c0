// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sync/errgroup"
)

var errChanged = errors.New("its content is not what its digest says")

// Check has the library check a store that Open has opened. If opts say so, it compares the content of every layer of an image
// with its digest, as many at a time as there are processors. The library's own check does one after the other, and
// opens whatever the records of layers lead to.
func Check(ctx context.Context, store storage.Store, opts *storage.CheckOptions) (storage.CheckReport, error) {
	r, err := store.Check(opts)
	if err != nil || !opts.LayerDigests {
		return r, err
	}
	damaged, err := verify(ctx, store)
	if err != nil || len(damaged) == 0 {
		return r, err
	}
	return r, addDamaged(&r, store, damaged)
}

// verify returns the layers whose content differs from their digests.
func verify(ctx context.Context, store storage.Store) (map[string]error, error) {
	layers, err := store.Layers()
	if err != nil {
		return nil, err
	}
	damaged := map[string]error{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, l := range layers {
		if l.UncompressedDigest == "" || l.ReadOnly {
			continue
		}
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := verifyLayer(store, &l); err != nil && !errors.Is(err, storage.ErrLayerUnknown) { // removed meanwhile
				mu.Lock()
				defer mu.Unlock()
				damaged[l.ID] = err
			}
			return nil
		})
	}
	return damaged, g.Wait()
}

func verifyLayer(store storage.Store, l *storage.Layer) error {
	if err := l.UncompressedDigest.Validate(); err != nil {
		return &RecordError{l.ID, err}
	}
	plain := archive.Uncompressed
	diff, err := store.Diff("", l.ID, &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return err
	}
	digester := l.UncompressedDigest.Algorithm().Digester()
	n, err := io.Copy(digester.Hash(), diff)
	if err = errors.Join(err, diff.Close()); err != nil {
		return err
	}
	if digester.Digest() != l.UncompressedDigest || l.UncompressedSize != -1 && n != l.UncompressedSize {
		return &RecordError{l.ID, errChanged}
	}
	return nil
}

// addDamaged adds layers to a report, with the images and containers that are made of them, as the library does.
func addDamaged(r *storage.CheckReport, store storage.Store, damaged map[string]error) error {
	images, err := store.Images()
	if err != nil {
		return err
	}
	containers, err := store.Containers()
	if err != nil {
		return err
	}
	parents, err := parentsOf(store)
	if err != nil {
		return err
	}
	for id, why := range damaged {
		r.Layers[id] = append(r.Layers[id], why)
		for _, img := range images {
			if !parents.has(&img, id) {
				continue
			}
			if img.ReadOnly {
				r.ROImages[img.ID] = append(r.ROImages[img.ID], why)
				continue
			}
			r.Images[img.ID] = append(r.Images[img.ID], why)
			for _, c := range containers {
				if c.ImageID == img.ID {
					r.Containers[c.ID] = append(r.Containers[c.ID], why)
				}
			}
		}
	}
	return nil
}
