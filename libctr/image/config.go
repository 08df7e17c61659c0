// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"

	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
)

// Config is an image's configuration: the OCI one, and what Docker's format adds to it.
type Config struct {
	ociv1.Image
	Healthcheck *manifest.Schema2HealthConfig // nil is none; Durations are as in Docker's format
	Shell       []string                      // for the shell form of RUN, CMD and ENTRYPOINT
	OnBuild     []string                      // instructions for a build that starts from this image
	Comment     string                        // Docker's format only
	Version     string                        // docker_version
}

// dockerExtras is the part of Docker's image config that OCI's has not.
type dockerExtras struct {
	Comment string `json:"comment"`
	Version string `json:"docker_version"`
	Config  struct {
		Healthcheck *manifest.Schema2HealthConfig
		Shell       []string
		OnBuild     []string
	} `json:"config"`
	ContainerConfig struct {
		Healthcheck *manifest.Schema2HealthConfig
	} `json:"container_config"`
}

// errManifestList says that the image is a list of images, one a platform.
var errManifestList = errors.New("a manifest list has no config of its own")

// Config reads the image's configuration. The error is ErrUnreadable if the store has lost it.
func (img *Image) Config() (*Config, error) {
	raw, err := img.rawConfig()
	if err != nil {
		return nil, err
	}
	c, err := ParseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("read the config of image %s: %w: %w", img.ID, ErrUnreadable, err)
	}
	return c, nil
}

func (img *Image) rawConfig() ([]byte, error) {
	// The ID is the config's digest, except where a tool has chosen the ID itself.
	if name := "sha256:" + img.ID; img.has(name) {
		return img.bigData(name)
	}
	raw, mime, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	if manifest.MIMETypeIsMultiImage(mime) {
		return nil, fmt.Errorf("read the config of image %s: %w", img.ID, errManifestList)
	}
	m, err := manifest.FromBlob(raw, mime)
	if err != nil {
		return nil, fmt.Errorf("read the manifest of image %s: %w: %w", img.ID, ErrUnreadable, err)
	}
	d := m.ConfigInfo().Digest
	if d == "" {
		return nil, fmt.Errorf("read the config of image %s: its manifest (%s) has none: %w", img.ID, mime, ErrUnreadable)
	}
	return img.bigData(d.String())
}

// has reports whether the image's record lists a big data item with that name.
func (img *Image) has(name string) bool {
	_, ok := img.BigDataSizes[name]
	return ok
}

// Manifest returns the manifest that was stored last, and its media type.
func (img *Image) Manifest() (raw []byte, mime string, err error) {
	raw, err = img.bigData("manifest")
	if err != nil {
		return nil, "", err
	}
	return raw, manifest.GuessMIMEType(raw), nil
}

// IsManifestList reports whether the image is a manifest list, which has images and no layers.
func (img *Image) IsManifestList() bool { return img.isList() }

// isList reports whether the image is a manifest list. An image with layers is none.
func (img *Image) isList() bool {
	if img.TopLayer != "" {
		return false
	}
	_, mime, err := img.Manifest()
	return err == nil && manifest.MIMETypeIsMultiImage(mime)
}
