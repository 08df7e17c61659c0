// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"slices"
	"strings"
	"testing"
)

// TestLockedVersionHasOneDigest changes what is published, or the lock, and the source or not: it is P051 whatever is composed,
// until an update.
func TestLockedVersionHasOneDigest(t *testing.T) {
	old := part(t, "std/x", "1.0.0", "", "RUN echo one")
	now := part(t, "std/x", "1.0.0", "", "RUN echo two")
	other := part(t, "std/y", "1.0.0", "requires: [\"std/x@^1\"]", "RUN echo y")
	const src = "FROM docker.io/library/debian:12\n#: use std/x\n"
	lock := mustCompose(t, memLibrary{}.with(old), src).Lock
	lib := memLibrary{}.with(now, other)
	for _, text := range []string{src, src + "#: use std/y\n", src + "RUN true\n", "FROM docker.io/library/debian:12\n#: use std/y\n"} {
		for _, locked := range []bool{false, true} {
			_, err := composeSource(t, lib, text, func(o *Options) { o.Lock, o.Locked = lock, locked })
			wantError(t, err, "P051", "std/x 1.0.0", now.Digest, old.Digest)
		}
		_, err := composeSource(t, lib, text, func(o *Options) { o.Lock, o.Update, o.Only = lock, true, []string{"std/y"} })
		wantError(t, err, "P051", "std/x")
		r := mustCompose(t, lib, text, func(o *Options) { o.Lock, o.Update = lock, true })
		if !strings.Contains(r.Text, "RUN echo two") {
			t.Errorf("after an update the text is:\n%s", r.Text)
		}
		mustCompose(t, lib, text, func(o *Options) { o.Lock, o.Update, o.Only = lock, true, []string{"std/x"} })
	}
}

// TestOutOfDateNamesTheCause wants P050 to say what has changed, not the line that names it.
func TestOutOfDateNamesTheCause(t *testing.T) {
	x1, x2 := part(t, "std/x", "1.0.0", "params: {p: {type: int, default: 1}}", "RUN echo one"), part(t, "std/x", "1.1.0", "", "RUN echo two")
	y := part(t, "std/y", "1.0.0", "", "RUN echo y")
	const src = "ARG V=12\nFROM docker.io/library/debian:12 AS app\n#: use std/x p=1\n"
	lock := mustCompose(t, memLibrary{}.with(x1), src).Lock
	for why, tc := range map[string]struct {
		lib    memLibrary
		text   string
		change func(*Options)
	}{
		"std/x, line 3 changed":           {memLibrary{}.with(x1), strings.Replace(src, "p=1", "p=2", 1), nil},
		"std/y, line 4 is not in it":      {memLibrary{}.with(x1, y), src + "#: use std/y\n", nil},
		"std/x is 1.1.0 by now, the lock": {memLibrary{}.with(x2), strings.Replace(src, "p=1", "", 1), nil},
		"the source changed":              {memLibrary{}.with(x1), src + "RUN true\n", nil},
		"param is not what it was":        {memLibrary{}.with(x1), src, func(o *Options) { o.Params = map[string]string{"x.p": "3"} }},
		"build-arg is not what it was":    {memLibrary{}.with(x1), src, func(o *Options) { o.BuildArgs = map[string]string{"V": "13"} }},
	} {
		l := *lock
		if why == "std/x is 1.1.0 by now, the lock" {
			l.Parts = slices.Clone(l.Parts)
			l.Source.Digest = digestOf([]byte(tc.text))
		}
		_, err := composeSource(t, tc.lib, tc.text, func(o *Options) {
			o.Lock, o.Locked = &l, true
			if tc.change != nil {
				tc.change(o)
			}
		})
		wantError(t, err, "P050", "("+why)
	}
}

// TestFindingsEndWithTheWorst has findings in the order that verify makes them.
func TestFindingsEndWithTheWorst(t *testing.T) {
	for _, tc := range []struct {
		codes []string
		want  int
	}{{nil, 0}, {[]string{"P050"}, 1}, {[]string{"P050", "P051"}, 3}, {[]string{"P050", "P061"}, 5}, {[]string{"P061", "P082", "P050"}, 3}} {
		var f Findings
		f.good("x", "well")
		f.note("x", "a note")
		for _, c := range tc.codes {
			f.bad("part x", Errorf(c, "x"))
		}
		if err := f.Err(); (err == nil) != (tc.want == 0) || ExitCode(err) != tc.want {
			t.Errorf("%v: %v, exit code %d, want %d", tc.codes, err, ExitCode(err), tc.want)
		}
	}
}
