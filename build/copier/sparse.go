// SPDX-License-Identifier: Apache-2.0

package copier

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const blockSize = 512

// wholeFiles reads what buildah writes of an archive that it unpacks. Of a file with holes in GNU's first format it writes the
// header's kind, but no map, and all of the content: that is an ordinary file.
type wholeFiles struct {
	in   io.Reader
	out  []byte // headers that were looked at
	left int64  // bytes of content and padding
	size int64  // of the next entry, as PAX records say; -1 if they do not
}

func newWholeFiles(r io.Reader) *wholeFiles { return &wholeFiles{in: r, size: -1} }

func (w *wholeFiles) Read(p []byte) (int, error) {
	if len(w.out) == 0 && w.left == 0 {
		if err := w.header(); err != nil {
			return 0, err
		}
	}
	if len(w.out) > 0 {
		n := copy(p, w.out)
		w.out = w.out[n:]
		return n, nil
	}
	n, err := w.in.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	return n, err
}

func (w *wholeFiles) header() error {
	b := make([]byte, blockSize)
	if _, err := io.ReadFull(w.in, b); err != nil {
		return err
	}
	w.out = b
	if len(bytes.Trim(b, "\x00")) == 0 {
		return nil
	}
	size, err := sizeField(b[124:136])
	if err != nil {
		return err
	}
	padded := (size + blockSize - 1) / blockSize * blockSize
	switch b[156] {
	case tar.TypeXHeader:
		if size > 4<<20 { // archive/tar writes no more
			return tar.ErrHeader
		}
		w.out = append(w.out, make([]byte, padded)...)
		if _, err := io.ReadFull(w.in, w.out[blockSize:]); err != nil {
			return err
		}
		w.size, err = sizeRecord(w.out[blockSize:][:size])
		return err
	case tar.TypeGNULongName, tar.TypeGNULongLink:
		w.left = padded
		return nil
	case tar.TypeGNUSparse:
		b[156] = tar.TypeReg
		copy(b[148:156], "        ")
		sum := 0
		for _, c := range b {
			sum += int(c)
		}
		copy(b[148:156], fmt.Sprintf("%06o\x00 ", sum))
	}
	if w.size >= 0 {
		padded = (w.size + blockSize - 1) / blockSize * blockSize
	}
	w.left, w.size = padded, -1
	return nil
}

func sizeField(b []byte) (int64, error) {
	if b[0] == 0x80 {
		return int64(binary.BigEndian.Uint64(b[4:]) & (1<<63 - 1)), nil
	}
	text := strings.Trim(string(b), " \x00")
	if text == "" {
		return 0, nil
	}
	return strconv.ParseInt(text, 8, 64)
}

// sizeRecord returns what PAX records say of the size, or -1.
func sizeRecord(records []byte) (int64, error) {
	for len(records) > 0 {
		digits, _, _ := bytes.Cut(records, []byte(" "))
		n, err := strconv.Atoi(string(digits))
		if err != nil || n <= len(digits) || n > len(records) {
			return -1, errors.New("damaged PAX records")
		}
		if value, ok := bytes.CutPrefix(records[len(digits)+1:n], []byte("size=")); ok {
			return strconv.ParseInt(strings.TrimSuffix(string(value), "\n"), 10, 64)
		}
		records = records[n:]
	}
	return -1, nil
}
