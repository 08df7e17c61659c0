// SPDX-License-Identifier: Apache-2.0

package copier

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWholeFiles(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	long := strings.Repeat("long/", 50) + "name"
	texts := map[string]string{"a": "text", "sparse": strings.Repeat("s", 1000), long: strings.Repeat("t", 512), "after": ""}
	for _, name := range []string{"a", "sparse", long, "after"} {
		h := &tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(texts[name])), Mode: 0o644}
		switch name {
		case "sparse":
			h.Typeflag, h.Format = tar.TypeGNUSparse, tar.FormatGNU
		case long:
			h.PAXRecords = map[string]string{"user.more": "x\ny"}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, texts[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	found := 0
	for tr := tar.NewReader(newWholeFiles(iotest.HalfReader(&b))); ; found++ {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(tr)
		if err != nil || string(got) != texts[h.Name] || h.Typeflag != tar.TypeReg {
			t.Errorf("%q of kind %c has %d bytes, %v", h.Name, h.Typeflag, len(got), err)
		}
	}
	if found != len(texts) {
		t.Errorf("%d entries of %d", found, len(texts))
	}
}

func TestSizeRecord(t *testing.T) {
	for records, want := range map[string]int64{"": -1, "9 x=size\n": -1, "11 size=12\n": 12, "9 x=size\n19 size=9663676416\n": 9 << 30} {
		if got, err := sizeRecord([]byte(records)); got != want || err != nil {
			t.Errorf("%q: %d, %v", records, got, err)
		}
	}
	for _, records := range []string{"x", "99 size=1\n", "0 size=1\n", fmt.Sprint(1<<62, " x\n")} {
		if _, err := sizeRecord([]byte(records)); err == nil {
			t.Errorf("%q is taken", records)
		}
	}
}
