// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	buildahcli "go.podman.io/buildah/pkg/cli"
)

// Result is what a build has made.
type Result struct {
	// Image is the ID of the image or, with Manifest, of the index; empty if the only result is Outputs.
	Image string `json:"image,omitempty"`
	// Composed are, with Print, the texts that the sources stand for. Nothing has been built then.
	Composed []string `json:"composed,omitempty"`
}

// ComposeError is an error of the composition of a source that has parts; nothing has been built.
type ComposeError struct{ Err error }

func (e *ComposeError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ComposeError) Unwrap() error { return e.Err }

// Console is where a build tells and puts what is not kept in the store.
type Console struct {
	Progress Progress  // never nil
	Stdout   io.Writer // gets what goes to -; nil: nobody
	Bars     io.Writer // is told of pulls and pushes; nil is nobody
}

// Build does a whole build, as its flags say, in this process; args has the context, if there is one. It changes TMPDIR and the format of the log,
// may make mounts, and when the build has failed leaves goroutines and files behind that wait for ever: it is for a process that ends
// after it, as the command `build` does. Any other calls Run, which has a process made that calls this.
func (b *Flags) Build(ctx context.Context, e *libctr.Engine, args []string, c Console) (Result, error) {
	r, err := b.build(ctx, e, args, c)
	if err != nil {
		return Result{}, err
	}
	return r, b.export(ctx, e, r.Image, c.Stdout, c.Bars)
}

func (b *Flags) build(ctx context.Context, e *libctr.Engine, args []string, c Console) (r Result, err error) {
	conf, err := e.Config()
	if err != nil {
		return r, err
	}
	if err := b.defaults(conf); err != nil {
		return r, err
	}
	if err := b.layers(); err != nil {
		return r, err
	}
	security, err := b.security(e)
	if err != nil {
		return r, err
	}
	s, err := Begin(ctx, e)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.End()) }()

	o, err := b.options(ctx, s, args)
	if err != nil {
		return r, err
	}
	note := func(notes []string) {
		for _, n := range notes {
			c.Progress.Show(Event{Kind: Note, Text: n})
		}
	}
	sources := slices.Clone(o.Files)
	if o.Files, err = b.compose.compose(ctx, e, &o.BuildOptions, o.Files, o.Names, note, c.Bars); err != nil {
		return r, &ComposeError{err}
	}
	if b.compose.print {
		r.Composed = b.compose.texts
		return r, nil
	}
	for i, f := range o.Files {
		if f != sources[i] {
			o.Names[f] = o.Names[sources[i]] + " (composed)"
		}
	}

	archive := s.divertArchive(&o)
	o.Progress = c.Progress
	o.Flags = b.given()
	o.AllowHostNetwork = slices.Contains(b.docker.allow, "network.host")
	o.Security = security
	o.DecryptionKeys = b.run.DecryptionKeys
	o.FormatGiven = b.set.Changed("format") || os.Getenv("BUILDAH_FORMAT") != ""
	o.Scan = b.scanner(e)
	defer quietLog()()
	if r.Image, err = s.Build(ctx, o); err != nil {
		return Result{}, err
	}
	if err := copyArchive(c.Stdout, archive); err != nil {
		return Result{}, err
	}
	return r, b.compose.built(e, r.Image, note)
}

// divertArchive has a file tree that is to go to standard output written to a file, whose path it returns; empty if there is none. Buildah 1.44 writes one after each
// step of the last stage: a file has the last of them in the end, a pipe would have them all.
func (s *Session) divertArchive(o *Options) (path string) {
	file := filepath.Join(s.tmp, "output.tar")
	for i, out := range o.BuildOutputs {
		fields, err := csvFields(out)
		if out == "-" || err == nil && fields["type"] == "tar" && fields["dest"] == "-" {
			o.BuildOutputs[i], path = "type=tar,dest="+file, file
		}
	}
	return path
}

func copyArchive(to io.Writer, path string) error {
	if path == "" || to == nil {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("write the files of the image: %w", err)
	}
	defer f.Close()
	if _, err := io.Copy(to, f); err != nil {
		return fmt.Errorf("write the files of the image: %w", err)
	}
	return nil
}

// options has buildah make its options of the flags and the context. Containerfiles that can be read only once are kept in files.
func (b *Flags) options(ctx context.Context, s *Session, args []string) (o Options, err error) {
	if err := checkContext(args); err != nil {
		return o, err
	}
	contexts := args
	if len(args) == 1 {
		dir, err := s.FetchContext(ctx, args[0], os.Stdin)
		if err != nil {
			return o, err
		}
		if dir != "" {
			contexts = []string{dir}
		}
	}
	cmd := &cobra.Command{} // what buildah reads flags from
	cmd.Flags().AddFlagSet(b.set)
	var files []string
	if o.BuildOptions, files, _, err = buildahcli.GenBuildOptions(cmd, contexts, b.cliOptions()); err != nil {
		return o, s.Reword(err, strings.Join(args, " "))
	}
	dir := o.ContextDirectory
	o.Names = b.names(args, dir)
	asked := slices.Clone(files)
	if files, err = s.Contain(dir, files); err != nil {
		return o, err
	}
	contained := files
	if files, err = s.KeepPipes(files); err != nil {
		return o, err
	}
	for i, f := range files {
		o.Names[f] = b.nameOf(args, dir, asked[i])
		if _, local := o.Names[dir]; o.Names[f] == standardInput || f != contained[i] {
			b.compose.read(f, dir, local)
		}
	}
	o.Files = files
	return o, ReadIgnoreFile(&o.BuildOptions, files)
}

// checkContext says of a context that is to be a directory, or a Containerfile, that it is not there.
func checkContext(args []string) error {
	if len(args) == 0 || args[0] == "-" || strings.Contains(args[0], "://") || strings.HasPrefix(args[0], "github.com/") {
		return nil
	}
	if _, err := os.Stat(args[0]); err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return hint.Add(fmt.Errorf("build context %q: %w", args[0], err), "the context is a directory, a URL, or - for standard input")
	}
	return nil
}

// names begins what Options.Names wants: the name of the context.
func (b *Flags) names(args []string, dir string) map[string]string {
	names := map[string]string{}
	if len(args) == 0 {
		names[dir] = "."
	} else if st, err := os.Stat(args[0]); err == nil && st.IsDir() {
		names[dir] = args[0]
	}
	return names
}

// standardInput is the name of a Containerfile that comes from there.
const standardInput = "standard input"

// nameOf is what the user calls a Containerfile: as it was given, or its path from where the user is, or in a context that was
// fetched its path in there.
func (b *Flags) nameOf(args []string, dir, file string) string {
	if file == "/dev/stdin" {
		return standardInput
	}
	if strings.Contains(file, "://") || slices.Contains(b.bud.File, file) {
		return file
	}
	if len(args) == 1 && args[0] == "-" {
		// A Containerfile in place of a context lies alone in the directory made for it.
		if all, err := os.ReadDir(dir); err == nil && len(all) == 1 && all[0].Name() == "Dockerfile" && len(b.bud.File) == 0 {
			return standardInput
		}
	}
	if _, local := b.names(args, dir)[dir]; !local {
		if rel, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(rel) {
			return rel
		}
		return filepath.Base(file)
	}
	if wd, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(wd, file); err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return file
}

// quietLog keeps lines of buildah's log back that an error says better, until the function that it returns is called.
func quietLog() func() {
	log := logrus.StandardLogger()
	before := log.Formatter
	log.SetFormatter(withoutNoise{before})
	return func() { log.SetFormatter(before) }
}

type withoutNoise struct{ logrus.Formatter }

func (f withoutNoise) Format(e *logrus.Entry) ([]byte, error) {
	for _, noise := range []string{
		"did not get container create message from subprocess", // the runtime's own words are told
		"error unmounting container: ",                         // of a stage that was cut off by another's error
	} {
		if strings.HasPrefix(e.Message, noise) {
			return nil, nil
		}
	}
	return f.Formatter.Format(e)
}
