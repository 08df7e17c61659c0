// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	tarsplit "github.com/vbatts/tar-split/tar/storage"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

const secret = "s3cret of the host"

// entry of a crafted archive. A size is what the header of a link or a FIFO claims.
type crafted struct {
	kind byte
	name string
	text string // content, or target
	size int64
}

// archiveOf makes an archive of entries.
func archiveOf(t testing.TB, entries ...crafted) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Typeflag: e.kind, Name: e.name, Mode: 0o755, Format: tar.FormatGNU}
		if e.kind == tar.TypeReg {
			h.Size = int64(len(e.text))
		} else {
			h.Linkname = e.text
		}
		at := b.Len()
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == tar.TypeReg {
			if err := errors.Join(second(io.WriteString(w, e.text)), w.Flush()); err != nil {
				t.Fatal(err)
			}
		}
		if e.size > 0 { // which the writer does not do
			header := b.Bytes()[at : at+512]
			copy(header[124:136], fmt.Sprintf("%011o\x00", e.size))
			copy(header[148:156], "        ")
			sum := 0
			for _, c := range header {
				sum += int(c)
			}
			copy(header[148:156], fmt.Sprintf("%06o\x00 ", sum))
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// lookingOutside are layers whose records lead to $HOST/secret, or to a file without an end.
func lookingOutside(host string) map[string][]crafted {
	up := strings.Repeat("../", 20)
	return map[string][]crafted{
		"..":                         {{kind: tar.TypeReg, name: up + host[1:] + "/secret", text: secret}},
		".. behind a name":           {{kind: tar.TypeReg, name: "a/../../" + up + host[1:] + "/secret", text: secret}},
		"a link to the root":         {{kind: tar.TypeDir, name: "a"}, {kind: tar.TypeSymlink, name: "a/b", text: "/"}, {kind: tar.TypeReg, name: "a/b" + host + "/secret", text: secret}},
		"a link to a directory":      {{kind: tar.TypeSymlink, name: "a", text: host}, {kind: tar.TypeReg, name: "a/secret", text: secret}},
		"a relative link":            {{kind: tar.TypeSymlink, name: "a", text: up + host[1:]}, {kind: tar.TypeReg, name: "a/secret", text: secret}},
		"a link of a claimed size":   {{kind: tar.TypeSymlink, name: "a", text: host + "/secret", size: int64(len(secret))}},
		"a link to a device":         {{kind: tar.TypeSymlink, name: "a", text: "/dev/zero", size: 1 << 20}},
		"a FIFO of a claimed size":   {{kind: tar.TypeFifo, name: "a", size: 5}},
		"a device of a claimed size": {{kind: tar.TypeChar, name: "a", size: 5}},
	}
}

// within fails the test if work hangs.
func within(t *testing.T, work func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		t.Fatal("it hangs")
	}
}

func diffOf(s storage.Store, layer string) (text []byte, err error) {
	plain := archive.Uncompressed
	r, err := s.Diff("", layer, &storage.DiffOptions{Compression: &plain})
	if err != nil {
		return nil, err
	}
	text, err = io.ReadAll(io.LimitReader(r, 64<<20))
	return text, errors.Join(err, r.Close())
}

func TestLayersThatLookOutside(t *testing.T) {
	host := t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "secret"), []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStore(t)
	other := s.(*confined).Store // another engine on the same store
	n := 0
	for name, entries := range lookingOutside(host) {
		n++
		layer, data := fmt.Sprintf("%064x", n), archiveOf(t, entries...)
		t.Run("come in: "+name, func(t *testing.T) {
			_, _, err := s.PutLayer(layer, "", nil, "", false, nil, bytes.NewReader(data))
			var hinted *hint.Error
			if !errors.As(err, &hinted) {
				t.Errorf("refused with %v", err)
			}
			if got, err := s.Layer(layer); err == nil {
				t.Errorf("the layer is there: %v", got)
			}
		})
		t.Run("are there: "+name, func(t *testing.T) {
			if _, _, err := other.PutLayer(layer, "", nil, "", false, nil, bytes.NewReader(data)); err != nil {
				// The library refuses it by itself: then there is nothing that could lead anywhere.
				if got, lerr := s.Layer(layer); lerr == nil {
					t.Errorf("refused with %v, and the layer is there: %v", err, got)
				}
				return
			}
			within(t, func() {
				// What it unpacked to is read, and is what came.
				if got, err := diffOf(s, layer); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
				}
			})
			// With that gone, only the host has the file.
			if err := os.RemoveAll(filepath.Join(s.GraphRoot(), "overlay", layer, "diff", host)); err != nil {
				t.Fatal(err)
			}
			within(t, func() {
				if got, err := diffOf(s, layer); err == nil && entries[len(entries)-1].size == 0 || bytes.Contains(got, []byte(secret)) {
					t.Errorf("%q, %v", got, err)
				}
			})
		})
	}
	within(t, func() {
		image(t, s, fmt.Sprintf("%064x", n), "manifest")
		if r, err := Check(t.Context(), s, storage.CheckMost()); err != nil || len(r.Layers) == 0 {
			t.Errorf("%v, %v", r.Layers, err)
		}
	})
}

func TestLayersThatComeBackAsTheyWere(t *testing.T) {
	s := newStore(t)
	for name, entries := range map[string][]crafted{
		"plain":                    {{kind: tar.TypeDir, name: "d/"}, {kind: tar.TypeReg, name: "d/f", text: "text"}, {kind: tar.TypeReg, name: "empty"}},
		"./ and absolute names":    {{kind: tar.TypeReg, name: "./f", text: "text"}, {kind: tar.TypeReg, name: "/g/h", text: "more"}},
		"names with .. inside":     {{kind: tar.TypeDir, name: "d"}, {kind: tar.TypeReg, name: "d/../f", text: "text"}},
		"a link inside":            {{kind: tar.TypeDir, name: "usr/lib"}, {kind: tar.TypeSymlink, name: "lib", text: "usr/lib"}, {kind: tar.TypeReg, name: "lib/f", text: "text"}},
		"a hard link with a size":  {{kind: tar.TypeReg, name: "f", text: "text"}, {kind: tar.TypeLink, name: "g", text: "f", size: 4}},
		"a directory with a size":  {{kind: tar.TypeDir, name: "d", size: 4096}},
		"links that lead outside":  {{kind: tar.TypeSymlink, name: "a", text: "/etc"}, {kind: tar.TypeSymlink, name: "b", text: "../../../etc/passwd"}},
		"names that are not UTF-8": {{kind: tar.TypeReg, name: "f\xff", text: "text"}},
		"long names":               {{kind: tar.TypeReg, name: strings.Repeat(strings.Repeat("n", 200)+"/", 10) + "f", text: "text"}},
	} {
		t.Run(name, func(t *testing.T) {
			data := archiveOf(t, entries...)
			l, _, err := s.PutLayer("", "", nil, "", false, nil, bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := diffOf(s, l.ID); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
			}
			var packed bytes.Buffer
			gz := gzip.NewWriter(&packed)
			if err := errors.Join(second(gz.Write(data)), gz.Close()); err != nil {
				t.Fatal(err)
			}
			if l, _, err = s.PutLayer("", "", nil, "", false, nil, &packed); err != nil {
				t.Fatal(err)
			}
			r, err := s.Diff("", l.ID, nil) // compressed as it came
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			if gz, err := gzip.NewReader(r); err != nil {
				t.Error(err)
			} else if got, err := io.ReadAll(gz); err != nil || !bytes.Equal(got, data) {
				t.Errorf("compressed: %d bytes of %d, %v", len(got), len(data), err)
			}
		})
	}
}

// Stages of a build commit at the same time: one makes a layer while another reads one.
func TestLayersMadeAndReadAtTheSameTime(t *testing.T) {
	s := newStore(t)
	data := archiveOf(t, crafted{kind: tar.TypeReg, name: "f", text: "text"})
	made, _, err := s.PutLayer("", "", nil, "", false, nil, bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	container := id("c")
	if _, err := s.CreateLayer(container, made.ID, nil, "", true, nil); err != nil {
		t.Fatal(err)
	}
	work := []func() error{
		func() error {
			l, _, err := s.PutLayer("", "", nil, "", false, nil, bytes.NewReader(data))
			if err != nil {
				return err
			}
			return s.DeleteLayer(l.ID)
		},
		func() error { _, err := diffOf(s, made.ID); return err },
		func() error { _, err := diffOf(s, container); return err },
		func() error { _, err := s.Mounted(container); return err },
	}
	ended := make(chan error)
	for _, w := range work {
		for range 2 {
			go func() {
				var err error
				for n := 0; n < 100 && err == nil; n++ {
					err = w()
				}
				ended <- err
			}()
		}
	}
	for range 2 * len(work) {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(2 * time.Minute):
			buf := make([]byte, 1<<20)
			t.Fatalf("they wait for each other:\n%s", buf[:runtime.Stack(buf, true)])
		}
	}
}

// What is on the disk is not what was unpacked.
func TestLayersThatHaveChanged(t *testing.T) {
	s := newStore(t)
	data := archiveOf(t, crafted{kind: tar.TypeReg, name: "d/f", text: "text"}, crafted{kind: tar.TypeReg, name: "g", text: "text"})
	n := 0
	for name, change := range map[string]func(f string) error{
		"gone":        os.Remove,
		"longer":      func(f string) error { return os.Truncate(f, 1<<40) },
		"shorter":     func(f string) error { return os.Truncate(f, 1) },
		"other":       func(f string) error { return os.WriteFile(f, []byte("next"), 0o600) },
		"a link":      func(f string) error { return errors.Join(os.Remove(f), os.Symlink("/dev/zero", f)) },
		"a FIFO":      func(f string) error { return errors.Join(os.Remove(f), unix.Mkfifo(f, 0o600)) },
		"a socket":    func(f string) error { return errors.Join(os.Remove(f), unix.Mknod(f, unix.S_IFSOCK|0o600, 0)) },
		"a device":    func(f string) error { return errors.Join(os.Remove(f), unix.Mknod(f, unix.S_IFCHR|0o600, 1<<8|5)) },
		"a directory": func(f string) error { return errors.Join(os.Remove(f), os.Mkdir(f, 0o700)) },
		"its parent a link": func(f string) error {
			return errors.Join(os.RemoveAll(filepath.Dir(f)), os.Symlink("/proc/self", filepath.Dir(f)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			n++
			l, _, err := s.PutLayer(fmt.Sprintf("%064x", n), "", nil, "", false, nil, bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if err := change(filepath.Join(s.GraphRoot(), "overlay", l.ID, "diff/d/f")); err != nil {
				t.Fatal(err)
			}
			within(t, func() {
				_, err := diffOf(s, l.ID)
				var re *RecordError
				if !errors.As(err, &re) || re.Layer != l.ID || !strings.Contains(err.Error(), `"d/f"`) {
					t.Errorf("error %v", err)
				}
			})
		})
	}
}

func packRecord(t testing.TB, s storage.Store, layer string, text []byte) {
	t.Helper()
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	if err := errors.Join(second(gz.Write(text)), gz.Close(),
		os.WriteFile(filepath.Join(s.GraphRoot(), "overlay-layers", layer+".tar-split.gz"), b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedRecords(t *testing.T) {
	s := newStore(t)
	l, _, err := s.PutLayer("", "", nil, "", false, nil, bytes.NewReader(archiveOf(t, crafted{kind: tar.TypeReg, name: "f", text: "text"})))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"an entry without an end": `{"type":2,"payload":"` + strings.Repeat("AAAA", 8<<20),
		"a longer archive":        strings.Repeat(`{"type":2,"payload":"`+strings.Repeat("AAAA", 1<<10)+`"}`+"\n", 10),
		"an unknown type":         `{"type":3,"name":"f","size":4}`,
		"a negative size":         `{"type":1,"name":"f","size":-1}`,
		"cut off":                 `{"type":1,"na`,
	} {
		t.Run(name, func(t *testing.T) {
			packRecord(t, s, l.ID, []byte(text))
			var re *RecordError
			if _, err := diffOf(s, l.ID); !errors.As(err, &re) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// FuzzLayerRecord replays records that name anything: nothing outside of the layer comes out.
func FuzzLayerRecord(f *testing.F) {
	top := f.TempDir()
	dir := filepath.Join(top, "layer")
	if err := errors.Join(os.MkdirAll(filepath.Join(dir, "d"), 0o700), os.WriteFile(filepath.Join(top, "secret"), []byte(secret), 0o600),
		os.WriteFile(filepath.Join(dir, "d/f"), []byte("text"), 0o600), os.Symlink("..", filepath.Join(dir, "d/up")), os.Symlink("../..", filepath.Join(dir, "d/out")),
		os.Symlink("/", filepath.Join(dir, "root")), os.Symlink(top, filepath.Join(dir, "top")), os.Symlink("/proc/self/root", filepath.Join(dir, "proc")),
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600)); err != nil {
		f.Fatal(err)
	}
	sum := func(text string) []byte {
		h := crc64.New(tarsplit.CRCTable)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	for _, name := range []string{"d/f", "../secret", "top/secret", "root" + top + "/secret", "d/out/../secret", "proc" + top + "/secret", "fifo", "/", ""} {
		text := secret
		if name == "d/f" {
			text = "text"
		}
		entry, err := json.Marshal(tarsplit.Entry{Type: tarsplit.FileType, Name: name, Size: int64(len(text)), Payload: sum(text)})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(append([]byte(`{"type":2,"payload":"AAAA"}`+"\n"), entry...))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, work := range []func(r *layerRecord, w io.Writer) error{
			(*layerRecord).replay,
			func(r *layerRecord, _ io.Writer) error { return r.checkFiles() },
			func(r *layerRecord, _ io.Writer) error { return r.checkNames() },
		} {
			r := &layerRecord{gz: io.NopCloser(nil), entries: newEntries(bytes.NewReader(text)), dirs: []string{dir}, size: 1 << 20, release: func() {}}
			var out bytes.Buffer
			_ = work(r, &out)
			r.close()
			if bytes.Contains(out.Bytes(), []byte(secret)) && !bytes.Contains(text, []byte(secret)) && !bytes.Contains(text, []byte("czNjcmV0")) {
				t.Fatalf("the secret has come out of %q", text)
			}
		}
	})
}
