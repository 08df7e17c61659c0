// SPDX-License-Identifier: Apache-2.0

package visible

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

var cases = map[string]string{
	"":                          "",
	"plain text, ünïcode, 日本語":  "plain text, ünïcode, 日本語",
	"a\nb\tc":                   "a\nb\tc",
	"\x1b[31mred\x1b[0m":        `\x1b[31mred\x1b[0m`,
	"\x1b]0;title\x07":          `\x1b]0;title\x07`,
	"\x1b]52;c;ZXZpbA==\x1b\\":  `\x1b]52;c;ZXZpbA==\x1b\`,
	"over\rwritten\b":           `over\x0dwritten\x08`,
	"\u009b31m":                 `\u009b31m`,
	"user\u202egnp.exe\u2066":   `user\u202egnp.exe\u2066`,
	"\u200e\u200f\u061c\u2028x": `\u200e\u200f\u061c\u2028x`,
	"bad \xff\xc3(":             `bad \xff\xc3(`,
	"nul\x00del\x7f":            `nul\x00del\x7f`,
	"family 👩‍👩‍👧, flag, e\u0301": "family 👩‍👩‍👧, flag, e\u0301",
}

func TestText(t *testing.T) {
	for in, want := range cases {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
	if got := Line("a\nb\tc\x1b"); got != `a\nb\tc\x1b` {
		t.Errorf("Line = %q", got)
	}
}

func TestWriter(t *testing.T) {
	for in, want := range cases {
		for _, size := range []int{1, 2, 3, 100} {
			var b strings.Builder
			w := NewWriter(&b)
			for i := 0; i < len(in); i += size {
				part := in[i:min(i+size, len(in))]
				if n, err := w.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatalf("Write = %d, %v", n, err)
				}
			}
			if b.String() != want {
				t.Errorf("%q in pieces of %d: %q, want %q", in, size, b.String(), want)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	for in := range cases {
		plain, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		shown := JSON(plain)
		var before, after string
		if err := errors.Join(json.Unmarshal(plain, &before), json.Unmarshal(shown, &after)); err != nil || before != after {
			t.Errorf("JSON(%s) = %s, which is another text: %v", plain, shown, err)
		}
		if strings.ContainsFunc(string(shown), Hidden) {
			t.Errorf("JSON(%s) = %s hides something", plain, shown)
		}
	}
}

// FuzzText: whatever the text, what is shown is valid, hides nothing, and is shown again as it is, whole or in pieces.
func FuzzText(f *testing.F) {
	for in := range cases {
		f.Add(in, 3)
	}
	f.Fuzz(func(t *testing.T, in string, size int) {
		text, line := Text(in), Line(in)
		for _, s := range []string{strings.NewReplacer("\n", "", "\t", "").Replace(text), line} {
			if !utf8.ValidString(s) || strings.ContainsFunc(s, Hidden) {
				t.Fatalf("%q is shown as %q", in, s)
			}
		}
		if Text(text) != text || Line(line) != line {
			t.Fatalf("%q, shown twice, is %q and %q", in, Text(text), Line(line))
		}
		var b strings.Builder
		w := NewWriter(&b)
		size = max(1, size%100)
		for rest := in; rest != ""; {
			n := min(size, len(rest))
			if _, err := w.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		// A character that never became whole is not written.
		if !strings.HasPrefix(text, b.String()) || len(w.rest) == 0 && b.String() != text {
			t.Fatalf("%q in pieces of %d: %q, want %q", in, size, b.String(), text)
		}
		plain, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		shown := JSON(plain)
		var before, after string
		if err := errors.Join(json.Unmarshal(plain, &before), json.Unmarshal(shown, &after)); err != nil || before != after || strings.ContainsFunc(string(shown), Hidden) {
			t.Fatalf("%s became %s: %v", plain, shown, err)
		}
	})
}
