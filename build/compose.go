// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/pflag"
	"go.podman.io/buildah/define"
)

// composeFlags are the flags of build that concern a source with parts.
type composeFlags struct {
	locked, offline, print bool
	profile                string
	params                 []string

	texts    []string          // what --print prints
	composed []string          // the texts that are built
	once     map[string]string // copies of Containerfiles that are kept nowhere, and the directory that each refers to
}

func (c *composeFlags) bind(fl *pflag.FlagSet) {
	fl.BoolVar(&c.locked, "locked", os.Getenv("CI") == "true", "with parts: fail if the lock would change (default true where CI=true)")
	fl.BoolVar(&c.offline, "offline", false, "with parts: compose from local storage only")
	fl.StringVar(&c.profile, "profile", "", "with a requirement file: `PROFILE` of its environment")
	fl.StringArrayVar(&c.params, "param", nil, "with parts: `PART.NAME=VALUE` for a part's parameter (repeatable)")
	fl.BoolVar(&c.print, "print", false, "with parts: print the composed file and build nothing")
}

// compose replaces each source among files by a file with its composed text, in TMPDIR, which a build session
// removes. Files without parts are left as they are. note is told what to know of a composition, bars of pulls.
func (c *composeFlags) compose(ctx context.Context, e *libctr.Engine, o *define.BuildOptions, files []string, names map[string]string, note func([]string), bars io.Writer) (_ []string, err error) {
	params, err := keyValues("param", c.params)
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !project.IsSource(file, text) {
			continue // build reports what it cannot read
		}
		dir, once := c.once[file]
		po := project.Options{Engine: e, File: file, Name: names[file], Dir: dir, Once: once, Locked: c.locked, Offline: c.offline, Profile: c.profile, Params: params, BuildArgs: o.Args, Target: o.Target, Progress: bars}
		for _, p := range o.Platforms {
			if p.OS != "" && p.Arch != "" {
				po.Platforms = append(po.Platforms, p.OS+"/"+p.Arch)
			}
		}
		r, err := project.Compose(ctx, po)
		if err != nil {
			return nil, err
		}
		note(r.Notes)
		if c.print {
			c.texts = append(c.texts, r.Text)
			continue
		}
		if c.offline || len(files) == 1 && o.PullPolicy == define.PullIfMissing && !askedPlatform(o) && project.AllLocal(e, r) {
			// For buildah a file of several stages asks for a platform, and then even an image that is named by its
			// digest and is here is asked for in its registry (libimage, pull.go, "customPlatform").
			o.PullPolicy = define.PullNever
		}
		if err := project.KeepRecord(e, r, file, names[file]); err != nil {
			return nil, err
		}
		c.composed = append(c.composed, r.Text)
		if files[i], err = composedFile(r.Text); err != nil {
			return nil, err
		}
	}
	if c.print && len(c.texts) == 0 {
		return nil, field.Errorf("%s: none of the files has parts", field.Name("print"))
	}
	return files, nil
}

// read notes that a Containerfile is a copy of what can be read once only. What it refers to is then relative to the
// context, or to where the user is if the context is from elsewhere.
func (c *composeFlags) read(file, context string, local bool) {
	if c.once == nil {
		c.once = map[string]string{}
	}
	c.once[file] = "."
	if local {
		c.once[file] = context
	}
}

// askedPlatform reports whether the build is for a platform that the user named: what is in the store by a digest can
// be of another one.
func askedPlatform(o *define.BuildOptions) bool {
	for _, p := range o.Platforms {
		if p.OS+p.Arch+p.Variant != "" {
			return true
		}
	}
	return o.AllPlatforms
}

// built notes what a build made of its composed text; note is told which files two parts wrote.
func (c *composeFlags) built(e *libctr.Engine, id string, note func([]string)) error {
	if len(c.composed) != 1 || id == "" {
		return nil
	}
	overlaps, err := project.KeepLayers(e, c.composed[0], id)
	note(overlaps)
	return err
}

func composedFile(text string) (string, error) {
	f, err := os.CreateTemp("", "composed-*")
	if err != nil {
		return "", fmt.Errorf("write the composed file: %w", err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("write the composed file: %w", err)
	}
	return filepath.Clean(f.Name()), nil
}

func keyValues(name field.Name, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	m := map[string]string{}
	for _, s := range list {
		k, v, ok := strings.Cut(s, "=")
		if !ok {
			return nil, field.Errorf("%s %s: write NAME=VALUE", name, s)
		}
		m[k] = v
	}
	return m, nil
}
