// SPDX-License-Identifier: Apache-2.0

// Package trial builds and runs what parts make: a part on its bases, the checks of the parts in an image, and a part alone, to take the place
// of another version in an image. Each build has a process of its own (build.Run), and each check a container without a network.
package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
)

// Trial tries parts out, in the store of the project's engine.
type Trial struct {
	Project *project.Project
	Log     io.Writer // gets what builds log, in lines; nil: nobody
}

// FailedError says that something was built or run and is not as it should be.
type FailedError struct {
	What   string   // which part, on which base, and how it was built
	Output []string // the lines that were printed
	Err    error
}

func (e *FailedError) Error() string { return e.What + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *FailedError) Unwrap() error { return e.Err }

// failed is a FailedError, unless what failed was interrupted.
func failed(ctx context.Context, what string, l log, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return &FailedError{what, l.output(), err}
}

// log is what has happened in a build.
type log []build.Event

// Show makes log a build.Progress.
func (l *log) Show(e build.Event) { *l = append(*l, e) }

// Close makes log a build.Progress.
func (*log) Close() {}

// output is what was printed.
func (l log) output() (lines []string) {
	for _, e := range l {
		if e.Kind == build.Output {
			lines = append(lines, e.Text)
		}
	}
	return lines
}

// lastStep is what the last step has printed.
func (l log) lastStep() string {
	var printed strings.Builder
	for _, e := range l {
		switch e.Kind {
		case build.StepBegins:
			printed.Reset()
		case build.Output:
			if e.Text != "COMMIT" { // buildah's word after the last step
				printed.WriteString(e.Text + "\n")
			}
		}
	}
	return printed.String()
}

// built is the ID of the image; empty if there is none.
func (l log) built() string {
	for _, e := range slices.Backward(l) {
		if e.Kind == build.Built {
			return e.Image
		}
	}
	return ""
}

// build builds, and returns what has happened.
func (t *Trial) build(ctx context.Context, r build.Request) (log, error) {
	var l log
	r.Progress, r.Stderr = &l, t.Log
	_, err := build.Run(ctx, t.Project.Engine(), r)
	return l, err
}

// buildText builds a composed text, with an empty context.
func (t *Trial) buildText(ctx context.Context, text string) (_ log, err error) {
	dir, err := os.MkdirTemp("", "berth-partial-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "Containerfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	empty := filepath.Join(dir, "context")
	if err := os.Mkdir(empty, 0o700); err != nil {
		return nil, err
	}
	return t.build(ctx, build.Request{Files: []string{file}, Context: empty})
}

// matches looks for a check's pattern in what the check has printed.
func matches(c *partial.Check, printed string) error {
	if c.Match == "" {
		return nil
	}
	re, err := regexp.Compile("(?m)" + c.Match)
	if err != nil {
		return fmt.Errorf("the check's pattern: %w", err)
	}
	if !re.MatchString(printed) {
		return fmt.Errorf("the check printed %q, which does not match %s", strings.TrimSpace(printed), c.Match)
	}
	return nil
}
