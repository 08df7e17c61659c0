// SPDX-License-Identifier: Apache-2.0

package transfer

import (
	"archive/tar"
	"bufio"
	"context"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Archive is a tar archive as a Source.
type Archive struct {
	r     *tar.Reader
	first *tar.Header
}

// NewArchive reads an archive that is not compressed. It returns an error for what is none.
func NewArchive(r io.Reader) (*Archive, error) {
	in := bufio.NewReader(r)
	if _, err := in.Peek(1); err != nil {
		return nil, err
	}
	a := &Archive{r: tar.NewReader(in)}
	var err error
	if a.first, err = a.r.Next(); err != nil && err != io.EOF {
		return nil, err
	}
	return a, nil
}

const xattrRecord = "SCHILY.xattr."

// Each implements Source.
func (a *Archive) Each(ctx context.Context, put func(*Entry) error) error {
	var err error
	for h := a.first; h != nil; h, err = a.r.Next() {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, ok := a.entry(h)
		if !ok {
			continue
		}
		if err := put(e); err != nil {
			return err
		}
	}
	if err != nil && err != io.EOF {
		return fmt.Errorf("read the archive: %w", err)
	}
	return nil
}

// entry is what a header says; ok is false for one that is no file.
func (a *Archive) entry(h *tar.Header) (e *Entry, ok bool) {
	e = &Entry{
		Name: clean(h.Name), Mode: uint32(h.Mode) & 0o7777, UID: uint32(h.Uid), GID: uint32(h.Gid), Size: h.Size,
		MTime: unix.NsecToTimespec(h.ModTime.UnixNano()), Device: unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor)),
	}
	for k, v := range h.PAXRecords {
		if name, is := strings.CutPrefix(k, xattrRecord); is && carried(name) {
			if e.Xattrs == nil {
				e.Xattrs = map[string]string{}
			}
			e.Xattrs[name] = v
		}
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeCont, tar.TypeGNUSparse:
		e.Mode |= unix.S_IFREG
		e.Content = a.r
	case tar.TypeLink:
		e.Mode |= unix.S_IFREG
		e.Link = clean(h.Linkname)
	case tar.TypeDir:
		e.Mode |= unix.S_IFDIR
	case tar.TypeSymlink:
		e.Mode |= unix.S_IFLNK
		e.Target = h.Linkname
	case tar.TypeChar:
		e.Mode |= unix.S_IFCHR
	case tar.TypeBlock:
		e.Mode |= unix.S_IFBLK
	case tar.TypeFifo:
		e.Mode |= unix.S_IFIFO
	default:
		return nil, false
	}
	return e, true
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// ArchiveWriter is a tar archive as a Sink.
type ArchiveWriter struct{ w *tar.Writer }

// NewArchiveWriter writes an archive to w.
func NewArchiveWriter(w io.Writer) *ArchiveWriter { return &ArchiveWriter{tar.NewWriter(w)} }

// Put implements Sink. The header is made here: archive/tar would ask the system's libraries for the names of users
// (CVE-2019-14271).
func (a *ArchiveWriter) Put(ctx context.Context, e *Entry) error {
	h := &tar.Header{
		Name: e.Name, Mode: int64(e.Mode & 0o7777), Uid: int(e.UID), Gid: int(e.GID), ModTime: time.Unix(e.MTime.Unix()), Format: tar.FormatPAX,
	}
	for name, value := range e.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords[xattrRecord+name] = value
	}
	switch {
	case e.Link != "":
		h.Typeflag, h.Linkname = tar.TypeLink, e.Link
	case e.is(unix.S_IFREG):
		h.Typeflag, h.Size = tar.TypeReg, e.Size
	case e.is(unix.S_IFDIR):
		h.Typeflag, h.Name = tar.TypeDir, e.Name+"/"
	case e.is(unix.S_IFLNK):
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.Target
	case e.is(unix.S_IFIFO):
		h.Typeflag = tar.TypeFifo
	default:
		h.Typeflag = tar.TypeBlock
		if e.is(unix.S_IFCHR) {
			h.Typeflag = tar.TypeChar
		}
		h.Devmajor, h.Devminor = int64(unix.Major(e.Device)), int64(unix.Minor(e.Device))
	}
	if err := a.w.WriteHeader(h); err != nil {
		return fmt.Errorf("archive %q: %w", e.Name, err)
	}
	if h.Size == 0 || e.Content == nil {
		return nil
	}
	n, err := io.Copy(a.w, io.LimitReader(withContext{ctx, e.Content}, h.Size))
	if err == nil && n < h.Size { // it has become shorter: the archive has said how long it is
		_, err = io.CopyN(a.w, zeros{}, h.Size-n)
	}
	if err != nil {
		return fmt.Errorf("archive %q: %w", e.Name, err)
	}
	return nil
}

// Close ends the archive.
func (a *ArchiveWriter) Close() error { return a.w.Close() }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
