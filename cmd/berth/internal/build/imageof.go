// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
)

// ImageOf makes an image, with annotations, whose files are those of a tar archive, which is moved, and returns its ID.
func ImageOf(ctx context.Context, e *libctr.Engine, archive, name string, annotations map[string]string) (id string, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(archive), "image-")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := build.Request{Context: dir, Tags: []string{name}, Format: "oci", Network: "none", NoCache: true}
	for k, v := range annotations {
		r.Annotations = append(r.Annotations, k+"="+v)
	}
	err = errors.Join(os.Rename(archive, filepath.Join(dir, "content.tar")),
		os.WriteFile(filepath.Join(dir, "Containerfile"), []byte("FROM scratch\nADD content.tar /\n"), 0o600))
	if err != nil {
		return "", err
	}
	result, err := build.Run(ctx, e, r)
	if err != nil {
		return "", fmt.Errorf("make the image %s: %w", name, err)
	}
	return result.Image, nil
}
