// SPDX-License-Identifier: Apache-2.0

package journald

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/logfile"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAppendField(t *testing.T) {
	for name, tc := range map[string]struct{ value, want string }{
		"text":         {"hello", "MESSAGE=hello\n"},
		"empty":        {"", "MESSAGE=\n"},
		"with =":       {"a=b", "MESSAGE=a=b\n"},
		"binary":       {"\x00\xff\x1b\r", "MESSAGE=\x00\xff\x1b\r\n"},
		"several":      {"a\nb", "MESSAGE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n"},
		"a line's end": {"\n", "MESSAGE\n\x01\x00\x00\x00\x00\x00\x00\x00\n\n"},
	} {
		if got := string(appendField(nil, "MESSAGE", []byte(tc.value))); got != tc.want {
			t.Errorf("%s: appendField(%q) = %q, want %q", name, tc.value, got, tc.want)
		}
	}
}

func TestCheckField(t *testing.T) {
	for name, ok := range map[string]bool{
		"A": true, "APP_VERSION2": true, "CONTAINER_IMAGE": true, strings.Repeat("A", 64): true,
		"": false, "_A": false, "2A": false, "a": false, "A-B": false, "A B": false, "A\n": false, "Ä": false, strings.Repeat("A", 65): false,
		"MESSAGE": false, "PRIORITY": false, "CONTAINER_ID_FULL": false, "BERTH_LOST_BYTES": false, "SYSLOG_IDENTIFIER": false,
	} {
		if err := CheckField(name); (err == nil) != ok {
			t.Errorf("CheckField(%q): %v", name, err)
		}
	}
}

func TestFieldName(t *testing.T) {
	for name, want := range map[string]string{"app_name": "APP_NAME", "org.example/app-2": "ORG_EXAMPLE_APP_2", "_x": "X", "2fa": "FA", "Äx": "X", "": "", "__": ""} {
		if got := FieldName(name); got != want {
			t.Errorf("FieldName(%q) = %q, want %q", name, got, want)
		}
	}
}

// receiver stands in for journald.
type receiver struct {
	t    *testing.T
	fd   int
	path string
}

func newReceiver(t *testing.T, path string) *receiver {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	check(t, err)
	check(t, unix.Bind(fd, &unix.SockaddrUnix{Name: path}))
	r := &receiver{t, fd, path}
	t.Cleanup(r.end)
	return r
}

func (r *receiver) end() {
	unix.Close(r.fd)
	os.Remove(r.path)
	r.fd = -1
}

// entries are what has come so far, each as its fields.
func (r *receiver) entries() (all []map[string]string) {
	r.t.Helper()
	buf, oob := make([]byte, 1<<20), make([]byte, 256)
	for {
		n, oobn, _, _, err := unix.Recvmsg(r.fd, buf, oob, unix.MSG_DONTWAIT)
		if err == unix.EAGAIN {
			return all
		}
		check(r.t, err)
		data := buf[:n]
		if oobn > 0 {
			data = r.file(oob[:oobn])
		}
		all = append(all, fields(r.t, data))
	}
}

func (r *receiver) file(oob []byte) []byte {
	r.t.Helper()
	messages, err := unix.ParseSocketControlMessage(oob)
	check(r.t, err)
	fds, err := unix.ParseUnixRights(&messages[0])
	check(r.t, err)
	f := os.NewFile(uintptr(fds[0]), "entry")
	defer f.Close()
	if seals, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0); err != nil || seals&unix.F_SEAL_WRITE == 0 {
		r.t.Errorf("the file is not sealed: %x, %v", seals, err)
	}
	st, err := f.Stat()
	check(r.t, err)
	data := make([]byte, st.Size())
	_, err = f.ReadAt(data, 0)
	check(r.t, err)
	return data
}

func fields(t *testing.T, data []byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	for len(data) > 0 {
		line, rest, ok := bytes.Cut(data, []byte{'\n'})
		if !ok {
			t.Fatalf("no end of a field: %q", data)
		}
		data = rest
		name, value, simple := strings.Cut(string(line), "=")
		if !simple {
			n := binary.LittleEndian.Uint64(data)
			value = string(data[8 : 8+n])
			data = data[8+n+1:]
		}
		if _, twice := all[name]; twice {
			t.Errorf("field %s comes twice", name)
		}
		all[name] = value
	}
	return all
}

// said is what the entries are, in short: priority, P for a piece, text.
func said(entries []map[string]string) (all []string) {
	for _, e := range entries {
		s := e["PRIORITY"] + " "
		if e[PartialField] == "true" {
			s += "P "
		}
		if n := e[LostField]; n != "" {
			s += "lost " + n
		} else {
			s += e["MESSAGE"]
		}
		all = append(all, s)
	}
	return all
}

func TestWriter(t *testing.T) {
	long := strings.Repeat("x", 2*most+10)
	type piece struct {
		stream logfile.Stream
		data   string
	}
	out, err := logfile.Stdout, logfile.Stderr
	for name, tc := range map[string]struct {
		pieces []piece
		want   []string
	}{
		"lines":                    {[]piece{{out, "a\n\nb\n"}}, []string{"6 a", "6 ", "6 b"}},
		"both streams":             {[]piece{{out, "a\n"}, {err, "b\n"}}, []string{"6 a", "3 b"}},
		"a line in pieces":         {[]piece{{out, "a"}, {out, "b"}, {out, "c\nd\n"}}, []string{"6 abc", "6 d"}},
		"pieces of both, woven":    {[]piece{{out, "a"}, {err, "1"}, {out, "b\n"}, {err, "2\n"}}, []string{"6 ab", "3 12"}},
		"no end":                   {[]piece{{err, "a\nb"}}, []string{"3 a", "3 P b"}},
		"binary":                   {[]piece{{out, "\x00\xff=\r\n"}}, []string{"6 \x00\xff=\r"}},
		"long":                     {[]piece{{out, long + "\n"}}, []string{"6 P " + long[:most], "6 P " + long[:most], "6 " + long[:10]}},
		"long, in pieces":          {[]piece{{out, "y"}, {out, long + "\n"}}, []string{"6 P y" + long[:most-1], "6 P " + long[:most], "6 " + long[:11]}},
		"as long as an entry":      {[]piece{{out, long[:most] + "\n"}}, []string{"6 " + long[:most]}},
		"that and its end":         {[]piece{{out, long[:most]}, {out, "\n"}}, []string{"6 " + long[:most]}},
		"that, with more":          {[]piece{{out, long[:most]}, {out, "z\n"}}, []string{"6 P " + long[:most], "6 z"}},
		"as an entry, with no end": {[]piece{{out, long[:most]}}, []string{"6 P " + long[:most]}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t, filepath.Join(t.TempDir(), "s"))
			w, err := open(r.path, []string{"CONTAINER_NAME=web", "NOTE=two\nlines"}, patience)
			check(t, err)
			for _, p := range tc.pieces {
				check(t, w.Write(p.stream, time.Now(), []byte(p.data)))
			}
			check(t, w.Flush())
			entries := r.entries()
			check(t, w.Close())
			if got := said(entries); fmt.Sprint(got) != fmt.Sprint(tc.want) {
				t.Errorf("sent %.200q, want %.200q", got, tc.want)
			}
			for _, e := range entries {
				if e["CONTAINER_NAME"] != "web" || e["NOTE"] != "two\nlines" {
					t.Errorf("an entry has not the fields of all: %.200q", e)
				}
			}
		})
	}
}

// A datagram may be smaller than an entry where the host's limits are.
func TestLargeEntries(t *testing.T) {
	r := newReceiver(t, filepath.Join(t.TempDir(), "s"))
	w, err := open(r.path, nil, patience)
	check(t, err)
	check(t, unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4608))
	want := strings.Repeat("z", 20000)
	check(t, w.Write(logfile.Stdout, time.Now(), []byte("a\n"+want+"\nb\n")))
	if got := said(r.entries()); len(got) != 3 || got[0] != "6 a" || got[1] != "6 "+want || got[2] != "6 b" {
		t.Errorf("got %.100q", got)
	}
	check(t, w.Close())
}

// TestJournaldGoesAway has journald end, come back, and stand still.
func TestJournaldGoesAway(t *testing.T) {
	const patience = time.Second
	path := filepath.Join(t.TempDir(), "s")
	write := func(w *Writer, text string) (took time.Duration, err error) {
		began := time.Now()
		err = w.Write(logfile.Stdout, began, []byte(text+"\n"))
		return time.Since(began), err
	}
	if err := available(path); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("available: %v", err)
	}
	w, err := open(path, nil, patience)
	check(t, err)
	if took, err := write(w, "12345"); err == nil || took > patience/2 {
		t.Errorf("with nobody there: %v after %v", err, took)
	}
	r := newReceiver(t, path)
	check(t, available(path))
	_, err = write(w, "back")
	check(t, err)
	if got := said(r.entries()); fmt.Sprint(got) != "[4 lost 5 6 back]" {
		t.Errorf("got %q", got)
	}
	r.end()
	write(w, "ab")
	r = newReceiver(t, path)
	_, err = write(w, "again")
	check(t, err)
	if got := said(r.entries()); fmt.Sprint(got) != "[4 lost 2 6 again]" {
		t.Errorf("got %q", got)
	}

	// It stands still: one entry waits, those that come behind do not.
	sent, began := 0, time.Now()
	for {
		if _, err := write(w, "full"); err != nil {
			break
		}
		sent++
	}
	if took := time.Since(began); took < patience || took > 4*patience {
		t.Errorf("the first entry that was not taken took %v", took)
	}
	for range 100 {
		if took, err := write(w, "drop"); err == nil || took > patience/2 {
			t.Errorf("with a journald that stands still: %v after %v", err, took)
		}
	}
	if got := r.entries(); len(got) != sent {
		t.Errorf("%d entries of %d have come", len(got), sent)
	}
	_, err = write(w, "on")
	check(t, err)
	if got := said(r.entries()); fmt.Sprint(got) != "[4 lost 404 6 on]" {
		t.Errorf("got %q", got)
	}

	// The end waits until all has been taken.
	_, err = write(w, "last")
	check(t, err)
	go func() {
		time.Sleep(100 * time.Millisecond)
		var buf [4096]byte
		unix.Read(r.fd, buf[:])
	}()
	began = time.Now()
	check(t, w.Close())
	if took := time.Since(began); took < 50*time.Millisecond || took > patience {
		t.Errorf("Close took %v", took)
	}
}
