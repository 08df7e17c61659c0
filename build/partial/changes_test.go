// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	for name, c := range map[string]struct{ a, b, want string }{
		"equal":          {"a\nb\n", "a\nb\n", ""},
		"empty":          {"", "", ""},
		"new":            {"", "a\nb\n", "  +a\n  +b\n"},
		"gone":           {"a\nb\n", "", "  -a\n  -b\n"},
		"in the middle":  {"a\nb\nc\n", "a\nx\nc\n", "  -b\n  +x\n"},
		"two places":     {"a\nb\nc\nd\n", "x\nb\nc\nd\ny\n", "  -a\n  +x\n  +y\n"},
		"without an end": {"a\nb", "a\nc", "  -b\n  +c\n"},
	} {
		if got := Diff(c.a, c.b, "  "); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// One line among many that are alike: what has not changed is not shown, however often it comes.
func TestDiffOfRepetition(t *testing.T) {
	var a strings.Builder
	for i := range 600 {
		fmt.Fprintf(&a, "RUN true\nRUN step %d\n", i/2)
	}
	b := strings.Replace(a.String(), "RUN step 100\n", "RUN step 100 again\n", 1)
	if got := Diff(a.String(), b, ""); got != "-RUN step 100\n+RUN step 100 again\n" {
		t.Errorf("got %q", got)
	}
}
