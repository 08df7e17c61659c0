// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/libctr/image/library"

	digest "github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/image"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
)

// Trusted asks policy.json whether a release may be used, also one that the store has already. Only registries keep signatures.
func (l *Library) Trusted(ctx context.Context, ref partial.Ref, r partial.Release) error {
	loc, err := l.locate(ref)
	if err != nil || loc.kind != registry {
		return err
	}
	return l.trust(ctx, loc, r, r.Digest)
}

// trust asks policy.json whether an artifact may be used, as it is asked for images of the same
// repository. A machine without a policy.json accepts everything.
func (l *Library) trust(ctx context.Context, loc location, r partial.Release, manifest string) (err error) {
	policy, err := signature.DefaultPolicy(l.opts.Sys)
	if errors.Is(err, configfile.ErrConfigFileNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read policy.json: %w", err)
	}
	if acceptsAnything(policy) {
		return nil
	}
	named, err := reference.ParseNormalizedNamed(loc.path)
	if err != nil {
		return err
	}
	canonical, err := reference.WithDigest(named, digest.Digest(manifest))
	if err != nil {
		return err
	}
	ref, err := docker.NewReference(canonical)
	if err != nil {
		return err
	}
	var src types.ImageSource
	err = library.InTime(ctx, func(ctx context.Context) (err error) {
		src, err = ref.NewImageSource(ctx, l.opts.Sys)
		return err
	})
	if err != nil {
		return &NetworkError{fmt.Errorf("ask for the signatures of %s: %w", label(loc, r), err)}
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	pc, err := signature.NewPolicyContext(policy)
	if err != nil {
		return fmt.Errorf("read policy.json: %w", err)
	}
	defer func() { err = errors.Join(err, pc.Destroy()) }()
	var ok bool
	err = library.InTime(ctx, func(ctx context.Context) (err error) {
		ok, err = pc.IsRunningImageAllowed(ctx, image.UnparsedInstance(src, nil))
		return err
	})
	if ok && err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return partial.Errorf("P061", "%s: signature required by policy.json, none accepted (%v)", label(loc, r), err)
}

// acceptsAnything reports whether a policy asks nothing of registries, so that nothing need be fetched for it.
func acceptsAnything(policy *signature.Policy) bool {
	all := []signature.PolicyRequirements{policy.Default}
	for _, reqs := range policy.Transports[docker.Transport.Name()] {
		all = append(all, reqs)
	}
	anything := reflect.TypeOf(signature.NewPRInsecureAcceptAnything())
	for _, reqs := range all {
		for _, r := range reqs {
			if reflect.TypeOf(r) != anything {
				return false
			}
		}
	}
	return true
}
