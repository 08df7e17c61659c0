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

	composed []string // the texts that are built
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
func (c *composeFlags) compose(ctx context.Context, e *libctr.Engine, o *define.BuildOptions, files []string, names []sourceName, out, talk io.Writer) (_ []string, printed bool, err error) {
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !project.IsSource(file, text) {
			continue // build reports what it cannot read
		}
		params, err := keyValues("--param", c.params)
		if err != nil {
			return nil, false, err
		}
		po := project.Options{Engine: e, File: file, Name: names[i].name, Dir: names[i].dir, Once: names[i].once, Locked: c.locked, Offline: c.offline, Profile: c.profile, Params: params, BuildArgs: o.Args, Target: o.Target, Progress: progress(false)}
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
		if err := project.KeepRecord(e, r, file, strings.Trim(names[i].name, "<>")); err != nil {
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

// sourceName is what the user knows a Containerfile by.
type sourceName struct {
	name, dir string // as in project.Options
	once      bool   // standard input or a pipe
}

// sourceNames are the names of Containerfiles that are found in a context or given by -f. What a context from elsewhere
// brought has the name that it has there, not that of the place where the context is kept.
func sourceNames(files []string, context string) []sourceName {
	names := make([]sourceName, len(files))
	wd, _ := os.Getwd()
	for i, f := range files {
		names[i].name = f
		st, err := os.Stat(f)
		switch {
		case f == "/dev/stdin":
			names[i] = sourceName{"<stdin>", context, true}
		case err == nil && st.Mode()&os.ModeNamedPipe != 0:
			names[i] = sourceName{f, context, true}
		default:
			for _, dir := range []string{context, wd} {
				if rel, err := filepath.Rel(dir, f); err == nil && filepath.IsAbs(f) && filepath.IsLocal(rel) && (dir == wd || strings.HasPrefix(dir, os.TempDir()+"/")) {
					names[i].name = rel
					break
				}
			}
		}
	}
	return names
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
