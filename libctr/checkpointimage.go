// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/transfer"
)

// Annotations of an image that has a checkpoint's archive as its files. The names are podman's.
const (
	checkpointAnnotation     = "io.podman.annotations.checkpoint."
	checkpointNameAnnotation = checkpointAnnotation + "name"
)

// CheckpointAnnotations are those of an image of the container's checkpoint.
func (e *Engine) CheckpointAnnotations(c *Container) (map[string]string, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	of := map[string]string{
		"name": c.State.Name, "rootfsImageID": cfg.ImageID, "rootfsImageName": cfg.ImageName, "rawImageName": cfg.ImageName,
		"runtime.name": cfg.Runtime.Name, "host.arch": runtime.GOARCH, "host.kernel": KernelVersion(),
	}
	all := map[string]string{}
	for k, v := range of {
		if v != "" {
			all[checkpointAnnotation+k] = v
		}
	}
	return all, nil
}

// CheckpointImage returns what opens the archive that an image of a checkpoint has as its files.
func (e *Engine) CheckpointImage(ctx context.Context, img *image.Image) (func() (io.ReadCloser, error), error) {
	data, err := img.Inspect()
	if err != nil {
		return nil, err
	}
	if data.Annotations[checkpointNameAnnotation] == "" {
		return nil, hint.Add(errors.New("it has no checkpoint of a container"), "make such an image with: %s", hint.To(hint.MakeImageOfCheckpoint, "NAME", "CONTAINER"))
	}
	dirs, err := img.LayerDirs()
	if err != nil {
		return nil, err
	}
	if len(dirs) != 1 {
		return nil, errors.New("it has several layers, and an image of a checkpoint has one")
	}
	return func() (io.ReadCloser, error) {
		dir, err := os.Open(dirs[0])
		if err != nil {
			return nil, err
		}
		top, err := transfer.Confined(dir).Find("/")
		if err != nil {
			return nil, errors.Join(err, dir.Close())
		}
		r, w := io.Pipe()
		go func() {
			err := transfer.Copy(ctx, &transfer.Tree{Top: top}, transfer.NewArchiveWriter(w))
			w.CloseWithError(errors.Join(err, top.Close(), dir.Close()))
		}()
		return r, nil
	}, nil
}
