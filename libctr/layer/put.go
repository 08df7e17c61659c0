package layer

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
)

// refused is why a layer was refused: the libraries between here and the command pass on texts, or try something else.
type refused struct {
	mu  sync.Mutex
	err error
}

// TakeRefused returns why a layer was refused since it was asked last: unpack.ErrRefused is in the tree, or that of a disk without
// room; nil if none was.
func (k *Keeper) TakeRefused() error {
	k.refused.mu.Lock()
	defer k.refused.mu.Unlock()
	err := k.refused.err
	k.refused.err = nil
	return err
}

// PutLayer notes the layer and makes it, if what it unpacks to is within the limits of package unpack.
func (k *Keeper) PutLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) {
	if id == "" {
		id = newID()
	}
	if err := k.journal.note(id, parent); err != nil {
		return nil, 0, err
	}
	if diff == nil {
		return k.Store.PutLayer(id, parent, names, mountLabel, writeable, options, nil)
	}
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return nil, 0, err
	}
	if options == nil {
		options = &storage.LayerOptions{}
	}
	name := cmp.Or(options.UncompressedDigest, options.OriginalDigest).String()
	packed := &counter{r: diff}
	plain, err := archive.DecompressStream(packed)
	if err != nil {
		return nil, 0, fmt.Errorf("unpack layer %s: %w", name, err)
	}
	defer plain.Close()
	guard := unpack.NewReader(plain, unpack.Options{
		Limits: limits, What: unpack.Describe("layer", name), Before: k.below(parent), Packed: packed.count,
		Dir: k.GraphRoot(), Warn: func(text string) { slog.Warn(text) },
	})
	// The library gets what is not packed, so that it unpacks nothing that was not looked at, and is told what it was. It must
	// not take that for packed once more.
	tar := bufio.NewReaderSize(guard, 512)
	if head, _ := tar.Peek(10); archive.DetectCompression(head) != archive.Uncompressed {
		return nil, 0, fmt.Errorf("unpack layer %s: it is packed twice", name)
	}
	given := *options
	if given.OriginalDigest != "" && given.OriginalSize == nil {
		given.OriginalSize = &packed.n // it is read after the last byte
	}
	l, n, err := k.Store.PutLayer(id, parent, names, mountLabel, writeable, &given, tar)
	if why := guard.Err(); err != nil && why != nil {
		err = why
		k.refused.mu.Lock()
		k.refused.err = why
		k.refused.mu.Unlock()
	}
	return l, n, err
}

// below is what a layer and those that it is on unpack to.
func (k *Keeper) below(id string) (size int64) {
	for id != "" {
		l, err := k.Store.Layer(id)
		if err != nil {
			return size
		}
		size += max(l.UncompressedSize, 0)
		id = l.Parent
	}
	return size
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	atomic.AddInt64(&c.n, int64(n)) // a program that unpacks is fed by a goroutine
	return n, err
}

func (c *counter) count() int64 { return atomic.LoadInt64(&c.n) }
