// SPDX-License-Identifier: Apache-2.0

// Package project composes a source on disk: it finds partials.conf and the lock next to the
// source, takes parts from their registries and bases from the engine's store, and writes the
// lock. `berth build` and `berth partial` go through it.
package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/image/v5/types"
)

// Options say what to compose and how.
type Options struct {
	Engine *libctr.Engine
	File   string // the source; its lock is FILE.lock
	Name   string // what messages and the header call it; "" is File
	Dir    string // what partials.conf and relative references are looked for in; "" is that of File
	Once   bool   // the source is not kept anywhere, so it has no lock

	Locked  bool     // fail if the lock would change
	Offline bool     // use what is in local storage only
	Update  bool     // take nothing from the lock
	Only    []string // with Update: only these parts; the others stay
	Profile string   // of a requirement file

	BuildArgs map[string]string
	Params    map[string]string // NAME.PARAM to value
	Platforms []string
	Target    string
	NoLink    bool

	Registry image.RegistryOptions
	Progress io.Writer // is told of pulls; nil is nobody
}

// Project is a source with all that it is composed from. Close it.
type Project struct {
	opts  Options
	text  []byte
	lock  *partial.Lock
	Conf  *Conf
	Parts *registry.Library
	Bases *base.Images
}

// IsSource reports whether a Containerfile has to be composed: it has directives, or it is a requirement file.
func IsSource(file string, text []byte) bool {
	ext := filepath.Ext(file)
	return ext == ".yaml" || ext == ".yml" || partial.HasDirectives(text)
}

// Open reads the source, its lock and the configuration.
func Open(opts Options) (*Project, error) {
	text, err := os.ReadFile(opts.File)
	if err != nil {
		return nil, err
	}
	dir := opts.Dir
	if dir == "" {
		dir = filepath.Dir(opts.File)
	}
	p, err := OpenDir(opts, dir)
	if err != nil {
		return nil, err
	}
	p.text = text
	if opts.Once {
		return p, nil
	}
	if p.lock, err = readLock(opts.LockFile()); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// OpenDir prepares for work on parts in a directory, without a source.
func OpenDir(opts Options, dir string) (*Project, error) {
	conf, err := ReadConf(dir)
	if err != nil {
		return nil, err
	}
	p := &Project{opts: opts, Conf: conf}
	ro := registry.Options{Dir: dir, Offline: opts.Offline, Aliases: conf.Aliases, Allow: conf.Allow}
	if text, err := os.ReadFile(opts.File); opts.File != "" && err == nil {
		ro.Sums = partial.Sums(opts.File, string(text))
	}
	if opts.Engine != nil {
		ro.Store = filepath.Join(opts.Engine.DataDir(), "parts")
		ro.Sys = systemContext(opts)
		p.Bases = &base.Images{Engine: opts.Engine, Pull: image.PullOptions{RegistryOptions: opts.Registry}, Offline: opts.Offline, Newest: opts.Update && len(opts.Only) == 0, Progress: opts.Progress}
	}
	if p.Parts, err = registry.New(ro); err != nil {
		return nil, err
	}
	return p, nil
}

// Close removes temporary files.
func (p *Project) Close() error { return p.Parts.Close() }

// Engine is the one that the project works with.
func (p *Project) Engine() *libctr.Engine { return p.opts.Engine }

// File is the source.
func (p *Project) File() string { return p.opts.File }

func (o *Options) name() string {
	if o.Name != "" {
		return o.Name
	}
	return o.File
}

// LockFile is the lock's path.
func (o *Options) LockFile() string { return o.File + ".lock" }

// Text is the source as it was read.
func (p *Project) Text() []byte { return p.text }

// Lock is the lock as it was read; nil if there is none.
func (p *Project) Lock() *partial.Lock { return p.lock }

// Compose composes the source. It writes nothing but what is fetched into local storage.
func (p *Project) Compose(ctx context.Context) (*partial.Result, error) {
	return p.ComposeText(ctx, p.text, p.lock)
}

// ComposeText composes another text, with another lock, in the place of the source.
func (p *Project) ComposeText(ctx context.Context, text []byte, lock *partial.Lock) (*partial.Result, error) {
	o := &p.opts
	var lines []int
	if ext := filepath.Ext(o.File); ext != ".yaml" && ext != ".yml" && !bytes.Equal(text, p.text) {
		lines = partial.LinesIn(string(text), string(p.text))
	}
	r, err := partial.Compose(ctx, partial.Options{File: o.name(), Source: text, Library: library{p.Parts, p.Conf}, Bases: p.Bases, Lock: lock, Locked: o.Locked, Update: o.Update,
		Only: o.Only, Profile: o.Profile, BuildArgs: o.BuildArgs, Params: o.Params, Platforms: o.Platforms, Target: o.Target, NoLink: o.NoLink, Lines: lines})
	if o.Once && o.Locked && errors.Is(err, &partial.Error{Code: "P050"}) {
		return nil, hint.Add(partial.Errorf("P050", "%s is not a file that has a lock, and --locked wants one", o.name()), "write it to a file and run: %s; or build with %s=false", hint.To(hint.UpdateLock, "FILE"), field.Name("locked"))
	}
	return r, Hinted(err, o.name())
}

// WriteLock writes the composition's lock, if that is another one. It reports whether it was.
func (p *Project) WriteLock(r *partial.Result) (bool, error) { return p.opts.writeLock(r.Lock) }

func (o *Options) writeLock(l *partial.Lock) (bool, error) {
	if o.Once {
		return false, nil
	}
	now, err := l.Marshal()
	if err != nil {
		return false, err
	}
	was, err := os.ReadFile(o.LockFile())
	if err == nil && bytes.Equal(was, now) {
		return false, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := atomicfile.Write(o.LockFile(), now, 0o644, false); err != nil {
		return false, fmt.Errorf("write the lock: %w", err)
	}
	return true, nil
}

// Compose composes the source at opts.File for a build: it returns the text to build and
// notes for the user, and writes the lock where it has changed.
func Compose(ctx context.Context, opts Options) (r *partial.Result, err error) {
	p, err := Open(opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	if r, err = p.Compose(ctx); err != nil {
		return nil, err
	}
	if opts.Locked {
		return r, nil
	}
	_, err = p.WriteLock(r)
	return r, err
}

// Verify checks the source at opts.File, as Project.Verify does.
func Verify(ctx context.Context, opts Options) (f partial.Findings, err error) {
	p, err := Open(opts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return p.Verify(ctx)
}

// AllLocal reports whether a build of the composed file needs nothing from registries: each image that it names has a
// digest that the engine's store knows, and none is wanted for a certain platform.
func AllLocal(e *libctr.Engine, r *partial.Result) bool {
	images := &base.Images{Engine: e}
	refs, all := partial.PinnedImages(r.Body)
	for _, ref := range refs {
		if _, err := images.Local(ref); err != nil {
			return false
		}
	}
	return all
}

// Hinted adds to an error of composition what to do about it, where its text does not say it.
func Hinted(err error, file string) error {
	var e *partial.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case "P021":
		name, _, _ := strings.Cut(e.Msg, " ")
		return hint.Add(err, "see the versions with: %s", hint.To(hint.ListVersions, name))
	case "P050":
		return hint.Add(err, "%s", hint.To(hint.UpdateLock, file))
	case "P051":
		return hint.Add(err, "if the change is known to be good, take it with: %s", hint.To(hint.UpdateLock, file))
	case "P053":
		return hint.Add(err, "settle the source first, then: rm %s.lock && %s", file, hint.To(hint.UpdateLock, file))
	}
	return err
}

// systemContext is the engine's with what the flags say of registries.
func systemContext(o Options) *types.SystemContext {
	sys := *o.Engine.SystemContext()
	if o.Registry.AuthFile != "" {
		sys.AuthFilePath = o.Registry.AuthFile
	}
	if o.Registry.CertDir != "" {
		sys.DockerCertPath = o.Registry.CertDir
	}
	if v := o.Registry.TLSVerify; v != nil {
		sys.DockerInsecureSkipTLSVerify = types.NewOptionalBool(!*v)
		sys.DockerDaemonInsecureSkipTLSVerify = !*v
	}
	if user, password, ok := strings.Cut(o.Registry.Creds, ":"); ok {
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: user, Password: password}
	}
	return &sys
}

// Eject writes the ordinary Containerfile that a source stands for, in the place of the source or, for a requirement
// file, next to it. The lock of a source that is gone stays as a record, and says so. It returns the file and its digest.
func Eject(o Options, r *partial.Result) (file, digest string, err error) {
	file = EjectTarget(o.File)
	mode := fs.FileMode(0o644)
	if st, err := os.Stat(file); err == nil {
		mode = st.Mode().Perm()
	}
	text := r.Ejected()
	digest = partial.DigestOf(text)
	if err := atomicfile.Write(file, []byte(text), mode, false); err != nil {
		return "", "", fmt.Errorf("eject %s: %w", o.File, err)
	}
	if file != o.File { // the source is still there, and its lock fits
		return file, digest, nil
	}
	record := *r.Lock
	record.Ejected = digest
	_, err = o.writeLock(&record)
	return file, digest, err
}

// EjectTarget is the file that a source is ejected to: itself, or Containerfile next to a requirement file.
func EjectTarget(file string) string {
	if ext := filepath.Ext(file); ext == ".yaml" || ext == ".yml" {
		return filepath.Join(filepath.Dir(file), "Containerfile")
	}
	return file
}

// Find returns the newest part within REF[@RANGE].
func (p *Project) Find(ctx context.Context, text string) (*partial.Part, error) {
	ref, rng, err := partial.ParseRef(text)
	if err != nil {
		return nil, err
	}
	if d := rng.Digest(); d != "" {
		return p.Parts.Part(ctx, ref, partial.Release{Digest: d})
	}
	all, err := p.Parts.Releases(ctx, ref)
	if err != nil {
		return nil, err
	}
	fits := slices.DeleteFunc(slices.Clone(all), func(r partial.Release) bool {
		v, err := semver.StrictNewVersion(r.Version)
		return err != nil || !rng.Any() && !rng.Match(v)
	})
	if len(fits) == 0 {
		return nil, partial.Errorf("P021", "%s has no version matching %s", ref.Text, rng)
	}
	return p.Parts.Part(ctx, ref, partial.Newest(fits))
}

// Latest returns the newest version of each part of a lock.
func (p *Project) Latest(ctx context.Context, l *partial.Lock) (map[string]string, error) {
	latest := map[string]string{}
	for _, lp := range l.Parts {
		ref, _, err := partial.ParseRef(lp.From)
		if err != nil {
			return nil, err
		}
		all, err := p.Parts.Releases(ctx, ref)
		if err != nil {
			return nil, err
		}
		if len(all) > 0 {
			latest[lp.Name] = partial.Newest(all).Version
		}
	}
	return latest, nil
}

// Verify checks the source against its lock, and the lock against what is published.
func (p *Project) Verify(ctx context.Context) (partial.Findings, error) {
	now := *p.Bases
	now.Newest = true
	f, err := partial.VerifySource(ctx, partial.Options{File: p.opts.File, Source: p.text, Library: library{p.Parts, p.Conf}, Bases: p.Bases, Lock: p.lock,
		Profile: p.opts.Profile, BuildArgs: p.opts.BuildArgs, Params: p.opts.Params}, p.Parts, &now)
	return f, Hinted(err, p.opts.File)
}

// Metas returns the metadata of the parts in an image, as far as they can be found here.
func (p *Project) Metas(ctx context.Context, img *partial.ImageFacts) map[string]*partial.Meta {
	metas := map[string]*partial.Meta{}
	x, err := partial.Stated(img)
	if err != nil {
		return metas
	}
	for _, b := range partial.Blocks(x.Text) {
		ref, _, err := partial.ParseRef(b.Name)
		if err != nil || b.Digest == "" || metas[b.Name] != nil {
			continue
		}
		if m, err := p.Parts.Meta(ctx, ref, partial.Release{Version: b.Version, Digest: b.Digest}); err == nil {
			metas[b.Name] = m
		}
	}
	return metas
}

// library adds to the registry's library what partials.conf knows: which aliases are folders.
type library struct {
	*registry.Library
	conf *Conf
}

// IsLocal reports whether a part lies in a folder.
func (l library) IsLocal(ref partial.Ref) bool {
	first, _, _ := strings.Cut(ref.Text, "/")
	return ref.Kind == "folder" || ref.Kind == "alias" && filepath.IsAbs(l.conf.Aliases[first])
}
