// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/visible"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newPartialGroup returns the commands on partial container files.
func newPartialGroup(f *engineFlags) *cobra.Command {
	g := group("partial", "Compose Containerfiles from parts, publish and check parts",
		newPartialComposeCmd(f), newPartialEjectCmd(f), newPartialAddCmd(f), newPartialRemoveCmd(f), newPartialInitCmd(f), newPartialLintCmd(f),
		newPartialUpdateCmd(f), newPartialOutdatedCmd(f), newPartialTreeCmd(f), newPartialWhyCmd(f), newPartialInspectCmd(f),
		newPartialPackCmd(f), newPartialPushCmd(f), newPartialPullCmd(f), newPartialLsCmd(f), newPartialSearchCmd(f), newPartialYankCmd(f), newPartialPruneCmd(f), newPartialExtractCmd(f), newPartialVerifyCmd(f), newPartialTestCmd(f), newPartialImportCmd(f), newPartialRebaseCmd(f))
	g.Long = "Composes Containerfiles from parts (partial container files), and manages parts: see docs/partials-format.md.\n\n" +
		"Exit codes: 0 good, 1 wrong use or lint, 2 no solution, 3 something is not what it was, 4 network, 5 policy, 125 other."
	return g
}

// partialFlags are the flags of commands on a source.
type partialFlags struct {
	opts      project.Options
	file      string
	params    []string
	buildArgs []string
	registry  registryFlags
	format    string
}

func (p *partialFlags) bindSource(fl *pflag.FlagSet) {
	fl.StringVarP(&p.file, "file", "f", "", "`FILE` to work on (default: Containerfile, Dockerfile or partials.yaml, whichever is there)")
	fl.StringVar(&p.opts.Profile, "profile", "", "`PROFILE` of a requirement file to build")
}

func (p *partialFlags) bindRegistry(fl *pflag.FlagSet) {
	p.registry.bind(fl)
	fl.BoolVar(&p.opts.Offline, "offline", false, "use what is in local storage only")
}

func (p *partialFlags) bindCompose(fl *pflag.FlagSet) {
	p.bindSource(fl)
	p.bindRegistry(fl)
	fl.BoolVar(&p.opts.Locked, "locked", false, "fail if the lock would change")
	fl.StringArrayVar(&p.params, "param", nil, "`PART.NAME=VALUE` for a part's parameter (repeatable)")
	fl.StringArrayVar(&p.buildArgs, "build-arg", nil, "`NAME=VALUE` for an ARG that FROM lines read (repeatable)")
	fl.StringSliceVar(&p.opts.Platforms, "platform", nil, "`OS/ARCH` that parts must support (comma-separated list)")
	fl.StringVar(&p.opts.Target, "target", "", "`STAGE` to end with")
	fl.BoolVar(&p.opts.NoLink, "no-link", false, "leave --link out, for builders that do not know it")
}

func (p *partialFlags) bindFormat(fl *pflag.FlagSet) {
	bindFormat(fl, &p.format)
}

func bindFormat(fl *pflag.FlagSet, format *string) {
	fl.StringVar(format, "format", "text", "text or json")
}

func checkFormat(format string) error {
	if format != "" && format != "text" && format != "json" {
		return fmt.Errorf("--format %q: must be text or json", format)
	}
	return nil
}

// options completes the flags with the engine.
func (p *partialFlags) options(cmd *cobra.Command, f *engineFlags) (project.Options, error) {
	o := p.opts
	err := checkFormat(p.format)
	if err != nil {
		return o, err
	}
	if o.Registry, err = p.registry.options(cmd); err != nil {
		return o, err
	}
	if o.Engine, err = f.open(cmd.Context()); err != nil {
		return o, err
	}
	if o.Params, err = keyValues("--param", p.params); err != nil {
		return o, err
	}
	if o.BuildArgs, err = keyValues("--build-arg", p.buildArgs); err != nil {
		return o, err
	}
	o.Progress = progress(false)
	return o, nil
}

// source is options with the file to work on.
func (p *partialFlags) source(cmd *cobra.Command, f *engineFlags) (project.Options, error) {
	o, err := p.options(cmd, f)
	if err != nil {
		return o, err
	}
	o.File, err = sourceFile(p.file)
	return o, err
}

func keyValues(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m := map[string]string{}
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			v, ok = os.LookupEnv(k)
			if !ok || flag != "--build-arg" {
				return nil, fmt.Errorf("%s %s: write NAME=VALUE", flag, s)
			}
		}
		m[k] = v
	}
	return m, nil
}

// sourceFile returns the file to work on.
func sourceFile(given string) (string, error) {
	if given != "" {
		return given, nil
	}
	names := []string{"Containerfile", "Dockerfile", "partials.yaml"}
	for _, n := range names {
		if _, err := os.Stat(n); err == nil {
			return n, nil
		}
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return "", hint.Add(fmt.Errorf("there is no %s in %s", strings.Join(names, ", "), dir), "name the file with -f FILE")
}

// partialError gives errors of composition their exit codes.
func partialError(err error) error {
	if err == nil {
		return nil
	}
	var exit *exitError
	if errors.As(err, &exit) {
		return err
	}
	var network *registry.NetworkError
	var dial *net.OpError
	if code := partial.ExitCode(err); code != 0 {
		return &exitError{Code: code, Err: err}
	} else if errors.As(err, &network) || errors.As(err, &dial) {
		return &exitError{Code: 4, Err: err}
	}
	return err
}

// withProject opens the source, lets work use it, and cleans up.
func withProject(o project.Options, work func(*project.Project) error) (err error) {
	p, err := project.Open(o)
	if err != nil {
		return partialError(project.Hinted(err, o.File))
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return partialError(work(p))
}

// withLibrary opens the parts that are reachable from a directory, the working one if dir is empty.
func withLibrary(o project.Options, dir string, work func(*project.Project) error) (err error) {
	if dir == "" {
		dir = "."
	}
	p, err := project.OpenDir(o, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return partialError(work(p))
}

func printNotes(w io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(w, "Note: %s\n", visible.Line(n))
	}
}

// writeOutput writes to a file, or to w if file is "" or "-".
func writeOutput(w io.Writer, file, text string) error {
	if file == "" || file == "-" {
		_, err := io.WriteString(exact(w), text)
		return err
	}
	return os.WriteFile(filepath.Clean(file), []byte(text), 0o644)
}
