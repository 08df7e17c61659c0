package visible

import (
	"strings"
	"testing"
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
