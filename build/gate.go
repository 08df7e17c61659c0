// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/berth-containers/berth/build/copier"
	"go.podman.io/storage"
	graphdriver "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/chunked"
)

// gate is the store as the stages of a build see it. When a stage has failed, buildah (1.44, imagebuildah/executor.go, Build)
// does not wait for the others: they go on with what it has taken from under them, and a nil map or pointer would end this
// program with a trace instead of the error. So once the build has returned, whoever is still at work stops at the next
// thing wanted of the store, for good: the program is about to end.
type gate struct {
	storage.Store
	shut   atomic.Bool
	mounts *copier.Mounts           // nil where nothing is copied
	check  func(image string) error // of an image that a working container is to be made from; nil takes all
	pulls  *pulls                   // whose stand-ins are taken for the images that they stand for; nil for none
}

func (g *gate) wait() {
	if g.shut.Load() || fetchingImage() && !waitedFor() {
		select {}
	}
}

// fetchingImage reports whether this goroutine is a stage that gets an image to copy from: what it gets goes into a map that is
// nil as soon as the build has failed, some time before that returns.
func fetchingImage() bool { return isIn("imagebuildah.(*stageExecutor).getImageRootfs") }

// isIn reports whether this goroutine is in a function.
func isIn(function string) bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, function) {
			return true
		}
		if !more {
			return false
		}
	}
}

// waitedFor reports whether a build waits for its stages still, and has not begun to clean up.
func waitedFor() bool {
	buf := make([]byte, 1<<20)
	for trace := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !strings.Contains(trace, "imagebuildah.(*executor).Build(") {
			continue
		}
		frames, _, _ := strings.Cut(trace, "\ncreated by ")
		if !strings.Contains(frames, "imagebuildah.(*executor).Build.func") {
			return true
		}
	}
	return false
}

func (g *gate) Container(id string) (*storage.Container, error) {
	g.wait()
	c, err := g.Store.Container(id)
	g.wait()
	return c, err
}

func (g *gate) CreateContainer(id string, names []string, image, layer, metadata string, options *storage.ContainerOptions) (*storage.Container, error) {
	g.wait()
	if g.check != nil && image != "" {
		if err := g.check(image); err != nil {
			return nil, err
		}
	}
	c, err := g.Store.CreateContainer(id, names, image, layer, metadata, options)
	g.wait()
	return c, err
}

func (g *gate) Image(id string) (*storage.Image, error) {
	g.wait()
	if img, err := g.pulls.image(g.Store, id); img != nil || err != nil {
		return img, err
	}
	return g.Store.Image(id)
}

// CreateImage makes no image of a stand-in.
func (g *gate) CreateImage(id string, names []string, layer, metadata string, options *storage.ImageOptions) (*storage.Image, error) {
	g.wait()
	if img, err := g.pulls.image(g.Store, id); img != nil || err != nil {
		return img, err
	}
	return g.Store.CreateImage(id, names, layer, metadata, options)
}

func (g *gate) Images() ([]storage.Image, error) {
	g.wait()
	return g.Store.Images()
}

func (g *gate) Mount(id, mountLabel string) (string, error) {
	g.wait()
	dir, err := g.Store.Mount(id, mountLabel)
	g.wait()
	if err == nil && g.mounts != nil {
		err = g.mounts.Note(id, dir)
	}
	return dir, err
}

// Unmount may find that the layer has been removed since the build returned: nobody is to hear of that.
func (g *gate) Unmount(id string, force bool) (bool, error) {
	g.wait()
	mounted, err := g.Store.Unmount(id, force)
	g.wait()
	return mounted, err
}

func (g *gate) ContainerDirectory(id string) (string, error) {
	g.wait()
	return g.Store.ContainerDirectory(id)
}

func (g *gate) ContainerRunDirectory(id string) (string, error) {
	g.wait()
	return g.Store.ContainerRunDirectory(id)
}

func (g *gate) SetContainerBigData(id, key string, data []byte) error {
	g.wait()
	return g.Store.SetContainerBigData(id, key, data)
}

func (g *gate) CreateLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions) (*storage.Layer, error) {
	g.wait()
	return g.Store.CreateLayer(id, parent, names, mountLabel, writeable, options)
}

func (g *gate) PutLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) {
	g.wait()
	return g.Store.PutLayer(id, parent, names, mountLabel, writeable, options, diff)
}

// PrepareStagedLayer has layers come whole, as they do past library's guard: of one that comes in pieces (zstd:chunked, with
// enable_partial_images) nobody looks at what it unpacks to.
func (g *gate) PrepareStagedLayer(*graphdriver.ApplyDiffWithDifferOpts, graphdriver.Differ) (*graphdriver.DriverWithDifferOutput, error) {
	return nil, chunked.ErrFallbackToOrdinaryLayerDownload{Err: errors.New("layers are taken whole")}
}
