// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"

	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
)

// refused is why a layer was refused: the libraries between here and the command pass on texts, or try something else.
type refused struct {
	mu  sync.Mutex
	err error
}

// entryCounts are how many entries the archives of layers have had, by their IDs.
type entryCounts struct {
	mu sync.Mutex
	of map[string]int64
}

func (e *entryCounts) note(layer string, n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.of == nil {
		e.of = map[string]int64{}
	}
	e.of[layer] = n
}

func (e *entryCounts) get(layer string) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.of[layer]
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
	if options == nil {
		options = &storage.LayerOptions{}
	}
	in := &incoming{diff: diff, name: cmp.Or(options.UncompressedDigest, options.OriginalDigest).String()}
	holes := k.keepsHoles(options, mountLabel, diff)
	again := func() error { return nil }
	if holes {
		rewind := diff.(io.Seeker)
		start, err := rewind.Seek(0, io.SeekCurrent)
		if holes = err == nil; holes { // else it is a pipe
			again = func() error { _, err := rewind.Seek(start, io.SeekStart); return err }
		}
	}
	// Few layers have files with holes, and are read twice.
	l, n, err := k.putPlain(in, holes, id, parent, names, mountLabel, writeable, options)
	if errors.Is(err, unpack.ErrSparse) {
		if err := again(); err != nil {
			return nil, 0, err
		}
		l, n, err = k.putSparse(in, id, parent, names, writeable, options)
	}
	if errors.Is(err, errWithZeros) {
		if err := again(); err != nil {
			return nil, 0, err
		}
		l, n, err = k.putPlain(in, false, id, parent, names, mountLabel, writeable, options)
	}
	if err == nil && len(in.zeros) > 0 {
		if err := punchLayer(k.Store, l, in.zeros); err != nil {
			slog.Debug("make holes of zeros", "layer", l.ID, "error", err) // it is all there, and takes more room
		}
	}
	return l, n, err
}

// keepsHoles reports whether files with holes get them in the store.
func (k *Keeper) keepsHoles(options *storage.LayerOptions, mountLabel string, diff io.Reader) bool {
	_, seeks := diff.(io.Seeker)
	driver, err := k.GraphDriver()
	if err != nil || !seeks || mountLabel != "" || options.TemplateLayer != "" || !reflect.ValueOf(options.IDMappingOptions).IsZero() {
		return false
	}
	_, stages := driver.(graphdriver.DriverWithDiffer)
	return stages
}

// incoming is the archive of a layer.
type incoming struct {
	diff  io.Reader
	name  string
	zeros []unpack.Zeros
}

// maxRuns bounds what is kept of a layer's zeros.
const maxRuns = 1 << 16

// open returns the archive unpacked, and within limits; end ends it. Its zeros are kept in in.
func (k *Keeper) open(in *incoming, parent string, o unpack.Options) (guard *unpack.Reader, packed *counter, end func() error, err error) {
	if o.Limits, err = unpack.LimitsFromEnv(); err != nil {
		return nil, nil, nil, err
	}
	packed = &counter{r: in.diff}
	plain, err := archive.DecompressStream(packed)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("unpack layer %s: %w", in.name, err)
	}
	o.What, o.Packed = unpack.Describe("layer", in.name), packed.count
	o.Before, o.FilesBefore = k.below(parent)
	o.Dir, o.Warn = k.GraphRoot(), func(text string) { slog.Warn(text) }
	in.zeros = nil
	o.Zeros = func(z unpack.Zeros) {
		if len(in.zeros) < maxRuns {
			in.zeros = append(in.zeros, z)
		}
	}
	return unpack.NewReader(plain, o), packed, plain.Close, nil
}

// putPlain has the library make the layer. If holes is set it ends with unpack.ErrSparse where there are any; else they become zeros.
func (k *Keeper) putPlain(in *incoming, holes bool, id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions) (*storage.Layer, int64, error) {
	guard, packed, end, err := k.open(in, parent, unpack.Options{KeepHoles: holes, StopAtSparse: holes})
	if err != nil {
		return nil, 0, err
	}
	defer end()
	// The library gets what is not packed, so that it unpacks nothing that was not looked at, and is told what it was. It must
	// not take that for packed once more.
	tar := bufio.NewReaderSize(guard, 512)
	if head, _ := tar.Peek(10); archive.DetectCompression(head) != archive.Uncompressed {
		return nil, 0, fmt.Errorf("unpack layer %s: it is packed twice", in.name)
	}
	given := *options
	if given.OriginalDigest != "" && given.OriginalSize == nil {
		given.OriginalSize = &packed.n // it is read after the last byte
	}
	l, n, err := k.Store.PutLayer(id, parent, names, mountLabel, writeable, &given, tar)
	if err == nil {
		k.entries.note(l.ID, guard.Entries())
	}
	return l, n, k.why(guard, err)
}

func (k *Keeper) putSparse(in *incoming, id, parent string, names []string, writeable bool, options *storage.LayerOptions) (*storage.Layer, int64, error) {
	guard, _, end, err := k.open(in, parent, unpack.Options{KeepHoles: true})
	if err != nil {
		return nil, 0, err
	}
	defer end()
	s := &sparseLayer{store: k.Store, parent: parent, archive: guard}
	l, n, err := s.put(id, names, writeable, options, options.UncompressedDigest)
	if err != nil {
		err = fmt.Errorf("unpack layer %s: %w", in.name, err)
	} else {
		k.entries.note(l.ID, guard.Entries())
	}
	return l, n, k.why(guard, err)
}

// why returns the reason for which the archive was refused in place of err, and keeps it for TakeRefused.
func (k *Keeper) why(guard *unpack.Reader, err error) error {
	why := guard.Err()
	if err == nil || why == nil {
		return err
	}
	if errors.Is(why, unpack.ErrSparse) {
		return why
	}
	k.refused.mu.Lock()
	k.refused.err = why
	k.refused.mu.Unlock()
	return why
}

// below is what a layer and those that it is on unpack to, and how many entries those of them have that this Keeper has made.
func (k *Keeper) below(id string) (size, entries int64) {
	for id != "" {
		l, err := k.Store.Layer(id)
		if err != nil {
			break
		}
		size += max(l.UncompressedSize, 0)
		entries += k.entries.get(id)
		id = l.Parent
	}
	return size, entries
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
