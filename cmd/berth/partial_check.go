// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialTestCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var bases []string
	cmd := &cobra.Command{
		Use:   "test [options] [DIR]",
		Short: "Build a part on its bases, and run its check",
		Long: "Lints the part, and on each base builds it alone, as any builder would, then composed; then its check is run in the result. What the part\n" +
			"requires, and its packages, are put on the base before it is built alone. The bases are those of --base, else of DIR/test/bases (one a line),\n" +
			"else the default of ARG BASE.",
		Example: "berth partial test parts/nodejs --base docker.io/library/debian:12-slim",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			dir, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			o.File = "Containerfile"
			return withLibrary(o, "", func(pr *project.Project) error {
				part, err := partial.ReadPart(os.DirFS(dir), dir)
				if err != nil {
					return err
				}
				if bases, err = testBases(part, dir, bases); err != nil {
					return err
				}
				t := &partTest{project: pr, engine: f, part: part, dir: dir, params: o.Params, out: cmd.OutOrStdout(), talk: cmd.ErrOrStderr()}
				if p.format == "json" {
					t.out = io.Discard
				}
				for _, b := range bases {
					if err = t.on(cmd.Context(), b); err != nil {
						break
					}
				}
				if p.format == "json" {
					err = errors.Join(err, printJSON(cmd.OutOrStdout(), t.results))
				}
				return err
			})
		},
	}
	p.bindRegistry(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringArrayVar(&p.params, "param", nil, "`PART.NAME=VALUE` for a part's parameter (repeatable)")
	cmd.Flags().StringArrayVar(&bases, "base", nil, "`IMAGE` to test on (repeatable)")
	return cmd
}

// testBases chooses the images to test on.
func testBases(part *partial.Part, dir string, given []string) ([]string, error) {
	if len(given) > 0 {
		return given, nil
	}
	data, err := os.ReadFile(filepath.Join(dir, "test", "bases"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []string
	for l := range strings.Lines(string(data)) {
		if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
			list = append(list, l)
		}
	}
	if len(list) == 0 {
		list = []string{part.DefaultBase()}
	}
	if list[0] == "" {
		return nil, errors.New("there is no base to test on: name one with --base")
	}
	return list, nil
}

// partTest tests one part.
type partTest struct {
	project   *project.Project
	engine    *engineFlags
	part      *partial.Part
	dir       string
	params    map[string]string // by PART.NAME
	out, talk io.Writer
	results   []partTestResult
}

// partTestResult is what was found on one base.
type partTestResult struct {
	Part, Version, Base string
	Alone               bool   // it was built alone
	Composed            bool   // and composed
	Checked             bool   // and its check passed
	Error               string `json:",omitempty"`
}

// on tests the part on one base.
func (t *partTest) on(ctx context.Context, base string) error {
	r := partTestResult{Part: t.part.Meta.Name, Version: t.part.Meta.Version, Base: base}
	err := t.tryOn(ctx, base, &r)
	if err != nil {
		r.Error = errorText(err)
	}
	t.results = append(t.results, r)
	return err
}

func (t *partTest) tryOn(ctx context.Context, base string, r *partTestResult) error {
	facts, err := t.project.Bases.Base(ctx, base)
	if err != nil {
		return err
	}
	name := t.part.Meta.Name + " on " + base
	if stage := t.part.StageFor("install", facts.OS); stage != "" {
		ground, log, err := t.ground(ctx, base)
		if err != nil {
			return t.failed(name+", what it requires", log, err)
		}
		args := []string{"--target", stage, "--build-arg", "BASE=" + ground, "-f", filepath.Join(t.dir, "Containerfile")}
		for _, param := range slices.Sorted(maps.Keys(t.part.Meta.Params)) {
			for _, prefix := range []string{t.part.Meta.Name, path.Base(t.part.Meta.Name)} {
				if value, ok := t.params[prefix+"."+param]; ok {
					args = append(args, "--build-arg", t.part.ArgName(param)+"="+value)
				}
			}
		}
		log, err = t.build(ctx, append(args, t.dir)...)
		if err != nil {
			return t.failed(name+", built alone", log, err)
		}
		r.Alone = true
		fmt.Fprintf(t.out, "ok  %s, built alone\n", name)
	}
	src := fmt.Sprintf("FROM %s\n#: use %s\n", base, partial.QuoteWord(t.dir))
	made, err := t.project.ComposeText(ctx, []byte(src), nil)
	if err != nil {
		return err
	}
	text := made.Body
	var check *partial.Check
	for _, b := range made.Blocks {
		if b.Part.Meta.Name != t.part.Meta.Name {
			continue
		}
		if check, err = b.Part.CheckWith(b.Params); err != nil {
			return err
		}
	}
	if check != nil {
		// The variable keeps an earlier test's result from being taken.
		text += "ENV PARTIAL_CHECK=" + strconv.FormatInt(time.Now().UnixNano(), 36) + "\nRUN " + partial.ExecForm(check.Argv) + "\n"
	}
	log, err := t.buildText(ctx, text)
	if err != nil {
		return t.failed(name+", composed", log, err)
	}
	r.Composed = true
	if check != nil {
		if err := matches(check, log); err != nil {
			return t.failed(name+", its check", log, err)
		}
		r.Checked = true
		fmt.Fprintf(t.out, "ok  %s, composed, check passed\n", name)
		return nil
	}
	fmt.Fprintf(t.out, "ok  %s, composed (it has no check)\n", name)
	return nil
}

// ground returns an image to build the part alone on: the base, with what the part requires and its packages. It is the
// base itself where the part's layer does not depend on it, or there is nothing to add.
func (t *partTest) ground(ctx context.Context, base string) (string, []build.Event, error) {
	m := t.part.Meta
	if m.Layer == "detached" || len(m.Requires)+len(m.Packages) == 0 {
		return base, nil, nil
	}
	// JSON is YAML.
	meta, err := json.Marshal(partial.Meta{Name: m.Name, Version: m.Version, Summary: m.Summary, Base: m.Base, Params: m.Params, Requires: m.Requires, Packages: m.Packages})
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "berth-partial-")
	if err != nil {
		return "", nil, err
	}
	defer os.RemoveAll(dir)
	text := fmt.Sprintf("# /// partial\n# %s\n# ///\nARG BASE=%s\nFROM ${BASE} AS base\n", meta, base)
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	r, err := t.project.ComposeText(ctx, fmt.Appendf(nil, "FROM %s\n#: use %s\n", base, partial.QuoteWord(dir)), nil)
	if err != nil {
		return "", nil, err
	}
	log, err := t.buildText(ctx, r.Body)
	if err != nil {
		return "", log, err
	}
	for _, e := range log {
		if e.Kind == build.Built {
			return e.Image, log, nil
		}
	}
	return "", log, errors.New("the build named no image")
}

func (t *partTest) failed(what string, log []build.Event, err error) error {
	for _, e := range log {
		if e.Kind == build.Output {
			fmt.Fprintln(t.talk, e.Text)
		}
	}
	return &exitError{Code: 1, Err: fmt.Errorf("%s: %w", what, err)}
}

// matches looks for the pattern in what the last step has printed.
func matches(c *partial.Check, log []build.Event) error {
	var printed strings.Builder
	for _, e := range log {
		switch e.Kind {
		case build.StepBegins:
			printed.Reset()
		case build.Output:
			if e.Text != "COMMIT" { // buildah's word after the last step
				printed.WriteString(e.Text + "\n")
			}
		}
	}
	return matchesText(c, printed.String())
}

// matchesText looks for the pattern in what a check has printed.
func matchesText(c *partial.Check, printed string) error {
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

func (t *partTest) buildText(ctx context.Context, text string) (_ []build.Event, err error) {
	dir, err := os.MkdirTemp("", "berth-partial-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "Containerfile")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	context := filepath.Join(dir, "context")
	if err := os.Mkdir(context, 0o700); err != nil {
		return nil, err
	}
	return t.build(ctx, "-f", file, context)
}

// build runs the build command, and returns what happened in it.
func (t *partTest) build(ctx context.Context, args ...string) ([]build.Event, error) {
	cmd := newBuildCmd(t.engine)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(t.talk)
	cmd.SetArgs(append([]string{"--progress=json"}, args...))
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	err := cmd.ExecuteContext(ctx)
	var log []build.Event
	dec := json.NewDecoder(&out)
	for {
		var e build.Event
		if dec.Decode(&e) != nil {
			return log, err
		}
		log = append(log, e)
	}
}
