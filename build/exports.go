// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/pflag"
)

// dockerFlags are the flags of docker build and docker buildx build that podman's build does not have.
type dockerFlags struct {
	load, push bool
	builder    string
	provenance string
	attest     []string
	allow      []string
	refused    []string
	call       string
	check      bool

	exports []export
}

// export is where a built image goes besides the store.
type export struct {
	format string // of library.SaveOptions; empty is a registry
	dest   string // a file, a directory or -
	names  []string
}

func (d *dockerFlags) bind(f *pflag.FlagSet) {
	f.BoolVar(&d.load, "load", false, "put the image into local storage, which is always done; accepted for compatibility")
	f.BoolVar(&d.push, "push", false, "push the image under each of its names after the build; of several platforms, as an index")
	f.StringVar(&d.builder, "builder", "", "no effect, there is one `BUILDER`; accepted for compatibility")
	f.StringVar(&d.provenance, "provenance", "false", "false: no attestation is made of how the image was built")
	f.StringArrayVar(&d.attest, "attest", nil, "`type=TYPE,disabled=true`: no attestation is made (repeatable)")
	f.StringSliceVar(&d.allow, "allow", nil, "allow RUN --network=host: `network.host` (repeatable)")
	f.StringArrayVar(&d.refused, "no-cache-filter", nil, "")
	f.StringVar(&d.call, "call", "build", "")
	f.BoolVar(&d.check, "check", false, "")
	for _, name := range []string{"load", "builder", "provenance", "attest", "allow", "no-cache-filter", "call", "check"} {
		f.Lookup(name).Hidden = true
	}
}

// checkFlags refuses what Berth does not do.
func (d *dockerFlags) checkFlags(f *pflag.FlagSet) error {
	if f.Changed("provenance") && !disabled(d.provenance) {
		return hint.Add(field.Errorf("build: %s=%s is not supported: Berth makes no attestations", field.Name("provenance"), d.provenance), "leave it out, or use %s=false", field.Name("provenance"))
	}
	for _, a := range d.attest {
		if !disabled(a) {
			return hint.Add(field.Errorf("build: %s %s is not supported: Berth makes no attestations", field.Name("attest"), a), "leave it out, or end it with ,disabled=true")
		}
	}
	for _, a := range d.allow {
		if a != "network.host" {
			return field.Errorf("build: %s %s is not supported: must be network.host", field.Name("allow"), a)
		}
	}
	switch {
	case f.Changed("no-cache-filter"):
		return hint.Add(field.Errorf("build: %s is not supported: the cache has no stages", field.Name("no-cache-filter")), "use %s, or %s and %[1]s for the stage alone", field.Name("no-cache"), field.Name("target"))
	case d.check, d.call != "build":
		return field.Errorf("build: %s and %s are not supported: there are no build checks", field.Name("check"), field.Name("call"))
	}
	return nil
}

// disabled reads what says that there is to be no attestation.
func disabled(value string) bool {
	if on, err := strconv.ParseBool(value); err == nil {
		return !on
	}
	return slices.Contains(strings.Split(value, ","), "disabled=true")
}

// inDockersWords takes flags that docker users write in other words for what podman's flags say.
func (b *Flags) inDockersWords(f *pflag.FlagSet) (err error) {
	if s := f.Lookup("sbom"); s.Changed && disabled(s.Value.String()) {
		b.bud.SbomPreset, s.Changed = "", false
	}
	if b.Progress == "quiet" {
		b.Progress, b.bud.Quiet = "auto", true
	}
	for i, h := range b.run.AddHost {
		if name, ip, ok := strings.Cut(h, "="); ok && !strings.Contains(name, ":") {
			b.run.AddHost[i] = name + ":" + strings.Trim(ip, "[]")
		}
	}
	if b.bud.CacheFrom, err = cacheRepositories("cache-from", b.bud.CacheFrom); err != nil {
		return err
	}
	if b.bud.CacheTo, err = cacheRepositories("cache-to", b.bud.CacheTo); err != nil {
		return err
	}
	return b.outputs(f)
}

// cacheRepositories takes type=registry,ref=REPOSITORY[:TAG] for the repository: each step is in it under a tag of its own.
func cacheRepositories(name field.Name, values []string) ([]string, error) {
	repositories := slices.Clone(values)
	for i, v := range values {
		if !strings.Contains(v, "=") {
			continue
		}
		fields, err := csvFields(v)
		if err != nil {
			return nil, field.Errorf("build: %s %s: %w", name, v, err)
		}
		if fields["type"] != "registry" {
			return nil, hint.Add(field.Errorf("build: %s %s is not supported: the type must be registry", name, v), "give a repository: %s registry.example.org/app/cache", field.Flag(name))
		}
		if fields["ref"] == "" {
			return nil, field.Errorf("build: %s %s: ref=REPOSITORY is missing", name, v)
		}
		for key, value := range fields {
			if key != "type" && key != "ref" && key != "mode" {
				return nil, field.Errorf("build: %s %s: %s=%s is not supported", name, v, key, value)
			}
		}
		ref, _, _ := strings.Cut(fields["ref"], "@")
		if i := strings.LastIndex(ref, ":"); i > strings.LastIndex(ref, "/") {
			ref = ref[:i]
		}
		repositories[i] = ref
	}
	return repositories, nil
}

func csvFields(text string) (map[string]string, error) {
	record, err := csv.NewReader(strings.NewReader(text)).Read()
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for _, r := range record {
		key, value, ok := strings.Cut(r, "=")
		if !ok {
			return nil, fmt.Errorf("%q: must be KEY=VALUE", r)
		}
		fields[strings.ToLower(strings.TrimSpace(key))] = value
	}
	return fields, nil
}

// outputs takes the types of --output that are no file trees.
func (b *Flags) outputs(f *pflag.FlagSet) error {
	var trees []string
	d := &b.docker
	for _, o := range b.bud.BuildOutputs {
		fields, err := csvFields(o)
		if err != nil || fields["type"] == "" || fields["type"] == "local" || fields["type"] == "tar" {
			trees = append(trees, o) // buildah's
			continue
		}
		if err := b.output(fields); err != nil {
			return hint.Add(field.Errorf("build: %s %s: %w", field.Name("output"), o, err), "types are local, tar, docker, oci, image and registry")
		}
	}
	b.bud.BuildOutputs = trees
	f.Lookup("tag").Changed = len(b.bud.Tag) > 0 // buildah asks for that; an output may have given one
	if d.push {
		d.exports = append(d.exports, export{})
	}
	pushed := slices.ContainsFunc(d.exports, func(e export) bool { return e.format == "" })
	if pushed && len(b.bud.Tag) == 0 && b.bud.Manifest == "" {
		return hint.Add(errors.New("build: push: the image has no name"), "give it one that begins with its registry: %s registry.example.org/app:1", field.Name("tag"))
	}
	platforms, _ := f.GetStringSlice("platform")
	if pushed && b.bud.Manifest == "" && (len(platforms) > 1 || b.bud.AllPlatforms) {
		d.exports = append(d.exports, export{names: b.bud.Tag[1:]})
		name := b.bud.Tag[0]
		b.bud.Tag = nil
		return f.Set("manifest", name)
	}
	return nil
}

// output takes one of them.
func (b *Flags) output(fields map[string]string) error {
	kind, dest := fields["type"], fields["dest"]
	known := []string{"type", "name", "push"}
	e := export{dest: dest}
	switch kind {
	case "docker":
		known, e.format = []string{"type", "name", "dest"}, "docker-archive"
	case "oci":
		known, e.format = []string{"type", "name", "dest", "tar"}, "oci-archive"
		if tar := fields["tar"]; tar == "false" || tar == "0" {
			e.format = "oci-dir"
		}
		if dest == "" {
			return errors.New("dest=FILE is missing")
		}
	case "image", "registry":
	case "cacheonly":
		known = []string{"type"}
	default:
		return fmt.Errorf("type %q is not supported", kind)
	}
	for key, value := range fields {
		if !slices.Contains(known, key) {
			return fmt.Errorf("%s=%s is not supported", key, value)
		}
	}
	if name := fields["name"]; name != "" {
		b.bud.Tag = append(b.bud.Tag, strings.Split(name, ",")...)
	}
	push, _ := strconv.ParseBool(fields["push"])
	if e.format != "" && dest != "" || kind == "registry" || kind == "image" && push {
		b.docker.exports = append(b.docker.exports, e)
	}
	return nil
}

// toStdout reports whether an archive goes where progress would.
func (d *dockerFlags) toStdout() bool {
	return slices.ContainsFunc(d.exports, func(e export) bool { return e.format != "" && e.dest == "-" })
}

// export does with a built image what is asked for besides keeping it: archives and directories are written, and registries sent to.
// An archive that goes to - is written to out; bars is told of transfers.
func (b *Flags) export(ctx context.Context, e *libctr.Engine, id string, out, bars io.Writer) (err error) {
	if len(b.docker.exports) == 0 || id == "" {
		return nil
	}
	r, err := library.Open(e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for _, x := range b.docker.exports {
		if x.format != "" {
			if err := b.save(ctx, r, id, x, out); err != nil {
				return err
			}
			continue
		}
		names := x.names
		if names == nil && b.bud.Manifest != "" {
			names = []string{b.bud.Manifest}
		} else if names == nil {
			names = b.bud.Tag
		}
		for _, name := range names {
			if err := b.pushAs(ctx, r, id, name, bars); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *Flags) pushAs(ctx context.Context, r *library.Runtime, id, name string, bars io.Writer) error {
	o := library.PushOptions{
		RegistryOptions: image.RegistryOptions{Creds: b.bud.Creds, AuthFile: b.bud.Authfile, CertDir: b.bud.CertDir},
		Progress:        bars,
	}
	if b.tlsSaid {
		o.TLSVerify = &b.bud.TLSVerify
	}
	if b.bud.Manifest != "" {
		id = b.bud.Manifest
	}
	began := time.Now()
	d, err := r.Push(ctx, id, name, o)
	if err == nil && bars != nil {
		fmt.Fprintf(bars, "Pushed %s in %.1f s\n", d, time.Since(began).Seconds())
	}
	return err
}

func (b *Flags) save(ctx context.Context, r *library.Runtime, id string, x export, out io.Writer) error {
	o := library.SaveOptions{Format: x.format}
	names := []string{id}
	if len(b.bud.Tag) > 0 {
		names, o.Tags = b.bud.Tag[:1], b.bud.Tag[1:]
	}
	if x.dest == "-" {
		return r.SaveTo(ctx, names, out, o)
	}
	// Docker replaces a file that is there, once the image is built.
	tmp := filepath.Join(filepath.Dir(x.dest), "."+filepath.Base(x.dest)+".berth-"+strconv.Itoa(os.Getpid()))
	if err := r.Save(ctx, names, tmp, o); err != nil {
		return err
	}
	if err := os.Rename(tmp, x.dest); err != nil {
		return errors.Join(fmt.Errorf("write the image: %w", err), os.RemoveAll(tmp))
	}
	return nil
}
