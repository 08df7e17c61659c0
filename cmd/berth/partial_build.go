// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/pflag"
	"go.podman.io/buildah/define"
	"go.podman.io/image/v5/transports/alltransports"
)

// composeFlags are the flags of build that concern a source with parts.
type composeFlags struct {
	locked, offline, print bool
	profile                string
	params                 []string

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
// removes. Files without parts are left as they are. It tells whether only the text was wanted.
func (c *composeFlags) compose(ctx context.Context, e *libctr.Engine, o *define.BuildOptions, files []string, names map[string]string, out, talk io.Writer) (_ []string, printed bool, err error) {
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !project.IsSource(file, text) {
			continue // build reports what it cannot read
		}
		params, err := keyValues("--param", c.params)
		if err != nil {
			return nil, false, err
		}
		dir, once := c.once[file]
		po := project.Options{Engine: e, File: file, Name: names[file], Dir: dir, Once: once, Locked: c.locked, Offline: c.offline, Profile: c.profile, Params: params, BuildArgs: o.Args, Target: o.Target, Progress: progress(false)}
		for _, p := range o.Platforms {
			if p.OS != "" && p.Arch != "" {
				po.Platforms = append(po.Platforms, p.OS+"/"+p.Arch)
			}
		}
		r, err := project.Compose(ctx, po)
		if err != nil {
			return nil, false, partialError(err)
		}
		printNotes(talk, r.Notes)
		if c.print {
			if _, err := io.WriteString(out, r.Text); err != nil {
				return nil, false, err
			}
			printed = true
			continue
		}
		if c.offline || len(files) == 1 && o.PullPolicy == define.PullIfMissing && !askedPlatform(o) && project.AllLocal(e, r) {
			// For buildah a file of several stages asks for a platform, and then even an image that is named by its
			// digest and is here is asked for in its registry (libimage, pull.go, "customPlatform").
			o.PullPolicy = define.PullNever
		}
		if err := project.KeepRecord(e, r, file, names[file]); err != nil {
			return nil, false, err
		}
		c.composed = append(c.composed, r.Text)
		if files[i], err = composedFile(r.Text); err != nil {
			return nil, false, err
		}
	}
	if c.print && !printed {
		return nil, false, errors.New("--print: none of the files has parts")
	}
	return files, printed, nil
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

// askedPlatform tells whether the build is for a platform that the user named: what is in the store by a digest can
// be of another one.
func askedPlatform(o *define.BuildOptions) bool {
	for _, p := range o.Platforms {
		if p.OS+p.Arch+p.Variant != "" {
			return true
		}
	}
	return o.AllPlatforms
}

// built notes what a build made of its composed text, and says which files two parts wrote.
func (c *composeFlags) built(e *libctr.Engine, id string, talk io.Writer) error {
	if len(c.composed) != 1 || id == "" {
		return nil
	}
	overlaps, err := project.KeepLayers(e, c.composed[0], id)
	printNotes(talk, overlaps)
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

// attachRecord sends the record of a composed image after the image, to a registry. That it cannot be sent does not undo
// the push.
func attachRecord(ctx context.Context, e *libctr.Engine, name, destination string, o image.RegistryOptions) {
	img, err := e.ImageView().Lookup(name, image.LookupOptions{})
	if err != nil {
		return // an index, or a name with a transport
	}
	c, err := img.Config()
	if err != nil || c.Config.Labels["dev.partials.digest"] == "" {
		return
	}
	if destination == "" {
		destination = img.Resolved
	}
	destination = strings.TrimPrefix(destination, "docker://")
	if destination == "" || strings.Contains(destination, "://") || alltransports.TransportFromImageName(destination) != nil {
		return
	}
	if _, err := project.AttachRecord(ctx, project.Options{Engine: e, Registry: o}, destination, img.ID, c.Config.Labels["dev.partials.digest"]); err != nil {
		slog.Warn("the image was pushed, but not the record of its composition", "image", destination, "error", err)
	}
}
