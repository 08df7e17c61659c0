package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/pflag"
	"go.podman.io/buildah/define"
)

// composeFlags are the flags of build that concern a source with parts.
type composeFlags struct {
	locked, offline, print bool
	profile                string
	params                 []string
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
func (c *composeFlags) compose(ctx context.Context, e *libctr.Engine, o *define.BuildOptions, files []string, out, talk io.Writer) (_ []string, printed bool, err error) {
	for i, file := range files {
		text, err := os.ReadFile(file)
		if err != nil || !project.IsSource(file, text) {
			continue // build reports what it cannot read
		}
		params, err := keyValues("--param", c.params)
		if err != nil {
			return nil, false, err
		}
		po := project.Options{Engine: e, File: file, Locked: c.locked, Offline: c.offline, Profile: c.profile, Params: params, BuildArgs: o.Args, Target: o.Target, Progress: progress(false)}
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
		if files[i], err = composedFile(r.Text); err != nil {
			return nil, false, err
		}
	}
	if c.print && !printed {
		return nil, false, errors.New("--print: none of the files has parts")
	}
	return files, printed, nil
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
