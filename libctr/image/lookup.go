// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/opencontainers/go-digest"
	"go.podman.io/common/libimage/platform"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/transports"
	"go.podman.io/image/v5/types"
)

// LookupOptions narrow what a name may stand for.
type LookupOptions struct {
	// OS, Architecture and Variant, if one is set, must be the image's (an image
	// found by its ID is taken as it is).
	OS, Architecture, Variant string
	// List returns a manifest list as such; otherwise the instance in it that
	// suits the platform is returned.
	List bool
}

// Lookup finds the local image that name stands for: an ID or a unique beginning of
// one, sha256:ID, a full name with tag or digest, or a short name, which is completed
// as containers-registries.conf(5) says, by localhost/ and by docker.io. The rules are
// those of libimage's LookupImage, so that every engine on the store agrees.
//
// The image returned has Resolved set, and Digest set to the one asked for. Errors are
// ErrNotFound, ErrAmbiguous, ErrBadReference, or that of reading the store.
func (v *View) Lookup(name string, opts LookupOptions) (*Image, error) {
	img, err := v.lookup(name, opts)
	if err != nil {
		return nil, NotFoundOr(name, err)
	}
	return img, nil
}

// NotFoundOr says of an image that was looked up why that failed; one that is not there in podman's words.
func NotFoundOr(name string, err error) error {
	switch {
	case !errors.Is(err, ErrNotFound):
		return fmt.Errorf("look up image %q: %w", name, err)
	case strings.HasPrefix(err.Error(), name+": "): // the library has said it
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

func (v *View) lookup(name string, opts LookupOptions) (*Image, error) {
	opts.OS, opts.Architecture, opts.Variant = platform.Normalize(opts.OS, opts.Architecture, opts.Variant)
	name, err := localName(name)
	if err != nil {
		return nil, err
	}
	hex, byDigest := strings.CutPrefix(name, "sha256:")
	if byDigest && !reference.IsFullIdentifier(hex) {
		return nil, fmt.Errorf("%w: sha256: must be followed by 64 hexadecimal digits", ErrBadReference)
	}
	if byDigest || reference.IsFullIdentifier(name) {
		return v.byID(hex, opts)
	}
	named, err := ParseName(name)
	if err != nil {
		return nil, err
	}
	candidates, err := v.candidates(named)
	if err != nil {
		return nil, err
	}
	for _, c := range candidates {
		img, err := v.byName(c, opts)
		if img != nil || err != nil {
			return img, err
		}
	}
	if img, err := v.byID(name, opts); err == nil || !isNotFound(err) {
		return img, err
	}
	return v.bySuffix(named, opts)
}

// localName strips the containers-storage transport and refuses the others.
func localName(name string) (string, error) {
	t, rest, ok := strings.Cut(name, ":")
	switch {
	case !ok || transports.Get(t) == nil || t == "docker":
		// docker:latest is an image's name.
		return name, nil
	case t != "containers-storage":
		return "", fmt.Errorf("%w: transport %s does not name a local image", ErrBadReference, t)
	case strings.HasPrefix(rest, "["):
		_, rest, _ = strings.Cut(rest, "]")
	}
	return strings.TrimPrefix(rest, "@"), nil
}

// ParseName parses a name that may lack its registry. A tag beside a digest is
// dropped, as Docker does: the digest alone decides.
func ParseName(name string) (reference.Named, error) {
	ref, err := reference.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadReference, err)
	}
	named, ok := ref.(reference.Named)
	if !ok {
		return nil, fmt.Errorf("%w: it has no name", ErrBadReference)
	}
	if d, ok := named.(reference.Digested); ok {
		if named, err = reference.WithDigest(reference.TrimNamed(named), d.Digest()); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadReference, err)
		}
	}
	return named, nil
}

// IsShort reports whether named lacks a registry.
func IsShort(named reference.Named) bool {
	domain := reference.Domain(named)
	return !strings.ContainsAny(domain, ".:") && domain != "localhost"
}

// byName finds the image with that full name, in the store that comes first. It
// returns nil where there is none.
func (v *View) byName(named reference.Named, opts LookupOptions) (*Image, error) {
	stores, err := v.images()
	if err != nil {
		return nil, err
	}
	named = reference.TagNameOnly(named)
	var found *Image
	for _, s := range stores {
		if found = s.byName[named.String()]; found != nil {
			break
		}
	}
	digested, isDigested := named.(reference.Digested)
	if found == nil && isDigested {
		found, err = v.byDigest(named, digested.Digest(), opts)
	}
	if found == nil || err != nil {
		return nil, err
	}
	img := *found
	img.Resolved = named.String()
	if d, ok := img.BigDataDigests["manifest"]; ok {
		img.Digest = d
	}
	if isDigested && slices.Contains(img.Digests, digested.Digest()) {
		img.Digest = digested.Digest()
	}
	return v.instance(&img, opts, true)
}

// byDigest finds an image of the repository of named that has a manifest with digest
// d. A manifest list's digest may belong to several images, one a platform; the one
// that suits wins.
func (v *View) byDigest(named reference.Named, d digest.Digest, opts LookupOptions) (*Image, error) {
	all, err := v.Images()
	if err != nil {
		return nil, err
	}
	var found *Image
	for _, img := range all {
		if !slices.Contains(img.Digests, d) || !img.inRepository(named.Name()) {
			continue
		}
		if found == nil || img.isInstanceFor(d, opts) {
			found = img
		}
	}
	return found, nil
}

func (img *Image) inRepository(repo string) bool {
	return slices.ContainsFunc(img.Names, func(name string) bool {
		n, err := reference.ParseNormalizedNamed(name)
		return err == nil && n.Name() == repo
	})
}

// isInstanceFor reports whether the image was made from the manifest that the list with
// digest d has for the platform.
func (img *Image) isInstanceFor(d digest.Digest, opts LookupOptions) bool {
	raw, err := img.bigData("manifest-" + d.String())
	if err != nil {
		return false
	}
	chosen, err := chooseInstance(raw, opts)
	return err == nil && img.has("manifest-"+chosen.String())
}

func chooseInstance(raw []byte, opts LookupOptions) (digest.Digest, error) {
	list, err := manifest.ListFromBlob(raw, manifest.GuessMIMEType(raw))
	if err != nil {
		return "", err
	}
	return list.ChooseInstance(&types.SystemContext{
		OSChoice: opts.OS, ArchitectureChoice: opts.Architecture, VariantChoice: opts.Variant,
	})
}

// byID finds an image by its ID, a unique beginning of one, or a manifest's digest.
func (v *View) byID(id string, opts LookupOptions) (*Image, error) {
	stores, err := v.images()
	if err != nil {
		return nil, err
	}
	for _, s := range stores {
		found := s.byID[id]
		for _, img := range s.images {
			if found != nil {
				break
			}
			if strings.HasPrefix(img.ID, id) {
				found = img
				if n := s.countPrefix(id); n > 1 {
					return nil, fmt.Errorf("%w (%d)", ErrAmbiguous, n)
				}
			}
		}
		if found != nil {
			img := *found
			return v.instance(&img, opts, false)
		}
	}
	return nil, ErrNotFound
}

func (s *imageStore) countPrefix(id string) int {
	n := 0
	for _, img := range s.images {
		if strings.HasPrefix(img.ID, id) {
			n++
		}
	}
	return n
}

// bySuffix finds the first image whose name ends in the short name, whatever its registry.
func (v *View) bySuffix(named reference.Named, opts LookupOptions) (*Image, error) {
	if !IsShort(named) {
		return nil, ErrNotFound
	}
	named = reference.TagNameOnly(named)
	all, err := v.Images()
	if err != nil {
		return nil, err
	}
	for _, img := range all {
		full, ok := img.nameEndingIn(named)
		if !ok {
			continue
		}
		found, err := v.byName(full, opts)
		if err != nil {
			return nil, err
		}
		if found == nil {
			continue
		}
		if d, ok := named.(reference.Digested); ok {
			if !slices.Contains(found.Digests, d.Digest()) {
				continue
			}
			found.Resolved = full.Name() + "@" + d.Digest().String()
		}
		return found, nil
	}
	return nil, ErrNotFound
}

// nameEndingIn returns the image's name whose repository is that of named, but for
// the parts that named lacks in front, and whose tag is the same.
func (img *Image) nameEndingIn(named reference.Named) (reference.Named, bool) {
	tagged, isTagged := named.(reference.Tagged)
	for _, name := range img.Names {
		full, err := reference.ParseNormalizedNamed(name)
		if err != nil || !strings.HasSuffix("/"+full.Name(), "/"+named.Name()) {
			continue
		}
		if t, ok := full.(reference.Tagged); isTagged && (!ok || t.Tag() != tagged.Tag()) {
			continue
		}
		return full, true
	}
	return nil, false
}

// instance replaces a manifest list by its image for the platform, and returns nil for
// an image that was found by name but is for another platform than asked.
func (v *View) instance(img *Image, opts LookupOptions, byName bool) (*Image, error) {
	if img.isList() {
		if opts.List {
			return img, nil
		}
		raw, err := img.bigData("manifest")
		if err != nil {
			return nil, err
		}
		chosen, err := chooseInstance(raw, opts)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", err, ErrNotFound)
		}
		all, err := v.Images()
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(o *Image) bool { return slices.Contains(o.Digests, chosen) })
		if i < 0 {
			return nil, fmt.Errorf("instance %s of the manifest list is not in the store: %w", chosen, ErrNotFound)
		}
		resolved := img.Resolved
		*img = *all[i]
		img.Resolved = resolved
	}
	if byName && !img.suits(opts) {
		return nil, nil
	}
	return img, nil
}
