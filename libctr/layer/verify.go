package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sync/errgroup"
)

var errChanged = errors.New("its content is not what its digest says")

// Verify compares the content of every layer of an image with its digest, as many at a time as there are processors, and
// returns an error for the first that differs. The storage library's own check does one after the other.
func Verify(ctx context.Context, store storage.Store) error {
	layers, err := store.Layers()
	if err != nil {
		return err
	}
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
			if err := verify(store, &l); err != nil {
				return fmt.Errorf("layer %.12s: %w", l.ID, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func verify(store storage.Store, l *storage.Layer) error {
	if err := l.UncompressedDigest.Validate(); err != nil {
		return err
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
		return errChanged
	}
	return nil
}
