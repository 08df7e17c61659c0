// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/unpack"
	"github.com/opencontainers/go-digest"
	tarsplit "github.com/vbatts/tar-split/tar/storage"
	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/chrootarchive"
	"go.podman.io/storage/pkg/idtools"
	"golang.org/x/sys/unix"
)

// sparseLayer makes a layer whose archive has files with holes (decisions/0025). The library writes the holes as zeros, takes none
// in GNU's first format, and its record makes another archive than it was.
//
// The library gets an archive in which such a file is an ordinary one that has its pieces, one behind the other. They are put in
// their places before the layer is there for anybody. The record has the headers and the pieces as they were, so that every
// engine makes the same archive of it.
type sparseLayer struct {
	store   storage.Store
	parent  string
	archive *unpack.Reader

	record *record
	files  []sparseFile
	uid    map[uint32]bool
	gid    map[uint32]bool
}

type sparseFile struct {
	name   string
	size   int64
	pieces []unpack.Piece
}

// errWithZeros is for stores where holes are written as zeros.
var errWithZeros = errors.New("this store has no holes")

// put makes the layer of an archive that has d as its digest, if that is not empty.
func (s *sparseLayer) put(id string, names []string, writeable bool, options *storage.LayerOptions, d digest.Digest) (l *storage.Layer, n int64, err error) {
	out, err := s.store.PrepareStagedLayer(nil, s)
	if out != nil && out.Target != "" {
		// Of a layer that has been made there is an empty directory left.
		defer func() { err = errors.Join(err, s.store.CleanupStagedLayer(out)) }()
	}
	if err == nil && d != "" && out.UncompressedDigest != d {
		err = fmt.Errorf("its digest is %s", out.UncompressedDigest)
	}
	if err != nil {
		return nil, -1, err
	}
	size := out.Size
	l, err = s.store.ApplyStagedLayer(storage.ApplyStagedLayerOptions{
		ID: id, ParentLayer: s.parent, Names: names, Writeable: writeable,
		LayerOptions: &storage.LayerOptions{BigData: options.BigData, Flags: options.Flags, Volatile: options.Volatile},
		DiffOutput:   out, DiffOptions: &graphdriver.ApplyDiffWithDifferOpts{Flags: options.Flags},
	})
	return l, size, err
}

// Close is for graphdriver.Differ.
func (s *sparseLayer) Close() error { return nil }

// ApplyDiff fills the directory of a layer that is not there for others yet.
func (s *sparseLayer) ApplyDiff(dest string, options *archive.TarOptions, differ *graphdriver.DifferOptions) (out graphdriver.DriverWithDifferOutput, err error) {
	if options.ForceMask != nil || differ.Format != graphdriver.DifferOutputFormatDir || differ.StagingDirectory == "" {
		return out, errWithZeros
	}
	if err := s.root(dest, options); err != nil {
		return out, err
	}
	if s.record, err = newRecord(differ.StagingDirectory); err != nil {
		return out, err
	}
	defer func() {
		if err != nil {
			s.record.file.Close()
		}
	}()
	s.uid, s.gid = map[uint32]bool{}, map[uint32]bool{}
	r, w := io.Pipe()
	split := make(chan error, 1)
	go func() {
		err := s.split(w)
		w.CloseWithError(err)
		split <- err
	}()
	if err = chrootarchive.UntarUncompressed(r, dest, options); err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	r.CloseWithError(err)
	if serr := <-split; serr != nil && !errors.Is(serr, io.ErrClosedPipe) {
		err = serr
	}
	if err != nil {
		return out, err
	}
	for _, f := range s.files {
		if err := f.expand(dest); err != nil {
			return out, fmt.Errorf("make holes in %q: %w", f.name, err)
		}
	}
	st, err := os.Stat(dest)
	if err != nil {
		return out, err
	}
	mode := st.Mode()
	out.UncompressedDigest, out.Size, err = s.record.finish()
	out.TarSplit, out.UIDs, out.GIDs, out.RootDirMode = s.record.file, keys(s.uid), keys(s.gid), &mode
	return out, err
}

// root gives the layer's root the owner and mode of its parent's, as the library does where the archive says nothing of it.
func (s *sparseLayer) root(dest string, options *archive.TarOptions) error {
	uid, gid, err := idtools.GetRootUIDGID(options.UIDMaps, options.GIDMaps)
	if err != nil || s.parent == "" {
		return errors.Join(err, os.Chown(dest, uid, gid))
	}
	driver, err := s.store.GraphDriver()
	if err != nil {
		return err
	}
	md, err := driver.Metadata(s.parent)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Stat(md["UpperDir"], &st); err != nil {
		return fmt.Errorf("look at the layer below: %w", err)
	}
	return errors.Join(os.Chown(dest, int(st.Uid), int(st.Gid)), unix.Chmod(dest, st.Mode&0o7777))
}

// split writes the archive for the library, and the record.
func (s *sparseLayer) split(w io.Writer) error {
	return s.archive.Each(func(e *unpack.Entry) error {
		if err := s.record.segment(e.Raw); err != nil {
			return err
		}
		hdr := *e.Header
		if !strings.HasPrefix(path.Base(hdr.Name), archive.WhiteoutPrefix) {
			s.uid[uint32(hdr.Uid)], s.gid[uint32(hdr.Gid)] = true, true
		}
		if !e.Sparse {
			if _, err := w.Write(e.Raw); err != nil {
				return err
			}
			return s.record.content(w, e)
		}
		if strings.HasSuffix(hdr.Name, "/") {
			return fmt.Errorf("%q: a directory with holes", hdr.Name)
		}
		s.files = append(s.files, sparseFile{hdr.Name, hdr.Size, e.Pieces})
		hdr.Typeflag, hdr.Size, hdr.Format = tar.TypeReg, e.Size, tar.FormatPAX
		if err := tar.NewWriter(w).WriteHeader(&hdr); err != nil {
			return err
		}
		if err := s.record.pieces(w, e); err != nil {
			return err
		}
		_, err := w.Write(make([]byte, -e.Size&511))
		return err
	}, func(b []byte) error {
		return s.record.segment(b)
	})
}

// expand puts the pieces of a file below root in their places. A file that is another one by now has been replaced by the archive.
func (f *sparseFile) expand(root string) error {
	packed := int64(0)
	for _, p := range f.pieces {
		packed += p.Length
	}
	r := &layerRecord{dirs: []string{root}, gz: io.NopCloser(nil), release: func() {}}
	defer r.close()
	fd, st, err := r.find(strings.TrimPrefix(filepath.Clean("/"+f.name), "/"), unix.RESOLVE_IN_ROOT)
	if missing(err) || err == nil && (st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != packed) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return rewriting(fd, &st, func(file *os.File) error {
		if err := file.Truncate(f.size); err != nil {
			return err
		}
		// Each piece moves to the right, or stays: so the last one goes first.
		buf := make([]byte, 1<<20)
		from := packed
		for _, p := range slices.Backward(f.pieces) {
			if from -= p.Length; from == p.Offset {
				break
			}
			for left := p.Length; left > 0; {
				n := min(left, int64(len(buf)))
				left -= n
				if _, err := file.ReadAt(buf[:n], from+left); err != nil {
					return err
				}
				if _, err := file.WriteAt(buf[:n], p.Offset+left); err != nil {
					return err
				}
			}
		}
		end := int64(0)
		for _, p := range append(slices.Clone(f.pieces), unpack.Piece{Offset: f.size}) {
			// What is beyond the pieces as they came is a hole already.
			if err := punch(file, end, min(p.Offset, packed)-end); err != nil {
				return err
			}
			end = p.Offset + p.Length
		}
		return nil
	})
}

// punch makes n bytes of a file a hole, or zeros where the file system has no holes.
func punch(f *os.File, at, n int64) error {
	if n <= 0 {
		return nil
	}
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, n)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	_, err = io.Copy(io.NewOffsetWriter(f, at), io.LimitReader(zeros{}, n))
	return err
}

const capability = "security.capability" // extended attribute with a program's capabilities

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// punchLayer makes holes of zeros in the files of a layer, which stay the same for whoever reads them. Layers that ADD and commit make
// have them for the holes of what they were made of.
func punchLayer(store storage.Store, l *storage.Layer, zeros []unpack.Zeros) error {
	s, ok := store.(*confined)
	if !ok {
		return nil
	}
	rec, unlock, err := s.openRecord(l)
	if err != nil || rec == nil {
		return err
	}
	defer unlock()
	defer rec.close()
	if rec.foreign {
		return nil
	}
	for len(zeros) > 0 {
		n := 1
		for n < len(zeros) && zeros[n].Name == zeros[0].Name {
			n++
		}
		if err := rec.punch(zeros[:n]); err != nil {
			return fmt.Errorf("%q: %w", zeros[0].Name, err)
		}
		zeros = zeros[n:]
	}
	return nil
}

// punch makes holes in one file, if it is the one that was unpacked.
func (r *layerRecord) punch(zeros []unpack.Zeros) error {
	fd, st, err := r.find(strings.TrimPrefix(filepath.Clean("/"+zeros[0].Name), "/"), unix.RESOLVE_IN_ROOT)
	if missing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	// The layer is there for others, who are not to see a program without its privileges even for a moment.
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size != zeros[0].Size || st.Mode&(unix.S_ISUID|unix.S_ISGID) != 0 {
		return nil
	}
	return rewriting(fd, &st, func(file *os.File) error {
		if n, err := unix.Fgetxattr(int(file.Fd()), capability, nil); err == nil && n > 0 {
			return nil
		}
		for _, z := range zeros {
			// Another name may have led to the same file, and put something else there.
			if same, err := isZeros(file, z.Offset, z.Length); err != nil || !same {
				return err
			}
			err := unix.Fallocate(int(file.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, z.Offset, z.Length)
			if err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
				return err
			}
		}
		return nil
	})
}

func isZeros(f *os.File, at, n int64) (bool, error) {
	buf, zero := make([]byte, min(n, 1<<20)), make([]byte, min(n, 1<<20))
	for n > 0 {
		part := buf[:min(n, int64(len(buf)))]
		if _, err := f.ReadAt(part, at); err != nil {
			return false, err
		}
		if !bytes.Equal(part, zero[:len(part)]) {
			return false, nil
		}
		at, n = at+int64(len(part)), n-int64(len(part))
	}
	return true, nil
}

// rewriting opens the regular file that fd stands for, and keeps what a write changes: mode, capabilities and time.
func rewriting(fd int, st *unix.Stat_t, work func(*os.File) error) error {
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	capabilities := make([]byte, 64)
	n, err := unix.Fgetxattr(int(f.Fd()), capability, capabilities)
	if err != nil {
		n = 0
	}
	if err := work(f); err != nil {
		return err
	}
	if err := unix.Fchmod(int(f.Fd()), st.Mode&0o7777); err != nil {
		return err
	}
	if n > 0 {
		if err := unix.Fsetxattr(int(f.Fd()), capability, capabilities[:n], 0); err != nil {
			return err
		}
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, name, []unix.Timespec{st.Atim, st.Mtim}, 0)
}

// record writes a layer's record, and digests the archive that it makes.
type record struct {
	file   *os.File
	out    *bufio.Writer
	packer tarsplit.Packer
	sum    digest.Digester
	size   int64
}

func newRecord(dir string) (*record, error) {
	f, err := os.CreateTemp(dir, "record-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	r := &record{file: f, out: bufio.NewWriterSize(f, 1<<16), sum: digest.Canonical.Digester()}
	r.packer = tarsplit.NewJSONPacker(r.out)
	return r, nil
}

func (r *record) Write(p []byte) (int, error) {
	r.size += int64(len(p))
	return r.sum.Hash().Write(p)
}

func (r *record) segment(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	r.Write(b) // never fails: hash.Hash
	_, err := r.packer.AddEntry(tarsplit.Entry{Type: tarsplit.SegmentType, Payload: b})
	return err
}

// content copies the content of an entry, and notes that it is in the file.
func (r *record) content(w io.Writer, e *unpack.Entry) error {
	entry := tarsplit.Entry{Type: tarsplit.FileType, Size: e.Size}
	entry.SetName(e.Header.Name)
	if e.Size > 0 {
		sum := crc64.New(tarsplit.CRCTable)
		if _, err := io.Copy(io.MultiWriter(w, r, sum), e.Content); err != nil {
			return err
		}
		entry.Payload = sum.Sum(nil)
	}
	_, err := r.packer.AddEntry(entry)
	if err == nil && e.Size > 0 {
		_, err = w.Write(make([]byte, -e.Size&511))
	}
	return err
}

// pieces copies the pieces of a sparse file, and notes them as they are.
func (r *record) pieces(w io.Writer, e *unpack.Entry) error {
	entry := tarsplit.Entry{Type: tarsplit.FileType} // nothing is read of the file; but no other may have its name
	entry.SetName(e.Header.Name)
	if _, err := r.packer.AddEntry(entry); err != nil {
		return err
	}
	buf := make([]byte, 1<<20)
	for {
		n, err := io.ReadFull(e.Content, buf)
		if _, werr := w.Write(buf[:n]); werr != nil {
			return werr
		}
		if werr := r.segment(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *record) finish() (digest.Digest, int64, error) {
	return r.sum.Digest(), r.size, r.out.Flush()
}

func keys(m map[uint32]bool) []uint32 {
	k := make([]uint32, 0, len(m))
	for id := range m {
		k = append(k, id)
	}
	slices.Sort(k)
	return k
}
