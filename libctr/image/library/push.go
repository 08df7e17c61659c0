// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	encconfig "github.com/containers/ocicrypt/config"
	enchelpers "github.com/containers/ocicrypt/helpers"
	"github.com/opencontainers/go-digest"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage"
	"go.podman.io/common/pkg/config"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/image/v5/transports/alltransports"
)

// PushOptions are those of Push.
type PushOptions struct {
	image.RegistryOptions
	Format           string // of the manifest: oci, v2s2 or v2s1; empty keeps the image's own
	Compression      string // of layers: gzip, zstd or zstd:chunked; empty is containers.conf's
	CompressionLevel *int   // nil is the format's own
	ForceCompression *bool  // compress layers again that the registry has otherwise; nil is if Compression is given
	DirCompress      bool   // compress layers in a dir: destination
	RemoveSignatures bool
	EncryptionKeys   []string      // PROTOCOL:KEYFILE, for whom layers are encrypted
	EncryptLayers    *[]int        // which: 0 is the first, -1 the last; nil is all
	Retries          *uint         // see PullOptions
	RetryDelay       time.Duration // see PullOptions
	Progress         io.Writer     // see PullOptions
}

// Push sends the local image called name to a registry, or with a transport in front of the destination
// (oci:, oci-archive:, docker-archive:, dir:, ...) to elsewhere; an empty destination is the image's name. Of an index,
// all images are sent. It returns the digest of the manifest that arrived.
func (r *Runtime) Push(ctx context.Context, name, destination string, opts PushOptions) (digest.Digest, error) {
	lib, err := opts.lib()
	if err != nil {
		return "", fmt.Errorf("push image %q: %w", name, err)
	}
	if destination == "" {
		destination = name
	}
	if alltransports.TransportFromImageName(destination) == nil {
		if err := checkName(destination); err != nil {
			return "", hint.Add(fmt.Errorf("push image %q to %q: %w", name, destination, err), "a destination is REGISTRY/NAME:TAG, or TRANSPORT:PATH")
		}
	}
	var d digest.Digest
	err = retrying(ctx, opts.Retries, opts.RetryDelay, opts.Progress, func() (err error) {
		d, err = r.push(ctx, name, destination, lib)
		return err
	})
	if err != nil {
		return "", r.explainPush(ctx, fmt.Errorf("push image %q to %s: %w", name, destination, err), destination)
	}
	return d, nil
}

func (r *Runtime) push(ctx context.Context, name, destination string, lib *libimage.PushOptions) (digest.Digest, error) {
	list, err := r.lib.LookupManifestList(name)
	switch {
	case err == nil:
		return list.Push(ctx, destination, &libimage.ManifestListPushOptions{CopyOptions: lib.CopyOptions, ImageListSelection: copy.CopyAllImages})
	case !errors.Is(err, libimage.ErrNotAManifestList):
		return "", err
	}
	m, err := r.lib.Push(ctx, name, destination, lib)
	if err != nil {
		return "", err
	}
	return manifest.Digest(m)
}

func (opts *PushOptions) lib() (*libimage.PushOptions, error) {
	lib := &libimage.PushOptions{}
	lib.CopyOptions = copyOptions(opts.RegistryOptions)
	lib.Writer, lib.RemoveSignatures, lib.DirForceCompress = opts.Progress, opts.RemoveSignatures, opts.DirCompress
	lib.MaxRetries = new(uint) // retried by Push
	switch opts.Format {
	case "":
	case "oci":
		lib.ManifestMIMEType = ociv1.MediaTypeImageManifest
	case "v2s1":
		lib.ManifestMIMEType = manifest.DockerV2Schema1SignedMediaType
	case "v2s2", "docker":
		lib.ManifestMIMEType = manifest.DockerV2Schema2MediaType
	default:
		return nil, fmt.Errorf("format %q: must be oci, v2s2 or v2s1", opts.Format)
	}
	if opts.Compression != "" {
		algorithm, err := compression.AlgorithmByName(opts.Compression)
		if err != nil {
			return nil, fmt.Errorf("compression %q: must be gzip, zstd or zstd:chunked", opts.Compression)
		}
		lib.CompressionFormat, lib.ForceCompressionFormat = &algorithm, true
	}
	lib.CompressionLevel = opts.CompressionLevel
	if err := compressionDefaults(lib); err != nil {
		return nil, err
	}
	if opts.ForceCompression != nil {
		if *opts.ForceCompression && opts.Compression == "" {
			return nil, errors.New("to force the compression, name its format")
		}
		lib.ForceCompressionFormat = *opts.ForceCompression
	}
	if len(opts.EncryptionKeys) > 0 {
		c, err := enchelpers.CreateCryptoConfig(opts.EncryptionKeys, nil)
		if err != nil {
			return nil, fmt.Errorf("read the encryption keys: %w", err)
		}
		lib.OciEncryptConfig = encconfig.CombineCryptoConfigs([]encconfig.CryptoConfig{c}).EncryptConfig
		lib.OciEncryptLayers = opts.EncryptLayers
		if lib.OciEncryptLayers == nil {
			lib.OciEncryptLayers = &[]int{} // all of them
		}
	}
	return lib, nil
}

// explainPush adds what the user can do about an error of a push.
func (r *Runtime) explainPush(ctx context.Context, err error, destination string) error {
	if ctx.Err() != nil {
		return errors.Join(errors.New("interrupted"), ctx.Err())
	}
	if errors.Is(err, image.ErrNotFound) {
		return hint.Add(err, "see the local images with: %s", hint.To(hint.ListImages))
	}
	if t := alltransports.TransportFromImageName(destination); t == nil || t.Name() == "docker" {
		if h := RegistryHint(err, r.registry(destination)); !h.Empty() {
			return hint.With(err, h)
		}
		return err
	}
	return explain(ctx, err, destination)
}

// compressionDefaults takes from containers.conf what was not asked for. Layers that the registry has otherwise
// compressed are not compressed again for a default.
func compressionDefaults(lib *libimage.PushOptions) error {
	c, err := config.Default()
	if err != nil {
		return fmt.Errorf("read containers.conf: %w", err)
	}
	if name := c.Engine.CompressionFormat; lib.CompressionFormat == nil && name != "" && name != "gzip" {
		algorithm, err := compression.AlgorithmByName(name)
		if err != nil {
			return fmt.Errorf("compression_format %q of containers.conf: must be gzip, zstd or zstd:chunked", name)
		}
		lib.CompressionFormat = &algorithm
	}
	if lib.CompressionLevel == nil {
		lib.CompressionLevel = c.Engine.CompressionLevel
	}
	return nil
}
