// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/berth-containers/berth/build/copier"
	"github.com/berth-containers/berth/build/rewrite"
	"go.podman.io/buildah/define"
)

// prepared returns the Containerfiles to build in place of o.Files, changed so that buildah does what they say, and what
// turns the changed words into the user's again. It tells the helpers that copy files what the ignore files leave out.
func (s *Session) prepared(o *Options, rec *recipe) ([]string, func(string) string, error) {
	if err := s.planCopies(o); err != nil {
		return nil, nil, err
	}
	contexts := map[string]string{}
	for name, c := range o.AdditionalBuildContexts {
		contexts[name] = contextDir(c)
	}
	r, err := rewrite.Containerfiles(rec.texts, rewrite.Options{Target: o.Target, Args: o.Args, Context: o.ContextDirectory, Contexts: contexts})
	var at *rewrite.Error
	if errors.As(err, &at) {
		return nil, nil, &StepError{File: o.name(o.Files[at.File]), Line: at.Node.StartLine, Instruction: at.Node.Original, Err: at.Err}
	}
	if err != nil {
		return nil, nil, err
	}
	o.Target = r.Target
	files := slices.Clone(o.Files)
	for i, text := range r.Texts {
		if len(rec.texts) == 1 && !o.SaveStages && o.From == "" {
			// Equal stages are built once.
			if c, ok := coalesce(text, o.Target); ok {
				text = c
			}
		}
		if string(text) == string(rec.texts[i]) {
			continue
		}
		files[i] = filepath.Join(s.tmp, fmt.Sprintf("Containerfile.%d", i))
		if err := os.WriteFile(files[i], text, 0o600); err != nil {
			return nil, nil, err
		}
	}
	return files, func(text string) string { return s.withPaths(r.Shown.Replace(text)) }, nil
}

// contextDir is the directory of a further context; empty if it is an image or fetched.
func contextDir(c *define.AdditionalBuildContext) string {
	switch {
	case c.IsURL:
		return c.DownloadedCache
	case c.IsImage:
		return ""
	}
	return c.Value
}

// containerfile reads one as buildah finds it: by its name from here, else in the context.
func containerfile(o *Options, name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(name) {
		text, err = os.ReadFile(filepath.Join(o.ContextDirectory, name))
	}
	return text, err
}

// planCopies tells the helpers what the ignore files leave out, and has buildah leave out nothing itself.
func (s *Session) planCopies(o *Options) error {
	p := copier.Plan{Ignore: o.Excludes, Contexts: map[string][]string{}}
	o.Excludes = []string{rewrite.Mark} // else buildah reads the file itself
	for name, c := range o.AdditionalBuildContexts {
		if c.IsImage || c.IsURL {
			continue
		}
		dir := c.Value
		ignore, err := findIgnoreFile(dir, nil)
		if err != nil {
			return fmt.Errorf("context %s: %w", name, err)
		}
		if ignore == "" {
			continue
		}
		patterns, err := readIgnoreFile(ignore)
		if err != nil {
			return fmt.Errorf("context %s: %w", name, err)
		}
		p.Contexts[dir] = patterns
		// Of what has been fetched already buildah reads no ignore file.
		local := *c
		local.IsURL, local.DownloadedCache = true, dir
		o.AdditionalBuildContexts[name] = &local
	}
	return p.Write(s.tmp)
}

// userWords is an error of buildah's whose text has the user's words.
type userWords struct {
	error
	text string
}

func (e userWords) Error() string { return e.text }

func (e userWords) Unwrap() error { return e.error }

func inUsersWords(shown func(string) string, err error) error {
	if err == nil {
		return nil
	}
	if text := shown(err.Error()); text != err.Error() {
		return userWords{err, text}
	}
	return err
}
