// SPDX-License-Identifier: Apache-2.0

package journalctl

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/logfile"
)

func sized(value string) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(len(value)))) + value + "\n"
}

func TestEntries(t *testing.T) {
	const head = "__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1700000000123456\n"
	at := time.UnixMicro(1700000000123456)
	long := strings.Repeat("x", 200000)
	for name, tc := range map[string]struct {
		in   string
		want []entry
		err  error
	}{
		"nothing":           {"", nil, io.EOF},
		"text":              {head + "PRIORITY=6\nMESSAGE=a=b\n\n", []entry{{Entry: logfile.Entry{Time: at, Stream: logfile.Stdout, Text: []byte("a=b")}, cursor: "s=1;i=2"}}, io.EOF},
		"binary":            {head + "PRIORITY=3\nMESSAGE\n" + sized("\x00\xff\n\n") + "\n", []entry{{Entry: logfile.Entry{Time: at, Stream: logfile.Stderr, Text: []byte("\x00\xff\n\n")}, cursor: "s=1;i=2"}}, io.EOF},
		"long":              {head + "PRIORITY=6\nMESSAGE=" + long + "\n\n", []entry{{Entry: logfile.Entry{Time: at, Stream: logfile.Stdout, Text: []byte(long)}, cursor: "s=1;i=2"}}, io.EOF},
		"a piece":           {head + "PRIORITY=6\nCONTAINER_PARTIAL_MESSAGE=true\nMESSAGE=p\n\n", []entry{{Entry: logfile.Entry{Time: at, Stream: logfile.Stdout, Partial: true, Text: []byte("p")}, cursor: "s=1;i=2"}}, io.EOF},
		"what is missing":   {head + "PRIORITY=4\nBERTH_LOST_BYTES=7\nMESSAGE=m\n\n", []entry{{Entry: logfile.Entry{Time: at, Text: []byte("m")}, cursor: "s=1;i=2", lost: 7}}, io.EOF},
		"another priority":  {head + "PRIORITY=4\nMESSAGE=a\n\n", nil, io.EOF},
		"no time":           {"PRIORITY=6\nMESSAGE=a\n\n", nil, io.EOF},
		"cut in an entry":   {head + "PRIORITY=6\n", nil, io.ErrUnexpectedEOF},
		"cut in a value":    {head + "MESSAGE\n" + sized("abc")[:9], nil, io.ErrUnexpectedEOF},
		"cut in a size":     {head + "MESSAGE\n\x01", nil, io.ErrUnexpectedEOF},
		"a value too large": {head + "MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xff", nil, errTooLong},
	} {
		t.Run(name, func(t *testing.T) {
			in := bufio.NewReader(strings.NewReader(tc.in))
			var got []entry
			for {
				fields, err := readFields(in)
				if err != nil {
					if !errors.Is(err, tc.err) {
						t.Errorf("the error is %v, want %v", err, tc.err)
					}
					break
				}
				if e, ok := parse(fields); ok {
					got = append(got, e)
				}
			}
			if len(got) != len(tc.want) {
				t.Fatalf("got %d entries, want %d", len(got), len(tc.want))
			}
			for i, e := range got {
				w := tc.want[i]
				if !e.Time.Equal(w.Time) || e.Stream != w.Stream || e.Partial != w.Partial || !bytes.Equal(e.Text, w.Text) || e.cursor != w.cursor || e.lost != w.lost {
					t.Errorf("entry %d is %.200v, want %.200v", i, e, w)
				}
			}
		})
	}
}

func TestFrom(t *testing.T) {
	at := time.UnixMicro(1700000000000007)
	for name, tc := range map[string]struct {
		r    Reader
		want string
	}{
		"all":                 {Reader{}, ""},
		"since and until":     {Reader{opts: Options{ReadOptions: logfile.ReadOptions{Since: at, Until: at}}}, "--since=@1700000000.000007 --until=@1700000000.000007"},
		"behind an entry":     {Reader{cursor: "c", opts: Options{ReadOptions: logfile.ReadOptions{Since: at}}}, "--after-cursor=c"},
		"followed to a time":  {Reader{opts: Options{ReadOptions: logfile.ReadOptions{Until: at, Follow: true}}}, ""},
		"before there was it": {Reader{opts: Options{ReadOptions: logfile.ReadOptions{Since: time.Unix(-5, 0)}}}, "--since=@0.000000"},
	} {
		if got := strings.Join(tc.r.from(), " "); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}

func TestFailure(t *testing.T) {
	err := errors.New("exit status 1")
	if got := failure(err, "No journal files were opened due to insufficient permissions.\n"); !errors.Is(got, ErrNoAccess) {
		t.Errorf("got %v", got)
	}
	if got := failure(err, "Failed to seek.\n").Error(); got != "journalctl: exit status 1: Failed to seek." {
		t.Errorf("got %s", got)
	}
	t.Setenv("PATH", t.TempDir())
	if _, got := Open(Options{ID: "x"}); !errors.Is(got, exec.ErrNotFound) {
		t.Errorf("without journalctl: %v", got)
	}
}
