// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"archive/tar"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build/partial"
)

// TestCraftedArtifacts publishes artifacts that no client of the format would make, each with true digests. None may
// become a part, write anything outside of the store, or end in anything but a finding.
func TestCraftedArtifacts(t *testing.T) {
	host, _ := inMemory(t, true, nil)
	sys := system(t, "", host)
	good, err := newPart(t, "p/x", "1.0.0", "", script).Pack()
	if err != nil {
		t.Fatal(err)
	}
	reg := func(name string) entry { return entry{name: name, typ: tar.TypeReg, data: "x\n"} }
	type change func(m *manifest, blobs map[string][]byte)
	files := func(members ...entry) change {
		return func(m *manifest, blobs map[string][]byte) {
			data := tarOf(t, members)
			blobs[digestOf(data)] = data
			m.Layers[1].Digest, m.Layers[1].Size = digestOf(data), int64(len(data))
		}
	}
	body := func(text string) change {
		return func(m *manifest, blobs map[string][]byte) {
			blobs[digestOf([]byte(text))] = []byte(text)
			m.Layers[0].Digest, m.Layers[0].Size = digestOf([]byte(text)), int64(len(text))
		}
	}
	for what, tc := range map[string]struct {
		change change
		want   string
	}{
		"nothing":             {func(*manifest, map[string][]byte) {}, ""},
		"case":                {files(reg("bin/run"), reg("bin/RUN")), "P070"},
		"case of a directory": {files(reg("bin/run"), reg("BIN/x")), "P070"},
		"dot at the end":      {files(reg("bin/run.")), "P070"},
		"composed letters":    {files(reg("caf\u00e9"), reg("cafe\u0301")), "P070"},
		"blank at the end":    {files(reg("bin/run ")), "P070"},
		"up":                  {files(reg("../../../../evil")), "P070"},
		"up inside":           {files(reg("bin/../../evil")), "P070"},
		"absolute":            {files(reg("/etc/evil")), "P070"},
		"symbolic link":       {files(entry{name: "bin", typ: tar.TypeSymlink, link: "/etc"}, reg("bin/evil")), "P070"},
		"hard link":           {files(entry{name: "hello", typ: tar.TypeLink, link: "/etc/passwd"}), "P070"},
		"character device":    {files(entry{name: "null", typ: tar.TypeChar}), "P070"},
		"block device":        {files(entry{name: "sda", typ: tar.TypeBlock}), "P070"},
		"fifo":                {files(entry{name: "fifo", typ: tar.TypeFifo}), "P070"},
		"name with a space":   {files(reg("a b")), "P070"},
		"name of a heredoc":   {files(reg("a\nEOF\nRUN touch /pwned")), "P070"},
		"name with a quote":   {files(reg(`a" /b`)), "P070"},
		"too large a file":    {files(entry{name: "big", typ: tar.TypeReg, data: strings.Repeat("x\n", 40<<10)}), "P070"},
		"too large in all":    {files(entry{name: "a", typ: tar.TypeReg, data: strings.Repeat("x\n", 30<<10)}, entry{name: "b", typ: tar.TypeReg, data: strings.Repeat("x\n", 30<<10)}, entry{name: "c", typ: tar.TypeReg, data: strings.Repeat("x\n", 30<<10)}, entry{name: "d", typ: tar.TypeReg, data: strings.Repeat("x\n", 30<<10)}, entry{name: "e", typ: tar.TypeReg, data: strings.Repeat("x\n", 30<<10)}), "P070"},
		"binary":              {files(entry{name: "bin", typ: tar.TypeReg, data: "\x7fELF\x00\n"}), "P070"},
		"no files":            {files(), "P005"},
		"a layer twice":       {func(m *manifest, _ map[string][]byte) { m.Layers = append(m.Layers, m.Layers[0]) }, "P070"},
		"no Containerfile":    {func(m *manifest, _ map[string][]byte) { m.Layers = m.Layers[1:] }, "P070"},
		"size of a layer":     {func(m *manifest, _ map[string][]byte) { m.Layers[0].Size++ }, "P051"},
		"oversized layer":     {func(m *manifest, _ map[string][]byte) { m.Layers[0].Size = maxBlob + 1 }, "P070"},
		"negative size":       {func(m *manifest, _ map[string][]byte) { m.Layers[0].Size = -1 }, "P070"},
		"digest with a path":  {func(m *manifest, _ map[string][]byte) { m.Layers[0].Digest = "sha256:../../../../etc/passwd" }, "P070"},
		"other metadata":      {body(strings.Replace(text("p/x", "1.0.0", ""), "RUN echo", "# requires\nRUN echo", 1)), ""},
		"another name":        {body(text("p/y", "1.0.0", "")), "P051"},
		"context copy":        {body(strings.Replace(text("p/x", "1.0.0", ""), "RUN echo 1.0.0", "COPY . /x", 1)), "P006"},
		"entrypoint":          {body(strings.Replace(text("p/x", "1.0.0", ""), "RUN echo 1.0.0", "ENTRYPOINT [\"x\"]", 1)), "P005"},
		"carriage returns":    {body(strings.ReplaceAll(text("p/x", "1.0.0", ""), "\n", "\r\n")), "P005"},
	} {
		t.Run(what, func(t *testing.T) {
			var m manifest
			if err := json.Unmarshal(good.Manifest, &m); err != nil {
				t.Fatal(err)
			}
			blobs := map[string][]byte{}
			for d, b := range good.Blobs {
				blobs[d] = b
			}
			tc.change(&m, blobs)
			data, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			name := host + "/p/" + strings.ToLower(strings.ReplaceAll(what, " ", "-"))
			l := open(t, Options{Sys: sys})
			loc, e, err := l.target(ref(name))
			if err != nil {
				t.Fatal(err)
			}
			if err := e.publish(t.Context(), loc, "1.0.0", data, blobs); err != nil {
				t.Fatal(err)
			}
			outer := t.TempDir()
			store := filepath.Join(outer, "a", "b", "parts")
			_, err = open(t, Options{Sys: sys, Store: store}).Part(t.Context(), ref(name), partial.Release{Version: "1.0.0"})
			if code(err) != tc.want {
				t.Errorf("Part = %v; want %q", err, tc.want)
			}
			for _, dir := range []string{outer, filepath.Join(outer, "a"), filepath.Join(outer, "a", "b")} {
				if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
					t.Errorf("%s holds %v, %v; want one directory", dir, list, err)
				}
			}
		})
	}
}
