// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr/image"
	encconfig "github.com/containers/ocicrypt/config"
	enchelpers "github.com/containers/ocicrypt/helpers"
	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/config"
	"go.podman.io/common/pkg/retry"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/transports/alltransports"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// Pull makes sure that the image called name is in the store, as the policy says, and
// returns the IDs of the images it has found or fetched: one, but for AllTags. The name
// may have a transport in front (docker://, oci:, docker-archive:, ...). `hello` is in
// the program itself, and is taken from there if no local image has the name.
//
// If ctx ends, nothing of the image stays in the store. Errors that the user can fix
// have a hint; the error wraps ErrNotFound or ErrBadReference where that is the reason.
func (r *Runtime) Pull(ctx context.Context, name string, opts image.PullOptions) ([]string, error) {
	if opts.Policy == "" {
		opts.Policy = image.Missing
	}
	if image.IsBuiltin(name) && opts.Policy != image.Never && !opts.AllTags && opts.Platform == (image.Platform{}) {
		return r.pullBuiltin(ctx, name, opts.Policy)
	}
	if err := checkName(name); err != nil {
		return nil, hint.Add(fmt.Errorf("pull image %q: %w", name, err), "an image is called NAME, NAME:TAG or REGISTRY/NAME:TAG, in small letters")
	}
	lib, err := libPullOptions(&opts)
	if err != nil {
		return nil, fmt.Errorf("pull image %q: %w", name, err)
	}
	if transport, path, ok := strings.Cut(name, ":"); ok && slices.Contains([]string{"docker-archive", "oci-archive", "oci", "dir"}, transport) {
		if transport != "dir" {
			path, _, _ = strings.Cut(path, ":")
		}
		if _, err := r.fits(ctx, path); err != nil {
			return nil, explain(ctx, fmt.Errorf("pull image %q: %w", name, err), r.scratch)
		}
	}
	policy, err := config.ParsePullPolicy(string(opts.Policy))
	if err != nil {
		return nil, fmt.Errorf("pull image %q: %w", name, err)
	}
	images, err := r.pullRetrying(ctx, name, policy, lib, opts)
	if err != nil {
		return nil, r.explainPull(ctx, fmt.Errorf("pull image %q: %w", name, short(r.refused(err))), name)
	}
	ids := make([]string, len(images))
	for i, img := range images {
		ids[i] = img.ID()
	}
	return ids, nil
}

func libPullOptions(opts *image.PullOptions) (*libimage.PullOptions, error) {
	lib := &libimage.PullOptions{AllTags: opts.AllTags}
	lib.CopyOptions = copyOptions(opts.RegistryOptions)
	lib.Writer = opts.Progress
	lib.OS, lib.Architecture, lib.Variant = opts.Platform.OS, opts.Platform.Architecture, opts.Platform.Variant
	keys, err := decryptConfig(opts.DecryptionKeys)
	lib.OciDecryptConfig = keys
	// Retried here, where it is known what is worth it.
	lib.MaxRetries = new(uint)
	return lib, err
}

func copyOptions(o image.RegistryOptions) libimage.CopyOptions {
	c := libimage.CopyOptions{Credentials: o.Creds, AuthFilePath: o.AuthFile, CertDirPath: o.CertDir}
	if o.TLSVerify != nil {
		c.InsecureSkipTLSVerify = types.NewOptionalBool(!*o.TLSVerify)
	}
	return c
}

func decryptConfig(keys []string) (*encconfig.DecryptConfig, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	c, err := enchelpers.CreateCryptoConfig(nil, keys)
	if err != nil {
		return nil, fmt.Errorf("read the decryption keys: %w", err)
	}
	return encconfig.CombineCryptoConfigs([]encconfig.CryptoConfig{c}).DecryptConfig, nil
}

// pullRetrying pulls, and again after a failure that may pass.
func (r *Runtime) pullRetrying(ctx context.Context, name string, policy config.PullPolicy, lib *libimage.PullOptions, opts image.PullOptions) (_ []*libimage.Image, err error) {
	g, err := r.newGuard(&lib.CopyOptions)
	if err != nil {
		return nil, err
	}
	defer func() { err = g.close(err) }()
	var images []*libimage.Image
	err = retrying(ctx, opts.Retries, opts.RetryDelay, opts.Progress, func() (err error) {
		if opts.AllTags {
			images, err = r.pullAllTags(ctx, name, policy, lib, opts, g)
		} else {
			images, err = r.pullWatched(ctx, name, policy, lib, g)
		}
		return err
	})
	return images, err
}

// pullWatched pulls one image.
func (r *Runtime) pullWatched(ctx context.Context, name string, policy config.PullPolicy, lib *libimage.PullOptions, g *guard) ([]*libimage.Image, error) {
	if t := alltransports.TransportFromImageName(name); t != nil && t.Name() != docker.Transport.Name() {
		return r.lib.Pull(ctx, name, policy, lib) // an archive may take long to be unpacked
	}
	watched, done := g.watch(ctx)
	defer done()
	images, err := r.lib.Pull(watched, name, policy, lib)
	if err != nil && context.Cause(watched) == errStalled {
		err = g.refuse(g.stalled("the registry does not answer"))
	}
	return images, err
}

// retrying transfers, and again after a failure that may pass. A refused connection is
// only tried again if retries were asked for: nobody listens, and waiting 7 seconds to say so
// helps no one.
func retrying(ctx context.Context, asked *uint, wait time.Duration, progress io.Writer, transfer func() error) error {
	retries, delay, err := retryDefaults(asked, wait)
	if err != nil {
		return err
	}
	for try := uint(0); ; try++ {
		err := transfer()
		if err == nil || try == retries || !retry.IsErrorRetryable(err) ||
			(asked == nil && errors.Is(err, syscall.ECONNREFUSED)) {
			return err
		}
		if progress != nil {
			fmt.Fprintf(progress, "%s\nTrying again in %s\n", visible.Text(err.Error()), delay) // the server's words
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(delay):
			delay *= 2
		}
	}
}

// retryDefaults takes from containers.conf what was not asked for.
func retryDefaults(asked *uint, wait time.Duration) (retries uint, delay time.Duration, err error) {
	c, err := config.Default()
	if err != nil {
		return 0, 0, fmt.Errorf("read containers.conf: %w", err)
	}
	retries, delay = c.Engine.Retry, time.Second
	if c.Engine.RetryDelay != "" {
		if delay, err = time.ParseDuration(c.Engine.RetryDelay); err != nil {
			return 0, 0, fmt.Errorf("read retry_delay in containers.conf: %w", err)
		}
	}
	if asked != nil {
		retries = *asked
	}
	if wait > 0 {
		delay = wait
	}
	return retries, delay, nil
}

// pullBuiltin takes an image that the program carries, unless the store has it.
func (r *Runtime) pullBuiltin(ctx context.Context, name string, policy image.Policy) ([]string, error) {
	if policy != image.Always {
		img, _, err := r.lib.LookupImage(name, nil)
		if err == nil {
			return []string{img.ID()}, nil
		}
		if !errors.Is(err, storage.ErrImageUnknown) {
			return nil, fmt.Errorf("look up image %q: %w", name, err)
		}
	}
	id, err := r.installBuiltin(ctx)
	if err != nil {
		return nil, fmt.Errorf("install the built-in image %q: %w", name, explain(ctx, err, r.store.GraphRoot()))
	}
	return []string{id}, nil
}

// checkName reports whether name can be pulled, as far as its spelling goes.
func checkName(name string) error {
	if alltransports.TransportFromImageName(name) != nil && !strings.HasPrefix(name, "docker:") {
		return nil
	}
	name = strings.TrimPrefix(name, "docker://")
	if strings.HasPrefix(name, "sha256:") || reference.IsFullIdentifier(name) {
		return nil
	}
	named, err := image.ParseName(name)
	if err == nil {
		_, err = reference.ParseNormalizedNamed(named.String())
	}
	if err != nil && !errors.Is(err, image.ErrBadReference) {
		err = fmt.Errorf("%w: %w", image.ErrBadReference, err)
	}
	return err
}

// pullAllTags pulls each tag of a repository. The library would take a list of tags without an end.
func (r *Runtime) pullAllTags(ctx context.Context, name string, policy config.PullPolicy, lib *libimage.PullOptions, opts image.PullOptions, g *guard) ([]*libimage.Image, error) {
	ref, err := alltransports.ParseImageName(name)
	if alltransports.TransportFromImageName(name) == nil || err != nil {
		ref, err = alltransports.ParseImageName("docker://" + name)
	}
	if err != nil {
		return nil, err
	}
	if ref.Transport().Name() != docker.Transport.Name() {
		return nil, fmt.Errorf("only a registry has tags, and %s: is none", ref.Transport().Name())
	}
	var tags []string
	err = g.inTime(ctx, ref, func(ctx context.Context) error {
		return g.inMemory(ctx, "the list of tags", func(ctx context.Context) (err error) {
			tags, err = docker.GetRepositoryTags(ctx, r.tagsContext(opts), ref)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	each := *lib
	each.AllTags = false
	var images []*libimage.Image
	for _, tag := range tags {
		tagged, err := reference.WithTag(reference.TrimNamed(ref.DockerReference()), tag)
		if err != nil {
			return nil, fmt.Errorf("tag %q: %w", tag, err)
		}
		pulled, err := r.pullWatched(ctx, tagged.String(), policy, &each, g)
		if err != nil {
			return nil, err
		}
		images = append(images, pulled...)
	}
	return images, nil
}

// tagsContext is how the registry is asked for its tags.
func (r *Runtime) tagsContext(opts image.PullOptions) *types.SystemContext {
	sys := r.sys
	if opts.TLSVerify != nil {
		sys.DockerInsecureSkipTLSVerify = types.NewOptionalBool(!*opts.TLSVerify)
	}
	if opts.AuthFile != "" {
		sys.AuthFilePath = opts.AuthFile
	}
	if opts.CertDir != "" {
		sys.DockerCertPath = opts.CertDir
	}
	if user, password, ok := strings.Cut(opts.Creds, ":"); ok {
		sys.DockerAuthConfig = &types.DockerAuthConfig{Username: user, Password: password}
	}
	return &sys
}
