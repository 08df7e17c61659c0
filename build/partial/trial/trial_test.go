// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/build/partial"
)

func TestLog(t *testing.T) {
	var l log
	for _, e := range []build.Event{
		{Kind: build.StepBegins, Text: "RUN one"},
		{Kind: build.Output, Text: "of one"},
		{Kind: build.StepDone},
		{Kind: build.StepBegins, Text: "RUN two"},
		{Kind: build.Output, Text: "of two"},
		{Kind: build.Output, Text: "and more"},
		{Kind: build.Output, Text: "COMMIT"},
		{Kind: build.Built, Image: "first"},
		{Kind: build.Built, Image: "last"},
	} {
		l.Show(e)
	}
	if got := strings.Join(l.output(), "|"); got != "of one|of two|and more|COMMIT" {
		t.Errorf("output %q", got)
	}
	if got := l.lastStep(); got != "of two\nand more\n" {
		t.Errorf("last step %q", got)
	}
	if got := l.built(); got != "last" {
		t.Errorf("built %q", got)
	}
	if (log{}).built() != "" || (log{}).lastStep() != "" || (log{}).output() != nil {
		t.Error("something of a build that printed nothing")
	}
}

func TestFailed(t *testing.T) {
	cause := errors.New("exit code 7")
	l := log{{Kind: build.Output, Text: "last words"}}
	err := failed(t.Context(), "x on y, built alone", l, cause)
	var f *FailedError
	if !errors.As(err, &f) || err.Error() != "x on y, built alone: exit code 7" || strings.Join(f.Output, "") != "last words" || !errors.Is(err, cause) {
		t.Errorf("got %#v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := failed(ended, "x", l, cause); errors.As(err, &f) || !errors.Is(err, cause) {
		t.Errorf("an interrupted one is a failure of the part's: %#v", err)
	}
}

func TestMatches(t *testing.T) {
	for name, tc := range map[string]struct{ pattern, printed, err string }{
		"no pattern":     {"", "anything", ""},
		"somewhere":      {"v[0-9]+", "this is v22\n", ""},
		"a whole line":   {"^v22$", "first\nv22\n", ""},
		"another":        {"^v22$", "v23\n", `the check printed "v23", which does not match ^v22$`},
		"nothing at all": {".", "", `the check printed "", which does not match .`},
		"no pattern's":   {"(", "x", "the check's pattern: "},
	} {
		err := matches(&partial.Check{Match: tc.pattern}, tc.printed)
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.err)) {
			t.Errorf("%s: %v, want %q", name, err, tc.err)
		}
	}
}

const part = `# /// partial
# name: test/app
# version: 1.0.0
# summary: An app.
# params:
#   port: {type: port, default: "80"}
#   user: {type: string, default: app, enum: [app, me]}
# ///
ARG BASE
FROM ${BASE} AS base
FROM base AS install
ARG APP_PORT=80
ARG APP_USER=app
RUN echo "$APP_PORT $APP_USER" >/app
`

func TestPartTest(t *testing.T) {
	p, err := partial.NewPart("Containerfile", part, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		params map[string]string
		want   string
	}{
		"none":             {nil, ""},
		"by the last word": {map[string]string{"app.port": "81"}, "APP_PORT=81"},
		"by the name":      {map[string]string{"test/app.user": "me", "app.port": "81"}, "APP_PORT=81 APP_USER=me"},
		"of another part":  {map[string]string{"web.port": "81"}, ""},
	} {
		test := PartTest{Part: p, Params: tc.params}
		if got := strings.Join(test.args(), " "); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}

	var passed []string
	(&PartTest{Passed: func(what string) { passed = append(passed, what) }}).passed("built alone")
	(&PartTest{}).passed("nobody is told")
	if len(passed) != 1 || passed[0] != "built alone" {
		t.Errorf("passed %q", passed)
	}
	for dir, want := range map[string]string{
		"/parts/app":    "FROM debian:12\n#: use /parts/app\n",
		"/my parts/app": "FROM debian:12\n#: use '/my parts/app'\n",
	} {
		if got := use("debian:12", dir); got != want {
			t.Errorf("use(%q) = %q, want %q", dir, got, want)
		}
	}
	// What requires nothing is built on the base itself.
	if ground, _, err := (&PartTest{Part: p}).ground(t.Context(), "debian:12"); ground != "debian:12" || err != nil {
		t.Errorf("ground %q, %v", ground, err)
	}
}
