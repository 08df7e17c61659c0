// SPDX-License-Identifier: Apache-2.0

// Package base tells composition of images: partial.Bases over the engine's store. What is not
// there is pulled; an image that is only copied from is asked for by a request for its digest.
package base

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/types"
)

// Images implements partial.Bases. The zero value is not usable; the engine is needed.
type Images struct {
	Engine   *libctr.Engine
	Pull     image.PullOptions // the Policy is set here
	Offline  bool              // P052 for what is not in the store
	Newest   bool              // ask the registry even if the store has the image
	Progress io.Writer         // nil is nobody
}

var _ partial.Bases = (*Images)(nil)

// Base returns the facts of the image; it pulls it if it is not in the store.
func (b *Images) Base(ctx context.Context, ref string) (*partial.Base, error) {
	img, err := b.local(ref)
	if errors.Is(err, image.ErrNotFound) || err == nil && b.Newest && !b.Offline {
		img, err = b.pull(ctx, ref)
	}
	if err != nil {
		return nil, fmt.Errorf("look at the base %s: %w", ref, err)
	}
	return Facts(img)
}

// local finds the image in the store; a digest next to a tag decides.
func (b *Images) local(ref string) (*image.Image, error) {
	return b.Engine.ImageView().Lookup(withoutTag(ref), image.LookupOptions{})
}

// withoutTag drops the tag where there is a digest: name:tag@digest is no key of the store.
func withoutTag(ref string) string {
	name, digest, ok := strings.Cut(ref, "@")
	if !ok {
		return ref
	}
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name + "@" + digest
}

// onlyLocal reports whether an image can be nowhere but in the store: localhost is what builds call their images, and no
// registry, unless registries.conf says where it is.
func (b *Images) onlyLocal(ref string) bool {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil || reference.Domain(named) != "localhost" {
		return false
	}
	found, err := sysregistriesv2.FindRegistry(b.Engine.SystemContext(), named.Name())
	return err == nil && found == nil
}

func notHere(ref string) error {
	return fmt.Errorf("look up image %q: %w (images named localhost/ are in no registry)", ref, image.ErrNotFound)
}

func (b *Images) pull(ctx context.Context, ref string) (_ *image.Image, err error) {
	if b.onlyLocal(ref) {
		if img, err := b.local(ref); err == nil {
			return img, nil
		}
		return nil, notHere(ref)
	}
	if b.Offline {
		return nil, partial.Errorf("P052", "offline: missing base %s", ref).FixedBy("run it without %s once, or: %s", field.Name("offline"), hint.To(hint.PullImage, ref))
	}
	r, err := library.Open(b.Engine)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	opts := b.Pull
	opts.Policy, opts.Progress = image.Missing, b.Progress
	if b.Newest {
		opts.Policy = image.Newer
	}
	if _, err := r.Pull(ctx, withoutTag(ref), opts); err != nil {
		return nil, err
	}
	return b.local(ref)
}

// Digest returns the digest that the store knows the image by, or else the registry.
func (b *Images) Digest(ctx context.Context, ref string) (string, error) {
	img, err := b.local(ref)
	switch {
	case err == nil && !b.Newest:
		d, _, err := digestOf(img)
		return d, err
	case err != nil && !errors.Is(err, image.ErrNotFound):
		return "", err
	case b.Offline && err == nil:
		d, _, err := digestOf(img)
		return d, err
	case b.Offline:
		return "", partial.Errorf("P052", "offline: missing image %s", ref).FixedBy("run it without %s once, or: %s", field.Name("offline"), hint.To(hint.PullImage, ref))
	}
	if b.onlyLocal(ref) {
		if err != nil {
			return "", notHere(ref)
		}
		d, _, err := digestOf(img)
		return d, err
	}
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("%q: %w", ref, err)
	}
	if d, ok := named.(reference.Digested); ok {
		return d.Digest().String(), nil
	}
	r, err := docker.NewReference(reference.TagNameOnly(named))
	if err != nil {
		return "", err
	}
	var d digest.Digest
	err = library.InTime(ctx, func(ctx context.Context) (err error) {
		d, err = docker.GetDigest(ctx, b.system(), r)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("ask for the digest of %s: %w", ref, err)
	}
	return d.String(), nil
}

// Fetch makes sure that the image, given as name:tag@digest, is in the store.
func (b *Images) Fetch(ctx context.Context, ref string) error {
	_, err := b.local(ref)
	if errors.Is(err, image.ErrNotFound) {
		_, err = b.pull(ctx, ref)
	}
	return err
}

func (b *Images) system() *types.SystemContext {
	sys := b.Engine.SystemContext()
	if v := b.Pull.TLSVerify; v != nil {
		c := *sys
		c.DockerInsecureSkipTLSVerify = types.NewOptionalBool(!*v)
		sys = &c
	}
	return sys
}

// Facts reads what composition must know from an image of the store.
func Facts(img *image.Image) (*partial.Base, error) {
	digest, platforms, err := digestOf(img)
	if err != nil {
		return nil, err
	}
	c, err := img.Config()
	if err != nil {
		return nil, err
	}
	if len(platforms) == 0 {
		platforms = []string{platform(c.OS, c.Architecture, c.Variant)}
	}
	f := &partial.Base{Digest: digest, Platforms: platforms}
	f.Config = partial.BaseConfig{User: c.Config.User, Workdir: c.Config.WorkingDir, Shell: c.Shell}
	if f.Config.Workdir == "/" {
		f.Config.Workdir = ""
	}
	for _, e := range c.Config.Env {
		name, value, _ := strings.Cut(e, "=")
		if f.Config.Env == nil {
			f.Config.Env = map[string]string{}
		}
		f.Config.Env[name] = value
	}
	dirs, err := img.LayerDirs()
	if err != nil {
		return nil, err
	}
	f.OS = OSRelease(dirs)
	return f, nil
}

func platform(os, arch, variant string) string {
	p := os + "/" + arch
	if variant != "" {
		p += "/" + variant
	}
	return p
}

// digestOf returns the digest to pin the image by, the index's if it came by one, and the index's platforms.
func digestOf(img *image.Image) (string, []string, error) {
	x, digest, err := img.Index()
	if err != nil {
		return "", nil, err
	}
	if x == nil {
		return img.Digest.String(), nil, nil
	}
	var platforms []string
	for _, m := range x.Manifests {
		if p := m.Platform; p != nil && p.OS != "unknown" {
			platforms = append(platforms, platform(p.OS, p.Architecture, p.Variant))
		}
	}
	slices.Sort(platforms)
	return digest.String(), slices.Compact(platforms), nil
}

// OSRelease reads os-release(5) from layers, and finds the libc by its loader; nil without an os-release.
func OSRelease(dirs []string) *partial.OSRelease {
	root := spec.NewRootfs(dirs...)
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		data, err := root.ReadFile(path)
		if err != nil {
			continue
		}
		os := partial.ParseOSRelease(data)
		if os != nil {
			os.Libc = libc(root)
		}
		return os
	}
	return nil
}

// loaders are the dynamic loaders of glibc by architecture (its ABI documents fix the paths).
var loaders = []string{
	"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-linux-armhf.so.3", "/lib/ld-linux.so.2", "/lib64/ld64.so.2",
	"/lib/ld64.so.1", "/lib/ld-linux-riscv64-lp64d.so.1", "/lib64/ld-linux-loongarch-lp64d.so.1",
}

func libc(root *spec.Rootfs) string {
	for _, l := range loaders {
		if _, err := root.ReadFile(l); err == nil {
			return "glibc"
		}
	}
	for _, arch := range []string{"x86_64", "aarch64", "armhf", "armv7", "i386", "ppc64le", "s390x", "riscv64", "loongarch64"} {
		if _, err := root.ReadFile("/lib/ld-musl-" + arch + ".so.1"); err == nil {
			return "musl"
		}
	}
	return ""
}
