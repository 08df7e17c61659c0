// SPDX-License-Identifier: Apache-2.0

package unpack

import (
	"archive/tar"
	"bytes"
	"cmp"
	"errors"
	"io"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrSparse is what a Reader stops with before the first file with holes, if Options.StopAtSparse is set.
var ErrSparse = errors.New("a file with holes")

// Piece is a piece of a file that is no hole.
type Piece struct{ Offset, Length int64 }

// Entry is an entry of an archive.
type Entry struct {
	Header  *tar.Header
	Raw     []byte  // the headers as they came; with a map of holes that is where the content begins. Valid until the next entry
	Size    int64   // of Content
	Sparse  bool    // Content is the Pieces, one behind the other, of a file of Header.Size
	Pieces  []Piece // none of them empty, in order
	Content io.Reader
}

// IsArchive tells, before anything else is read, whether it begins as a tar archive does; one that is refused is an archive.
func (r *Reader) IsArchive() bool {
	if r.err = r.next(); r.err != io.EOF {
		r.why = r.err
	}
	r.ahead = true
	return r.err == nil || errors.Is(r.err, ErrRefused) || errors.Is(r.err, unix.ENOSPC)
}

// Each calls do for each entry of an archive, and pad for what is between contents and headers, and behind the last entry.
func (r *Reader) Each(do func(*Entry) error, pad func([]byte) error) error {
	buf := make([]byte, 1<<20)
	for {
		err := r.err
		if !r.ahead {
			err = r.next()
		}
		r.ahead = false
		if err != nil {
			if err == io.EOF {
				return nil
			}
			r.why = err
			return err
		}
		raw := r.out
		r.out = nil
		if r.end {
			if err := pad(raw); err != nil {
				return err
			}
			break
		}
		h := r.current
		e := &Entry{Header: h.header, Raw: raw, Size: h.content - h.mapped, Sparse: h.hasMap, Pieces: h.pieces}
		e.Content = io.LimitReader(r, e.Size)
		if err := do(e); err != nil {
			return cmp.Or(r.why, err)
		}
		if _, err := io.Copy(io.Discard, e.Content); err != nil {
			return err
		}
		if r.left > 0 {
			n, err := io.ReadFull(r, buf[:r.left])
			if err != nil {
				return err
			}
			if err := pad(buf[:n]); err != nil {
				return err
			}
		}
	}
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if err := pad(buf[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// WriteWhole writes an archive of the same entries in which files with holes are ordinary ones: for who unpacks no others.
func (r *Reader) WriteWhole(w io.Writer) error {
	nothing := func([]byte) error { return nil }
	return r.Each(func(e *Entry) error {
		size := e.Size
		if e.Sparse {
			hdr := *e.Header
			hdr.Typeflag, hdr.Format, size = tar.TypeReg, tar.FormatPAX, hdr.Size
			if err := tar.NewWriter(w).WriteHeader(&hdr); err != nil {
				return err
			}
		} else if _, err := w.Write(e.Raw); err != nil {
			return err
		}
		pieces := e.Pieces
		if !e.Sparse {
			pieces = []Piece{{0, e.Size}}
		}
		at := int64(0)
		for _, p := range append(pieces, Piece{Offset: size}) {
			for at < p.Offset {
				n, err := w.Write(zeroBlock[:min(p.Offset-at, holeBlock)])
				if err != nil {
					return err
				}
				at += int64(n)
			}
			n, err := io.CopyN(w, e.Content, p.Length)
			if err != nil {
				return err
			}
			at += n
		}
		_, err := w.Write(zeroBlock[:padding(size)])
		return err
	}, nothing)
}

// readMap reads the map of a sparse file, which archive/tar has found to be in order and within the file. It does not give it away.
func (h *headers) readMap() error {
	var numbers []int64
	var err error
	records := h.header.PAXRecords
	version := records["GNU.sparse.major"] + "." + records["GNU.sparse.minor"]
	switch {
	case h.header.Typeflag == tar.TypeGNUSparse:
		h.hasMap = true
		numbers, err = h.oldMap()
	case version == "1.0":
		h.hasMap = true
		lines := strings.Split(string(h.r.buf[len(h.r.buf)-int(h.mapped):]), "\n")
		n, perr := strconv.Atoi(lines[0])
		if perr != nil || n < 0 || n > len(lines)/2 {
			return tar.ErrHeader
		}
		numbers, err = decimals(lines[1 : 1+2*n])
	case version == "0.0", version == "0.1", version == "." && records["GNU.sparse.map"] != "":
		h.hasMap = true
		if m := records["GNU.sparse.map"]; m != "" {
			numbers, err = decimals(strings.Split(m, ","))
		}
	}
	if err != nil || !h.hasMap {
		return err
	}
	if len(numbers)%2 != 0 {
		return tar.ErrHeader
	}
	sum, end := int64(0), int64(0)
	for i := 0; i < len(numbers); i += 2 {
		p := Piece{numbers[i], numbers[i+1]}
		if p.Offset < end || p.Length < 0 || p.Offset+p.Length < p.Offset || p.Offset+p.Length > h.header.Size {
			return tar.ErrHeader
		}
		end = p.Offset + p.Length
		sum += p.Length
		if p.Length > 0 {
			h.pieces = append(h.pieces, p)
		}
	}
	if sum != h.content-h.mapped {
		return errors.New("a file with holes has other data than its map says")
	}
	return nil
}

// oldMap reads the map of GNU's first format: four pairs in the header, then blocks of 21.
func (h *headers) oldMap() (numbers []int64, err error) {
	b := h.r.buf[h.last:]
	for at, n := 386, 4; len(b) > 0; at, n = 0, 21 {
		for i := range n {
			offset, length := b[at+24*i:][:12], b[at+24*i+12:][:12]
			if offset[0] == 0 {
				break
			}
			for _, field := range [][]byte{offset, length} {
				v, err := number(field)
				if err != nil {
					return nil, err
				}
				numbers = append(numbers, v)
			}
		}
		b = b[blockSize:]
	}
	return numbers, nil
}

func decimals(text []string) ([]int64, error) {
	numbers := make([]int64, len(text))
	for i, s := range text {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return nil, tar.ErrHeader
		}
		numbers[i] = n
	}
	return numbers, nil
}

// Zeros are a part of an ordinary file that might be a hole.
type Zeros struct {
	Name   string // of the file
	Size   int64  // of the file
	Offset int64
	Length int64
}

const (
	holeBlock = 4096
	// minHole is from where on zeros are worth it.
	minHole = 64 << 10
)

var zeroBlock [holeBlock]byte

// zeroRun looks for zeros in the content of a file as it is read.
type zeroRun struct {
	file       Zeros
	at, begins int64
}

// see looks at what comes next.
func (z *zeroRun) see(p []byte, found func(Zeros)) {
	for len(p) > 0 {
		n := min(len(p), holeBlock-int(z.at%holeBlock))
		if !bytes.Equal(p[:n], zeroBlock[:n]) {
			z.end(found)
			z.begins = z.at + int64(n)
		}
		z.at += int64(n)
		p = p[n:]
	}
}

func (z *zeroRun) end(found func(Zeros)) {
	from := (z.begins + holeBlock - 1) / holeBlock * holeBlock
	to := z.at
	if to < z.file.Size {
		to = to / holeBlock * holeBlock
	}
	if to-from >= minHole {
		z.file.Offset, z.file.Length = from, to-from
		found(z.file)
	}
	z.begins = z.at
}
