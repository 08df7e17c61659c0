// SPDX-License-Identifier: Apache-2.0

//go:build !lean

// Package partial has the commands on partial container files: composing, checking and publishing parts.
package partial

import (
	"context"
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
	"github.com/berth-containers/berth/build/partial/trial"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// NewGroup returns the group `partial`.
func NewGroup(g *cli.Global) *cobra.Command {
	group := cli.Group("partial", "Compose Containerfiles from parts, publish and check parts",
		NewCompose(g), NewEject(g), NewAdd(g), NewRemove(g), NewInit(g), NewLint(g), NewUpdate(g), NewOutdated(g), NewTree(g), NewWhy(g), NewInspect(g),
		NewPack(g), NewPush(g), NewPull(g), NewLs(g), NewSearch(g), NewYank(g), NewPrune(g), NewExtract(g), NewVerify(g), NewTest(g), NewImport(g), NewRebase(g))
	group.Long = "Composes Containerfiles from parts (partial container files), and manages parts: see docs/partials-format.md.\n\n" +
		"Exit codes: 0 good, 1 wrong use or lint, 2 no solution, 3 something is not what it was, 4 network, 5 policy, 125 other."
	return group
}

// common are the flags that most commands have.
type common struct {
	opts      project.Options
	file      string
	params    []string
	buildArgs []string
	registry  flags.Registry
	format    format
}

func (c *common) bindSource(f *pflag.FlagSet) {
	f.StringVarP(&c.file, "file", "f", "", "`FILE` to work on (default: Containerfile, Dockerfile or partials.yaml, whichever exists)")
	f.StringVar(&c.opts.Profile, "profile", "", "`PROFILE` of a requirement file to build")
}

func (c *common) bindRegistry(f *pflag.FlagSet) {
	c.registry.Bind(f)
	f.BoolVar(&c.opts.Offline, "offline", false, "use only what is in local storage")
}

func (c *common) bindCompose(f *pflag.FlagSet) {
	c.bindSource(f)
	c.bindRegistry(f)
	f.BoolVar(&c.opts.Locked, "locked", false, "fail if the lock would change")
	f.StringArrayVar(&c.params, "param", nil, "set a part's parameter: `PART.NAME=VALUE` (repeatable)")
	f.StringArrayVar(&c.buildArgs, "build-arg", nil, "set an ARG that FROM lines read: `NAME=VALUE` (repeatable)")
	f.StringSliceVar(&c.opts.Platforms, "platform", nil, "`OS/ARCH` that parts must support (comma-separated list)")
	f.StringVar(&c.opts.Target, "target", "", "`STAGE` to end with")
	f.BoolVar(&c.opts.NoLink, "no-link", false, "omit --link, for builders that do not know it")
}

// format is the value of --format: text or json.
type format string

func (o *format) bind(f *pflag.FlagSet) { f.StringVar((*string)(o), "format", "text", "text or json") }

func (o format) json() bool { return o == "json" }

func (o format) check() error {
	if o != "" && o != "text" && o != "json" {
		return fmt.Errorf("--format %q: must be text or json", string(o))
	}
	return nil
}

// onSource has do work on the source of the flags; set, if there is one, changes the options before.
func (c *common) onSource(ctx context.Context, call cli.Call, set func(*project.Options), do func(*project.Project) error) error {
	o, err := c.source(ctx, call)
	if err != nil {
		return err
	}
	if set != nil {
		set(&o)
	}
	p, err := project.Open(o)
	if err != nil {
		return Coded(project.Hinted(err, o.File))
	}
	return Coded(errors.Join(do(p), p.Close()))
}

// onLibrary has do work with the parts that are reachable from the working directory.
func (c *common) onLibrary(ctx context.Context, call cli.Call, do func(*project.Project) error) error {
	o, err := c.options(ctx, call)
	if err != nil {
		return err
	}
	return withLibrary(o, ".", do)
}

// withLibrary opens the parts that are reachable from a directory, lets work use them, and cleans up.
func withLibrary(o project.Options, dir string, work func(*project.Project) error) error {
	p, err := project.OpenDir(o, dir)
	if err != nil {
		return err
	}
	return Coded(errors.Join(work(p), p.Close()))
}

// options completes the flags with the engine.
func (c *common) options(ctx context.Context, call cli.Call) (project.Options, error) {
	o := c.opts
	err := c.format.check()
	if err != nil {
		return o, err
	}
	if o.Registry, err = c.registry.Options(); err != nil {
		return o, err
	}
	if o.Engine, err = call.Open(ctx); err != nil {
		return o, err
	}
	if o.Params, err = keyValues("--param", c.params); err != nil {
		return o, err
	}
	if o.BuildArgs, err = keyValues("--build-arg", c.buildArgs); err != nil {
		return o, err
	}
	o.Progress = console.Progress(false)
	return o, nil
}

// source is options with the file to work on.
func (c *common) source(ctx context.Context, call cli.Call) (project.Options, error) {
	o, err := c.options(ctx, call)
	if err != nil {
		return o, err
	}
	o.File, err = sourceFile(c.file)
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

// directory is the argument of a command on a folder, which is the working directory by default.
func directory(args []string) string {
	if len(args) == 1 {
		return args[0]
	}
	return "."
}

// Coded gives errors of composition their exit codes.
func Coded(err error) error {
	if err == nil {
		return nil
	}
	var exit *cli.ExitError
	if errors.As(err, &exit) {
		return err
	}
	var network *registry.NetworkError
	var dial *net.OpError
	var failed *trial.FailedError
	if errors.As(err, &failed) {
		return &cli.ExitError{Code: 1, Err: err}
	} else if code := partial.ExitCode(err); code != 0 {
		return &cli.ExitError{Code: code, Err: err}
	} else if errors.As(err, &network) || errors.As(err, &dial) {
		return &cli.ExitError{Code: 4, Err: err}
	}
	return err
}

// PrintNotes prints notes on a composition.
func PrintNotes(w io.Writer, notes []string) {
	for _, n := range notes {
		fmt.Fprintf(w, "Note: %s\n", visible.Line(n))
	}
}

// writeOutput writes to a file, or to w if file is "" or "-".
func writeOutput(w io.Writer, file, text string) error {
	if file == "" || file == "-" {
		_, err := io.WriteString(console.Exact(w), text)
		return err
	}
	return os.WriteFile(filepath.Clean(file), []byte(text), 0o644)
}
