// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	tarsplit "github.com/vbatts/tar-split/tar/storage"
	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"golang.org/x/sys/unix"
)

// maxEntry bounds an entry of a record in bytes. The longest that are written hold a piece of padding of 1 MiB, or the headers of a
// file with extended ones of 1 MiB each, in base64.
const maxEntry = 16 << 20

// layerRecord tells how the archive of a layer was made: a list of pieces of the archive, and of names of files whose content
// belongs between them.
//
// The names are the image's, or, of a layer that came in chunks (zstd:chunked), the registry's. They are looked up with the layer's
// directory as the root, as they were when the layer was unpacked; nothing but a regular file is opened, and no more of it is
// read than the record says.
type layerRecord struct {
	gz      io.Closer
	entries entries
	dirs    []string // the layer's directory, then those below it, where a layer made for other IDs (--userns) has its files
	open    []int    // descriptors of dirs, as far as they were needed
	size    int64    // of the archive; -1 if it is not known
	foreign bool     // the layer's files have other names on the disk, which only its driver knows (composefs)
	release func()
}

// openRecord returns a layer's record, which is below one of roots in sub, or nil if it has none. Whoever calls it holds the lock of the
// store's layers, and closes it.
func openRecord(driver graphdriver.Driver, roots []string, sub string, l *storage.Layer) (_ *layerRecord, err error) {
	f, err := openFirst(roots, sub, l.ID+".tar-split.gz")
	if f == nil || err != nil {
		return nil, err
	}
	r := &layerRecord{gz: f, size: l.UncompressedSize, release: func() {}}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("its record %s: %w", f.Name(), err)
	}
	r.entries = newEntries(gz)
	if l.UncompressedDigest == "" || l.UncompressedSize == 0 {
		r.size = -1
	}
	md, err := driver.Metadata(l.ID)
	if err != nil {
		return nil, err
	}
	if upper := md["UpperDir"]; upper != "" { // overlay
		r.dirs = append(r.dirs, upper)
		if lower := md["LowerDir"]; lower != "" {
			r.dirs = append(r.dirs, strings.Split(lower, ":")...)
		}
		_, err := os.Lstat(filepath.Join(filepath.Dir(upper), "composefs-data"))
		r.foreign = err == nil
		return r, nil
	}
	dir, err := driver.Get(l.ID, graphdriver.MountOpts{Options: []string{"ro"}})
	if err != nil {
		return nil, err
	}
	r.dirs, r.release = []string{dir}, func() { _ = driver.Put(l.ID) }
	return r, nil
}

// openFirst opens the first file that there is of those in roots, or returns nil.
func openFirst(roots []string, elem ...string) (*os.File, error) {
	for _, root := range roots {
		f, err := os.Open(filepath.Join(append([]string{root}, elem...)...))
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return nil, nil
}

func (r *layerRecord) close() {
	for _, fd := range r.open {
		unix.Close(fd)
	}
	r.gz.Close()
	r.release()
}

// entries reads a record. The library's own reader takes entries of any size and remembers every name.
type entries struct {
	dec    *json.Decoder
	window *io.LimitedReader
}

func newEntries(r io.Reader) entries {
	w := &io.LimitedReader{R: r}
	return entries{json.NewDecoder(w), w}
}

// next returns io.EOF after the last entry.
func (e entries) next() (*tarsplit.Entry, error) {
	e.window.N = maxEntry
	var entry tarsplit.Entry
	err := e.dec.Decode(&entry)
	switch {
	case err != nil && e.window.N == 0:
		return nil, errors.New("its record is damaged: an entry is too long")
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil:
		return nil, fmt.Errorf("its record is damaged: %w", err)
	case entry.Type != tarsplit.FileType && entry.Type != tarsplit.SegmentType || entry.Size < 0:
		return nil, fmt.Errorf("its record is damaged: entry of type %d and size %d", entry.Type, entry.Size)
	}
	return &entry, nil
}

// each calls do for each entry that stands for the content of a file.
func (r *layerRecord) each(do func(*tarsplit.Entry) error) error {
	for {
		entry, err := r.entries.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil && entry.Type == tarsplit.FileType && entry.Size > 0 {
			err = do(entry)
		}
		if err != nil {
			return err
		}
	}
}

// replay writes the layer's archive.
func (r *layerRecord) replay(w io.Writer) error {
	out := &bounded{w: w, left: r.size}
	for {
		entry, err := r.entries.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if entry.Type == tarsplit.SegmentType {
			_, err = out.Write(entry.Payload)
		} else if entry.Size > 0 && !empty(entry) {
			if err = r.copy(out, entry); err != nil && !errors.Is(err, io.ErrClosedPipe) {
				err = fmt.Errorf("file %q: %w", entry.GetName(), err)
			}
		}
		if err != nil {
			return err
		}
	}
}

// empty reports whether the archive has no content for an entry: of a link or a device, the size in the header means nothing.
func empty(e *tarsplit.Entry) bool { return bytes.Equal(e.Payload, make([]byte, crc64.Size)) }

// copy writes the content of a file.
func (r *layerRecord) copy(w io.Writer, entry *tarsplit.Entry) error {
	f, err := r.openFile(entry.GetName(), entry.Size)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := crc64.New(tarsplit.CRCTable)
	n, err := io.Copy(io.MultiWriter(w, sum), io.LimitReader(f, entry.Size))
	if err != nil {
		return err
	}
	if n != entry.Size || !bytes.Equal(sum.Sum(nil), entry.Payload) {
		return errors.New("its content has changed")
	}
	return nil
}

// openFile opens the regular file that a name of the record stands for.
func (r *layerRecord) openFile(name string, size int64) (*os.File, error) {
	fd, st, err := r.find(strings.TrimPrefix(filepath.Clean("/"+name), "/"), unix.RESOLVE_IN_ROOT)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("it is %s, not a regular file", kind(st.Mode))
	}
	if st.Size != size {
		return nil, fmt.Errorf("it has %d bytes, the layer's archive has %d", st.Size, size)
	}
	// Only now is it opened: to open a device can do something.
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// find looks a name up in the first of the layer's directories that has it, and returns a descriptor that cannot be read from.
func (r *layerRecord) find(name string, resolve uint64) (fd int, st unix.Stat_t, err error) {
	if name == "" {
		name = "."
	}
	how := &unix.OpenHow{Flags: unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC, Resolve: resolve | unix.RESOLVE_NO_MAGICLINKS}
	for i := range r.dirs {
		if i == len(r.open) {
			dir, err := unix.Open(r.dirs[i], unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
			if err != nil {
				return -1, st, fmt.Errorf("open the layer's directory %s: %w", r.dirs[i], err)
			}
			r.open = append(r.open, dir)
		}
		fd, err = unix.Openat2(r.open[i], name, how)
		for tries := 0; errors.Is(err, unix.EAGAIN) && tries < 100; tries++ { // something was renamed meanwhile
			fd, err = unix.Openat2(r.open[i], name, how)
		}
		if err == nil {
			if err = unix.Fstat(fd, &st); err != nil {
				unix.Close(fd)
			}
			return fd, st, err
		}
		if !missing(err) {
			return -1, st, err
		}
	}
	return -1, st, err
}

func missing(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENAMETOOLONG)
}

func kind(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFLNK:
		return "a link"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFSOCK:
		return "a socket"
	case unix.S_IFDIR:
		return "a directory"
	}
	return "a device"
}

// checkNames reports whether a name leads out of the layer by itself.
func (r *layerRecord) checkNames() error {
	return r.each(func(e *tarsplit.Entry) error { return checkName(e.GetName()) })
}

// checkName refuses names that lead out of a directory that they are joined with, as the library does it.
func checkName(name string) error {
	if clean := filepath.Clean("./" + name); clean == ".." || strings.HasPrefix(clean, "../") {
		return fmt.Errorf("file %q of its archive would be outside of the layer", name)
	}
	return nil
}

// checkFiles reports whether an engine that joins the layer's directory with the names would open something outside of the
// layer, or a file that never ends. A file that is not there is none of that.
func (r *layerRecord) checkFiles() error {
	return r.each(func(e *tarsplit.Entry) error {
		name := e.GetName()
		if err := checkName(name); err != nil {
			return err
		}
		fd, st, err := r.find(filepath.Clean("./"+name), unix.RESOLVE_BENEATH)
		switch {
		case missing(err):
			return nil
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.ELOOP):
			return fmt.Errorf("file %q of its archive would be outside of the layer, by a link", name)
		case err != nil:
			return fmt.Errorf("file %q: %w", name, err)
		}
		unix.Close(fd)
		if t := st.Mode & unix.S_IFMT; t != unix.S_IFREG && t != unix.S_IFDIR {
			return fmt.Errorf("file %q of its archive has %d bytes, but is %s", name, e.Size, kind(st.Mode))
		}
		return nil
	})
}

// bounded fails when more than left is written; a negative left is no bound.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left >= 0 {
		if int64(len(p)) > b.left {
			return 0, errors.New("its record makes a longer archive than it came with")
		}
		b.left -= int64(len(p))
	}
	return b.w.Write(p)
}
