// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.podman.io/buildah/define"
)

// several is what buildah makes of more than one error.
type several []error

func (s several) Error() string {
	return fmt.Sprintf("%d errors occurred:\n\t* %v\n\t* %v", len(s), s[0], s[1])
}
func (s several) WrappedErrors() []error { return s }

// What buildah 1.44 says, with what of it the user is told.
func TestErrorsOfBuildahAreReworded(t *testing.T) {
	const merge = "/s/berth/builds/0123456789ab/buildah-context-42/overlay/7/merge"
	s := &Session{tmp: "/s/berth/builds/0123456789ab"}
	o := &Options{BuildOptions: define.BuildOptions{ContextDirectory: "/home/u/ctx"}}
	wrap := func(prefix string, err error) error { return fmt.Errorf("%s: %w", prefix, err) }
	for _, c := range []struct {
		err  error
		want string
		line int
	}{
		{wrap(`building at STEP "COPY x /x"`, errors.New(`checking on sources under "`+merge+`": copier: stat: "/x": no such file or directory`)), `"/x": no such file or directory`, 0},
		{wrap(`building at STEP "COPY d /x"`, errors.New(`reading "`+merge+`/d": error during bulk transfer for copier.request{Request:"GET", Root:"/", Put:copier.PutOptions{UIDMap:[]idtools.IDMap(nil)}}: copier: get: lstat "/d"("/nowhere"): lstat /nowhere: no such file or directory`)),
			`"/d" is a link to /nowhere: no such file or directory`, 0},
		{errors.New(`resolving step {Value:env Next:0x30155b2b4bd0 Children:[] Original:ENV a="b Flags:[] StartLine:12 EndLine:12}: unexpected end of statement`), "unexpected end of statement", 12},
		{wrap(`building at STEP "RUM "`, errors.New(`Build error: Unknown instruction: "RUM" &imagebuilder.Step{Env:[]string{"A=b"}, Command:"rum"}`)), `unknown instruction "RUM"`, 0},
		{wrap(`building at STEP "RUN x"`, wrap(`resolving mountpoints for container "0e7e"`, errors.New(`invalid mount type "foo"`))), `invalid mount type "foo"`, 0},
		{errors.New(`cloning "https://h/x.git" to "/s/berth/builds/0123456789ab/77":` + "\nfatal: unable to access\n: failed while performing `git fetch`: exit status 128"),
			"cloning \"https://h/x.git\": fatal: unable to access: failed while performing `git fetch`: exit status 128", 0},
		{errors.New("open /s/berth/builds/0123456789ab/x/y: permission denied"), "open a temporary directory: permission denied", 0},
		{errors.New("stat /home/u/ctx/a/b: no such file or directory"), "stat /a/b: no such file or directory", 0},
		{errors.New(`something new: &imagebuilder.Step{Env:[]string{"A"}} broke`), "something new:  broke", 0},
		{wrap("[linux/arm64]", wrap("creating build container", errors.New("localhost/x: image not known"))), "localhost/x: image not known", 0},
		{wrap(`building at STEP "COPY x /y"`, several{errors.New("reading: io: read/write on closed pipe"), errors.New(`storing "/x": copier: put: error creating "/y/x": error opening file "/y/x" for writing: open /y/x: not a directory`)}),
			"write /y/x: not a directory", 0},
		{errors.New("mkdir /s/overlay/" + strings.Repeat("a", 64) + "/merged/etc/x: not a directory"), "mkdir /etc/x: not a directory", 0},
	} {
		got, line := s.reword(c.err, o, "/s")
		if got != c.want || line != c.line {
			t.Errorf("%v\n got %q, line %d\nwant %q, line %d", c.err, got, line, c.want, c.line)
		}
	}
}

func TestAStepErrorShowsTheFirstLineOfTheInstruction(t *testing.T) {
	long := strings.Repeat("x", 300)
	for want, e := range map[string]*StepError{
		"Containerfile:3: RUN a: no":  {File: "Containerfile", Line: 3, Instruction: "RUN a", Err: errors.New("no")},
		"Containerfile: no":           {File: "Containerfile", Err: errors.New("no")},
		"no":                          {Err: errors.New("no")},
		"f:1: RUN <<E …: no":          {File: "f", Line: 1, Instruction: "RUN <<E\necho\nE", Err: errors.New("no")},
		"f:1: RUN [2Ja: no":           {File: "f", Line: 1, Instruction: "RUN \x1b[2Ja", Err: errors.New("no")},
		"f:1: " + long[:99] + "…: no": {File: "f", Line: 1, Instruction: long, Err: errors.New("no")},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	}
}

func TestAStepIsFoundInTheContainerfile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Containerfile")
	text := "ARG X\n\nFROM a AS one\nRUN [\"x\", \"y\"]\n\nFROM one\n# c\nRUN a \\\n  b\nENV c=d\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := readRecipe(&Options{Files: []string{file}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		step Event
		line int
	}{
		{Event{Stage: 1, Step: 1, Steps: 2}, 3}, {Event{Stage: 1, Step: 2, Steps: 2}, 4}, {Event{Stage: 2, Step: 2, Steps: 3}, 8}, {Event{Stage: 2, Step: 3, Steps: 3}, 10},
		{Event{Stage: 2, Step: 3, Steps: 5, Text: "RUN a   b"}, 8}, // a trigger of the base image stands before it
		{Event{Stage: 2, Step: 2, Steps: 5, Text: "RUN of the base"}, 0}, {Event{}, 0}, {Event{Stage: 9, Step: 1}, 0},
	} {
		line := 0
		if n := r.node(c.step); n != nil {
			line = n.StartLine
		}
		if line != c.line {
			t.Errorf("%+v is found in line %d, want %d", c.step, line, c.line)
		}
	}
}

func TestLogLinesBecomeWarnings(t *testing.T) {
	for line, want := range map[string]string{
		`time="2026-11-29T03:31:03Z" level=warning msg="missing \"FOO\" build argument. Try adding \"--build-arg FOO=<VALUE>\" to the command line"`: "ARG FOO has no value: give it one with --build-arg FOO=VALUE",
		`time="x" level=warning msg="missing \"BUILDPLATFORM\" build argument. Try"`:                                                                 "",
		`time="x" level=warning msg="HEALTHCHECK is not supported for OCI image format and will be ignored."`:                                        "",
		`time="x" level=warning msg="SHELL is not persisted in the OCI image format"`:                                                                "",
		`time="x" level=error msg="+(UNHANDLED LOGLEVEL) &imagebuilder.Step{}"`:                                                                      "",
		`time="x" level=warning msg=short`:                          "short",
		`[Warning] one or more build args were not consumed: [A B]`: "no ARG takes the --build-arg A, B",
		"STEP 1/2: FROM x":                                          "not a log line",
	} {
		got, ok := logged(line)
		if !ok {
			got = "not a log line"
		}
		if got != want {
			t.Errorf("%s\n got %q\nwant %q", line, got, want)
		}
	}
}
