// SPDX-License-Identifier: Apache-2.0

package unpack

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
)

const blockSize = 512

// Reader reads a plain tar archive as it is, and stops with an error before the header of an entry that goes beyond a limit.
// It keeps nothing of the archive but the headers of one entry.
type Reader struct {
	o    Options
	in   io.Reader
	out  []byte // headers that were looked at, and have not been read yet
	buf  []byte // where out is, for the next entry
	left int64  // bytes of the current entry's content and padding

	current *headers
	ahead   bool // the first headers have been read by IsArchive
	zeros   zeroRun
	end     bool // of the archive: what follows is padding
	err     error
	why     error // err, if it is the Reader's own

	read    int64 // bytes of the archive
	holes   int64 // bytes that the archive does not have, and unpacking would write
	entries int64
	names   int64  // bytes of names
	walks   int64  // files that opaque markers have looked at
	dirs    int64  // bytes of headers of directories
	maps    int64  // bytes of headers of files with holes
	name    string // of the current one
	checked int64  // read, when room was last looked at
	after   int64  // bytes behind the end of the archive
	warned  bool
}

// NewReader returns a Reader of a tar archive that is not packed.
func NewReader(r io.Reader, o Options) *Reader { return &Reader{in: r, o: o} }

// Err returns the error for which the Reader stopped, if it did so before the archive was over or could not be read.
func (r *Reader) Err() error { return r.why }

// Size is how much what was read unpacks to.
func (r *Reader) Size() int64 { return r.read + r.holes }

// Entries is how many entries were read.
func (r *Reader) Entries() int64 { return r.entries }

// Read reads the archive.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(r.out) == 0 && r.left == 0 && !r.end && r.err == nil {
		if r.err = r.next(); r.err != io.EOF {
			r.why = r.err
		}
	}
	if len(r.out) > 0 { // what was read before an error is part of the archive as well
		n := copy(p, r.out)
		r.out = r.out[n:]
		return n, nil
	}
	if r.err != nil {
		return 0, r.err
	}
	if !r.end && int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.in.Read(p)
	r.read += int64(n)
	if !r.end {
		r.lookForZeros(p[:n])
		r.left -= int64(n)
	} else if r.after += int64(n); r.after > maxAfter {
		r.why = r.o.refuse("", "more than %s follow the end of the archive", size(maxAfter))
		r.err = r.why
		return 0, r.err
	}
	if err == io.EOF && r.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = r.progress()
		r.why = err
	}
	r.err = err
	if n > 0 {
		return n, nil
	}
	return 0, err
}

// lookForZeros looks at a part of what is left of the current entry.
func (r *Reader) lookForZeros(p []byte) {
	if r.o.Zeros == nil || r.zeros.file.Size < minHole || r.zeros.at == r.zeros.file.Size {
		return
	}
	r.zeros.see(p[:min(int64(len(p)), r.zeros.file.Size-r.zeros.at)], r.o.Zeros)
	if r.zeros.at == r.zeros.file.Size {
		r.zeros.end(r.o.Zeros)
	}
}

// progress looks at limits that can be reached in the middle of an entry.
func (r *Reader) progress() error {
	if r.o.Size > 0 && r.o.Before+r.Size() > r.o.Size {
		return r.tooLarge(r.Size())
	}
	if r.read-r.checked < 1<<20 {
		return nil
	}
	r.checked = r.read
	if err := r.o.room(r.entry(), 0); err != nil {
		return err
	}
	if r.o.Packed == nil || r.o.Ratio == 0 || r.read < warnFrom {
		return nil
	}
	ratio := r.read / max(r.o.Packed(), 1)
	switch {
	case ratio > r.o.Ratio && r.read >= stopFrom:
		return r.o.refuse(RatioVar, "%s so far are %d times what is packed, and more than %d times is not taken", size(r.read), ratio, r.o.Ratio)
	case ratio > warnRatio && !r.warned && r.o.Warn != nil:
		r.warned = true
		r.o.Warn(fmt.Sprintf("%s unpacks to %d times its size, %s so far", r.o.What, ratio, size(r.read)))
	}
	return nil
}

func (r *Reader) tooLarge(n int64) error {
	before := ""
	if r.o.Before > 0 {
		before = fmt.Sprintf(" after %s of the layers below", size(r.o.Before))
	}
	return r.o.refuse(SizeVar, "%s would make it %s%s, and more than %s is not taken", r.entry(), size(n), before, size(r.o.Size))
}

func (r *Reader) tooMany() error {
	before := ""
	if r.o.FilesBefore > 0 {
		before = fmt.Sprintf(", with %d in the layers below", r.o.FilesBefore)
	}
	return r.o.refuse(FilesVar, "there are more than %d files in it%s", r.o.Files, before)
}

func (r *Reader) damaged(err error) error {
	if errors.Is(err, ErrRefused) {
		return err
	}
	return fmt.Errorf("%s: not a tar archive, or damaged after %d bytes: %w", r.o.What, r.read, err)
}

// next reads the headers of an entry and what follows them up to its content, and decides whether it is taken.
func (r *Reader) next() error {
	r.buf = r.buf[:0]
	h := &headers{r: r}
	kind, err := h.read()
	if err != nil {
		return err
	}
	if kind == 0 {
		r.end = true
		r.out = r.buf
		return nil
	}
	if r.entries++; r.o.Files > 0 && r.o.FilesBefore+r.entries > r.o.Files {
		return r.tooMany()
	}
	if err := r.take(h); err != nil {
		return err
	}
	r.out = r.buf
	return nil
}

// block reads a block behind what is in buf.
func (r *Reader) block() ([]byte, error) {
	at := len(r.buf)
	if at+blockSize > maxHeaders {
		return nil, r.o.refuse("", "the headers of entry %d, after %s, have more than %s", r.entries+1, r.entry(), size(maxHeaders))
	}
	r.buf = append(r.buf, make([]byte, blockSize)...)
	n, err := io.ReadFull(r.in, r.buf[at:])
	r.read += int64(n)
	r.buf = r.buf[:at+n]
	if err != nil {
		return nil, err
	}
	return r.buf[at:], nil
}

// take decides whether an entry is taken.
func (r *Reader) take(h *headers) error {
	hdr := h.header
	r.name, r.current, r.zeros = hdr.Name, h, zeroRun{}
	if hdr.Typeflag == tar.TypeReg && !h.sparse {
		r.zeros.file = Zeros{Name: hdr.Name, Size: hdr.Size}
	}
	if len(hdr.Name) > 4096 || len(hdr.Linkname) > 4096 {
		return r.o.refuse("", "%s has a name of more than 4096 bytes, which no file can have", r.entry())
	}
	if r.names += int64(len(hdr.Name)); r.names > maxNames {
		return r.o.refuse("", "the names of its files have more than %s", size(maxNames))
	}
	if path.Base(hdr.Name) == ".wh..wh..opq" {
		if r.walks += r.entries; r.walks > maxWalks {
			return r.o.refuse("", "its markers of opaque directories would take longer than they are worth")
		}
	}
	if hdr.Typeflag == tar.TypeDir {
		if r.dirs += int64(len(r.buf)); r.dirs > maxDirs {
			return r.o.refuse("", "the headers of its directories have more than %s", size(maxDirs))
		}
	}
	if h.hasMap {
		if r.maps += int64(len(r.buf)); r.maps > maxMaps {
			return r.o.refuse("", "the headers of its files with holes have more than %s", size(maxMaps))
		}
	}
	r.left = h.content + padding(h.content) - h.mapped
	hole := max(hdr.Size-h.content, 0)
	if h.sparse && hdr.Size > 0 {
		r.holes += hole
	}
	if n := r.Size() + r.left; r.o.Size > 0 && (n < 0 || r.o.Before+n > r.o.Size) {
		return r.tooLarge(max(n, hdr.Size))
	}
	need := h.content
	if h.sparse && !r.o.KeepHoles {
		need = hdr.Size
	}
	if need >= 1<<20 || r.entries%1024 == 0 {
		if err := r.o.room(r.entry(), need); err != nil {
			return err
		}
	}
	if r.o.StopAtSparse && h.hasMap {
		return ErrSparse
	}
	return nil
}

// entry is what the current entry is called in errors.
func (r *Reader) entry() string {
	name := path.Clean(r.name)
	if len(name) > 256 {
		name = name[:100] + "..." + name[len(name)-100:]
	}
	return strconv.Quote(name)
}

func padding(n int64) int64 { return -n & (blockSize - 1) }

// headers are those of one entry.
type headers struct {
	r       *Reader
	header  *tar.Header
	content int64 // bytes of content in the archive, without padding
	mapped  int64 // how many of these, blocks of a map of holes, are among the headers
	sparse  bool

	last   int // where the last header is in what was read
	hasMap bool
	pieces []Piece
}

// read reads blocks up to the content of an entry, and returns its kind; 0 is the end of the archive.
func (h *headers) read() (kind byte, err error) {
	for {
		b, err := h.r.block()
		if err == io.EOF {
			return 0, h.atEnd()
		}
		if err != nil {
			return 0, h.r.damaged(err)
		}
		if isZero(b) {
			// archive/tar takes two blocks of zeros for the end, and nothing else that begins with one.
			b, err := h.r.block()
			if err == nil && !isZero(b) {
				err = tar.ErrHeader
			}
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				return 0, nil
			}
			if err != nil {
				return 0, h.r.damaged(err)
			}
			return 0, nil
		}
		kind, h.last = b[156], len(h.r.buf)-blockSize
		n, err := number(b[124:136])
		if err != nil {
			return 0, h.r.damaged(err)
		}
		switch kind {
		case tar.TypeXHeader, tar.TypeXGlobalHeader, tar.TypeGNULongName, tar.TypeGNULongLink:
			if n > maxHeaders {
				return 0, h.r.o.refuse("", "the headers of entry %d, after %s, have more than %s", h.r.entries+1, h.r.entry(), size(maxHeaders))
			}
			for ; n > 0; n -= blockSize {
				if _, err := h.r.block(); err != nil {
					return 0, h.r.damaged(err)
				}
			}
			if kind != tar.TypeXGlobalHeader {
				continue
			}
			n = 0 // archive/tar returns it as an entry
		case tar.TypeGNUSparse:
			h.sparse = true
			for more := b[482]; more != 0; {
				b, err := h.r.block()
				if err != nil {
					return 0, h.r.damaged(err)
				}
				more = b[504]
			}
		}
		return kind, h.parse(n)
	}
}

// atEnd is for an archive that ends without blocks of zeros, which is allowed between entries only.
func (h *headers) atEnd() error {
	if len(h.r.buf) > 0 {
		return h.r.damaged(io.ErrUnexpectedEOF)
	}
	return io.EOF
}

// parse has archive/tar read the headers, so that they mean here what they mean to who unpacks. n is the size in the last.
func (h *headers) parse(n int64) error {
	var err error
	h.header, err = tar.NewReader(bytes.NewReader(h.r.buf)).Next()
	if errors.Is(err, io.ErrUnexpectedEOF) { // a map of holes is where the content begins: PAX, version 1.0
		if h.mapped, err = h.holeMap(); err == nil {
			h.header, err = tar.NewReader(bytes.NewReader(h.r.buf)).Next()
		}
		h.sparse = true
	}
	if err != nil {
		return h.r.damaged(err)
	}
	h.content = n
	if v := h.header.PAXRecords["size"]; v != "" {
		if h.content, err = strconv.ParseInt(v, 10, 64); err != nil {
			return h.r.damaged(err)
		}
	}
	switch h.header.Typeflag {
	case tar.TypeLink, tar.TypeSymlink, tar.TypeChar, tar.TypeBlock, tar.TypeDir, tar.TypeFifo, tar.TypeXGlobalHeader:
		h.content = 0
		return nil
	}
	for key := range h.header.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			h.sparse = true
		}
	}
	if h.content < h.mapped || h.header.Size < 0 {
		return h.r.damaged(tar.ErrHeader)
	}
	if err := h.readMap(); err != nil {
		return h.r.damaged(err)
	}
	return nil
}

// holeMap reads blocks with a map of holes: a number of pairs, and the pairs, a number a line.
func (h *headers) holeMap() (n int64, err error) {
	want, lines, first := int64(1), int64(0), []byte{}
	for lines < want {
		b, err := h.r.block()
		if err != nil {
			return 0, err
		}
		n += blockSize
		if want == 1 {
			first = append(first, b...)
			line, _, found := bytes.Cut(first, []byte("\n"))
			if found {
				pairs, err := strconv.ParseInt(string(line), 10, 32)
				if err != nil || pairs < 0 {
					return 0, tar.ErrHeader
				}
				want = 1 + 2*pairs
			}
		}
		lines += int64(bytes.Count(b, []byte("\n")))
	}
	return n, nil
}

// number reads a number of a header as archive/tar does: octal digits or, with the first bit set, bytes.
func number(b []byte) (int64, error) {
	if b[0]&0x80 == 0 {
		s := strings.Trim(string(b), " \x00")
		s, _, _ = strings.Cut(s, "\x00")
		if s == "" {
			return 0, nil
		}
		n, err := strconv.ParseUint(s, 8, 63)
		if err != nil {
			return 0, tar.ErrHeader
		}
		return int64(n), nil
	}
	if b[0]&0x40 != 0 { // below zero
		return 0, tar.ErrHeader
	}
	var n uint64
	for i, c := range b {
		if i == 0 {
			c &= 0x7f
		}
		if n>>55 != 0 {
			return 0, tar.ErrHeader
		}
		n = n<<8 | uint64(c)
	}
	return int64(n), nil
}

func isZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
