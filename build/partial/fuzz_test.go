// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"strings"
	"testing"

	bkinstructions "github.com/moby/buildkit/frontend/dockerfile/instructions"
	bkparser "github.com/moby/buildkit/frontend/dockerfile/parser"
)

// FuzzA42Parameters: whatever bytes a parameter has, the composed file has the planned instructions.
func FuzzA42Parameters(f *testing.F) {
	for _, s := range []string{"", "x", `x"; touch /pwned; echo "`, "a\nRUN x", `\`, "$(id)", "<<EOF", "a\u2028b", "#: use x", "\xff", " # ", "`"} {
		f.Add(s)
	}
	lib := anyText(f)
	f.Fuzz(func(t *testing.T, value string) {
		r, err := Compose(t.Context(), Options{File: "Containerfile", Source: []byte("FROM docker.io/library/debian:12\n#: use std/any\n"), Library: lib, Bases: testBases(),
			Params: map[string]string{"any.text": value}})
		if err != nil {
			if e := asError(err); e.Code == "P071" {
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		res, err := bkparser.Parse(strings.NewReader(r.Text))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(res.AST.Children); n != 4 {
			t.Errorf("%q makes %d instructions:\n%s", value, n, r.Text)
		}
	})
}

// FuzzA42Sources: whatever the source is, there is an error or a file that builders decode.
func FuzzA42Sources(f *testing.F) {
	for _, s := range []string{nodeSource, "FROM docker.io/library/debian:12\nRUN <<A <<B\nx\nA\ny\nB\n#: use std/any text=a\n", "FROM docker.io/library/debian:12\nRUN x \\\n# c\n\n  y\n#: use std/any\n",
		"# syntax=x\n# escape=`\nFROM docker.io/library/debian:12\n#: use std/any\n", "FROM docker.io/library/debian:12\nSHELL [\"a\"]\nUSER $X\nWORKDIR a b\n#: use std/any\n", "FROM docker.io/library/debian:12\n#: use std/any\nRUN x \\\n ", "from docker.io/library/debian:12 as A\n#: use std/any\nFROM a\nCOPY --from=A /x /y\n"} {
		f.Add(s)
	}
	lib := anyText(f)
	for name, parts := range testParts(f) {
		lib[name] = parts
	}
	f.Fuzz(func(t *testing.T, src string) {
		plain := strings.ReplaceAll(src, "#:", "#")
		res, err := bkparser.Parse(strings.NewReader(unixText(plain)))
		if err != nil {
			return
		}
		_, _, undecodable := bkinstructions.Parse(res.AST, nil)
		r, err := Compose(context.Background(), Options{File: "Containerfile", Source: []byte(src), Library: lib, Bases: testBases()})
		if err != nil {
			if e, ok := err.(*Error); ok && e.Code == "P071" {
				t.Fatalf("%q: %v", src, err)
			}
			return
		}
		if undecodable != nil || len(res.Warnings) > 0 {
			return // what the source has wrong is the builder's to say
		}
		decode(t, r.Text)
	})
}
