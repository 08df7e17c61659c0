// SPDX-License-Identifier: Apache-2.0

package unpack

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/berth-containers/berth/internal/hint"
	"golang.org/x/sys/unix"
)

// block makes a header by hand: archive/tar writes no lies.
func block(name string, size int64, kind byte) []byte {
	b := make([]byte, blockSize)
	copy(b, name)
	copy(b[100:], "0000644\x000000000\x000000000\x00")
	b[124] = 0x80
	for i := range 8 {
		b[128+i] = byte(size >> (56 - 8*i))
	}
	copy(b[136:], "00000000000\x00")
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	return sum(b)
}

func sum(b []byte) []byte {
	copy(b[148:], "        ")
	n := 0
	for _, c := range b {
		n += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", n))
	return b
}

func pad(b []byte) []byte { return append(b, make([]byte, padding(int64(len(b))))...) }

func pax(records ...string) []byte {
	var body []byte
	for _, r := range records {
		n := len(r) + 2
		for len(fmt.Sprint(n))+len(r)+2 != n {
			n = len(fmt.Sprint(n)) + len(r) + 2
		}
		body = fmt.Appendf(body, "%d %s\n", n, r)
	}
	return append(block("x", int64(len(body)), tar.TypeXHeader), pad(body)...)
}

// sparse are archives of one file, big, with data in its last block, in each of the formats.
func sparse(size int64) map[string][]byte {
	data, end := make([]byte, blockSize), make([]byte, 2*blockSize)
	at := size - blockSize
	holeMap := pad(fmt.Appendf(nil, "1\n%d\n512\n", at))
	old := block("big", blockSize, tar.TypeGNUSparse)
	copy(old[257:], "ustar  \x00")
	for i, n := range map[int]int64{386: at, 398: blockSize, 483: size} {
		old[i] = 0x80
		for j := range 8 {
			old[i+4+j] = byte(n >> (56 - 8*j))
		}
	}
	return map[string][]byte{
		"PAX 0.0": bytes.Join([][]byte{pax(fmt.Sprint("GNU.sparse.size=", size), "GNU.sparse.numblocks=1", fmt.Sprint("GNU.sparse.offset=", at), "GNU.sparse.numbytes=512"),
			block("big", blockSize, '0'), data, end}, nil),
		"PAX 0.1": bytes.Join([][]byte{pax("GNU.sparse.name=big", fmt.Sprint("GNU.sparse.size=", size), "GNU.sparse.numblocks=1", fmt.Sprintf("GNU.sparse.map=%d,512", at)),
			block("x", blockSize, '0'), data, end}, nil),
		"PAX 1.0": bytes.Join([][]byte{pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=big", fmt.Sprint("GNU.sparse.realsize=", size)),
			block("x", int64(len(holeMap))+blockSize, '0'), holeMap, data, end}, nil),
		"GNU": bytes.Join([][]byte{sum(old), data, end}, nil),
	}
}

func TestHugeEntries(t *testing.T) {
	archives := sparse(8 << 40)
	archives["a size without data"] = block("big", 8<<40, '0')
	archives["a size in PAX records"] = append(pax(fmt.Sprint("size=", 8<<40)), block("big", 0, '0')...)
	for name, archive := range archives {
		t.Run(name, func(t *testing.T) {
			for _, o := range []Options{{What: "layer x", Limits: Limits{Size: 1 << 40}}, {What: "layer x", Dir: t.TempDir()}} {
				r := NewReader(bytes.NewReader(archive), o)
				_, err := io.Copy(io.Discard, r)
				want := ErrRefused
				if o.Dir != "" {
					want = unix.ENOSPC
				}
				if !errors.Is(err, want) || r.Err() == nil || !strings.Contains(err.Error(), `layer x`) || !strings.Contains(err.Error(), `"big"`) || !strings.Contains(err.Error(), "8 TiB") {
					t.Errorf("%+v: %v", o, err)
				}
			}
		})
	}
}

func TestLimits(t *testing.T) {
	file := bytes.Join([][]byte{block("a", 1000, '0'), make([]byte, 1024)}, nil)
	many := bytes.Repeat(file, 100)
	var headers []byte
	for range 5 {
		headers = append(headers, pax("comment="+strings.Repeat("x", 1<<19))...)
	}
	for _, c := range []struct {
		name    string
		archive []byte
		o       Options
		wrong   string
	}{
		{"below", many, Options{Limits: Limits{Size: 200000}}, ""},
		{"all together", many, Options{Limits: Limits{Size: 100000}}, "more than 97.66 KiB is not taken"},
		{"with the layers below", many, Options{Limits: Limits{Size: 200000}, Before: 100000}, "after 97.66 KiB of the layers below"},
		{"padding behind the end", append(bytes.Clone(file), make([]byte, 200000)...), Options{Limits: Limits{Size: 100000}}, "is not taken"},
		{"headers", append(headers, file...), Options{}, "the headers of entry 1"},
		{"a header that says it is huge", block("x", 1<<40, tar.TypeXHeader), Options{}, "the headers of entry 1"},
		{"a name", append(pax("path="+strings.Repeat("d/", 3000)), block("x", 0, '0')...), Options{}, "more than 4096 bytes"},
		{"no archive", []byte(strings.Repeat("text", 500)), Options{}, "not a tar archive"},
		{"cut short", file[:1000], Options{}, "unexpected EOF"},
		{"a size below zero", sum(append(bytes.Clone(block("a", 0, '0')[:124]), append([]byte{0xff}, block("a", 0, '0')[125:]...)...)), Options{}, "not a tar archive"},
	} {
		var out bytes.Buffer
		_, err := io.Copy(&out, NewReader(bytes.NewReader(c.archive), c.o))
		switch {
		case c.wrong == "" && (err != nil || !bytes.Equal(out.Bytes(), c.archive)):
			t.Errorf("%s: %v", c.name, err)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// zeros is a file of so many zeros in an archive.
func zeros(n int64) io.Reader {
	return io.MultiReader(bytes.NewReader(block("z", n, '0')), io.LimitReader(zeroReader{}, n))
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestRatio(t *testing.T) {
	for _, c := range []struct {
		size, packed  int64
		warned, wrong bool
	}{
		{1 << 29, 100, false, false}, // small
		{2 << 30, 1 << 20, true, false},
		{5 << 30, 1 << 20, true, true},
		{5 << 30, 1 << 27, false, false},
	} {
		warned := false
		r := NewReader(zeros(c.size), Options{What: "layer x", Limits: Limits{Ratio: 500}, Packed: func() int64 { return c.packed }, Warn: func(string) { warned = true }})
		_, err := io.Copy(io.Discard, r)
		if errors.Is(err, ErrRefused) != c.wrong || (err != nil) != c.wrong || warned != c.warned {
			t.Errorf("%d bytes of %d: warned %v, %v", c.size, c.packed, warned, err)
		}
	}
}

// Reading takes as much memory for a million entries as for one.
func TestMemory(t *testing.T) {
	entry := append(pax("SCHILY.xattr.user.x="+strings.Repeat("x", 1000)), block("f", 0, '0')...)
	n := 0
	r := NewReader(readerFunc(func(p []byte) (int, error) {
		if n += len(p); n > 1<<30 {
			return 0, io.EOF
		}
		for i := range p {
			p[i] = entry[(n-len(p)+i)%len(entry)]
		}
		return len(p), nil
	}), Options{})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	if _, err := io.CopyN(io.Discard, r, 100<<20); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("%d bytes are kept", grown)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// FuzzReader compares with archive/tar: what passes has no more content than the limit, for that as well, and is the same bytes.
func FuzzReader(f *testing.F) {
	for _, a := range sparse(4096) {
		f.Add(a)
	}
	f.Add(append(block("g", 0, 'g'), block("d/", 512, 0)...))
	f.Add(bytes.Join([][]byte{block("long", 5, 'L'), pad([]byte("abcd")), block("x", 3, '0'), pad([]byte("abc")), make([]byte, 1024)}, nil))
	f.Fuzz(func(t *testing.T, archive []byte) {
		const limit = 1 << 20
		var out bytes.Buffer
		if _, err := io.Copy(&out, NewReader(bytes.NewReader(archive), Options{Limits: Limits{Size: limit}})); err != nil {
			return
		}
		if !bytes.Equal(out.Bytes(), archive) {
			t.Fatal("other bytes")
		}
		sameEntries(t, archive)
		total := int64(0)
		for tr := tar.NewReader(&out); ; {
			h, err := tr.Next()
			if err != nil {
				break
			}
			n, _ := io.Copy(io.Discard, io.LimitReader(tr, limit+1))
			if total += n; total > limit {
				t.Fatalf("%q makes it more than %d", h.Name, limit)
			}
		}
	})
}

// sameEntries reports whether Each gives all of the archive, and of each file what archive/tar gives.
func sameEntries(t *testing.T, archive []byte) {
	t.Helper()
	const limit = 1 << 20
	var all bytes.Buffer
	tr := tar.NewReader(bytes.NewReader(archive))
	stopped := false
	err := NewReader(bytes.NewReader(archive), Options{Limits: Limits{Size: limit}}).Each(func(e *Entry) error {
		all.Write(e.Raw)
		content, err := io.ReadAll(e.Content)
		all.Write(content)
		if err != nil || stopped {
			return err
		}
		if int64(len(content)) != e.Size {
			t.Fatalf("%q has %d bytes, not %d", e.Header.Name, len(content), e.Size)
		}
		if e.Sparse {
			text := make([]byte, e.Header.Size)
			for _, p := range e.Pieces {
				copy(text[p.Offset:], content[:p.Length])
				content = content[p.Length:]
			}
			content = text
		}
		h, err := tr.Next()
		if err != nil {
			stopped = true // it reads further than what was asked for
			return nil
		}
		want, err := io.ReadAll(io.LimitReader(tr, limit+1))
		if err != nil {
			stopped = true
			return nil
		}
		if h.Name != e.Header.Name || !bytes.Equal(content, want) {
			t.Fatalf("%q has %q, and %q has %q", e.Header.Name, content, h.Name, want)
		}
		return nil
	}, func(b []byte) error {
		all.Write(b)
		return nil
	})
	if err == nil && !bytes.Equal(all.Bytes(), archive) {
		t.Fatal("Each gives another archive")
	}
}

// The maps of many files with holes are more than can be kept.
func TestMaps(t *testing.T) {
	entry := append(pax("GNU.sparse.size=0", "GNU.sparse.numblocks=1", "GNU.sparse.map=0,"+strings.Repeat("0", 800000)), block("x", 0, '0')...)
	n := 0
	r := NewReader(readerFunc(func(p []byte) (int, error) {
		m := copy(p, entry[n%len(entry):])
		n += m
		return m, nil
	}), Options{})
	_, err := io.CopyN(io.Discard, r, 1<<30)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the headers of its files with holes") || n > 200<<20 {
		t.Errorf("after %d bytes: %v", n, err)
	}
}

// Entries are counted, and so is what is kept of each in memory.
func TestManyEntries(t *testing.T) {
	endless := func(entry []byte, o Options) (read int, err error) {
		r := NewReader(readerFunc(func(p []byte) (int, error) {
			m := copy(p, entry[read%len(entry):])
			read += m
			return m, nil
		}), o)
		_, err = io.CopyN(io.Discard, r, 4<<30)
		return read, err
	}
	n, err := endless(block("x", 0, '0'), Options{Limits: Limits{Files: 3000}, FilesBefore: 1000})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "more than 3000 files in it, with 1000 in the layers below") || n > 2001*blockSize {
		t.Errorf("after %d bytes: %v", n, err)
	}
	n, err = endless(block(".wh..wh..opq", 0, '0'), Options{})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "markers of opaque directories") || n > 50000*blockSize {
		t.Errorf("after %d bytes: %v", n, err)
	}
	long := append(block("long", 4001, 'L'), pad([]byte(strings.Repeat("x", 4000)+"\x00"))...)
	n, err = endless(append(long, block("x", 0, '0')...), Options{})
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the names of its files") {
		t.Errorf("after %d bytes: %v", n, err)
	}
}

func TestCheckTree(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 1000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for limits, want := range map[Limits]string{{}: "", {Size: 3000, Files: 4}: "", {Size: 2999}: SizeVar, {Files: 3}: FilesVar} {
		err := (&Options{Limits: limits, Dir: dir}).CheckTree()
		var h *hint.Error
		if got := errors.As(err, &h) && strings.Contains(h.Hint.String(), want); (want != "") != got {
			t.Errorf("%+v: %v; want %q", limits, err, want)
		}
	}
}

func TestZeros(t *testing.T) {
	file := make([]byte, 1<<20)
	for _, at := range []int{0, 300000, 300001, 700000} {
		file[at] = 1
	}
	archive := bytes.Join([][]byte{block("f", int64(len(file))-100, '0'), pad(file[:len(file)-100]), block("g", 100000, '0'), pad(make([]byte, 100000)), make([]byte, 1024)}, nil)
	var got []Zeros
	r := NewReader(bytes.NewReader(archive), Options{Zeros: func(z Zeros) { got = append(got, z) }})
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r}, make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	end := int64(len(file)) - 100
	want := []Zeros{{"f", end, 4096, 299008 - 4096}, {"f", end, 303104, 696320 - 303104 + 0}, {"f", end, 700416, end - 700416}, {"g", 100000, 0, 100000}}
	if !slices.Equal(got, want) {
		t.Errorf("zeros %v, not %v", got, want)
	}
}

func TestWriteWhole(t *testing.T) {
	for name, archive := range sparse(1 << 20) {
		var out bytes.Buffer
		before := append(block("before", 3, '0'), pad([]byte("abc"))...)
		if err := NewReader(bytes.NewReader(append(before, archive...)), Options{}).WriteWhole(&out); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tr, was := tar.NewReader(&out), tar.NewReader(bytes.NewReader(append(before, archive...)))
		for {
			h, err := tr.Next()
			w, werr := was.Next()
			if err != werr {
				t.Fatalf("%s: %v, not %v", name, err, werr)
			}
			if err != nil {
				break
			}
			got, err := io.ReadAll(tr)
			want, werr := io.ReadAll(was)
			if h.Name != w.Name || h.Typeflag != tar.TypeReg || err != nil || werr != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %q of kind %c has %d bytes, %v", name, h.Name, h.Typeflag, len(got), err)
			}
		}
	}
}

func TestCopySparse(t *testing.T) {
	for _, text := range []string{"", "x", strings.Repeat("\x00", 5<<20), strings.Repeat("\x00", 3<<20) + "x" + strings.Repeat("\x00", 100)} {
		f, err := os.Create(filepath.Join(t.TempDir(), "f"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		n, err := CopySparse(f, iotest.OneByteReader(strings.NewReader(text)))
		got, rerr := os.ReadFile(f.Name())
		if err != nil || rerr != nil || n != int64(len(text)) || string(got) != text {
			t.Errorf("%d bytes of %d, %v, %v", n, len(text), err, rerr)
		}
		var st unix.Stat_t
		if err := unix.Stat(f.Name(), &st); err != nil || st.Blocks > 3000 {
			t.Errorf("%d blocks, %v", st.Blocks, err)
		}
		broken := io.MultiReader(strings.NewReader("x"), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, err := CopySparse(f, broken); err != io.ErrUnexpectedEOF {
			t.Errorf("of what is cut short: %v", err)
		}
	}
}
