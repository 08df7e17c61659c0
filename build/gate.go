package build

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"

	"github.com/berth-containers/berth/build/copier"
	"go.podman.io/storage"
)

// gate is the store as the stages of a build see it. When a stage has failed, buildah (1.44, imagebuildah/executor.go, Build)
// does not wait for the others: they go on with what it has taken from under them, and a nil map or pointer would end this
// program with a trace instead of the error. So once the build has returned, whoever is still at work stops at the next
// thing wanted of the store, for good: the program is about to end.
//
// It also writes down the ID of each layer before it is made. A layer gets an owner, an image or a container, only after that: of
// a build that is killed in between, nothing else would tell whose it is.
type gate struct {
	storage.Store
	shut   atomic.Bool
	note   func(layer string) error
	mounts *copier.Mounts // nil where nothing is copied
}

func (g *gate) wait() {
	if g.shut.Load() || fetchingImage() && !waitedFor() {
		select {}
	}
}

// fetchingImage tells whether this goroutine is a stage that gets an image to copy from: what it gets goes into a map that is
// nil as soon as the build has failed, some time before that returns.
func fetchingImage() bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "imagebuildah.(*stageExecutor).getImageRootfs") {
			return true
		}
		if !more {
			return false
		}
	}
}

// waitedFor tells whether a build waits for its stages still, and has not begun to clean up.
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
	if layer == "" { // the store would choose one
		layer = newLayerID()
	}
	if err := g.note(layer); err != nil {
		return nil, err
	}
	c, err := g.Store.CreateContainer(id, names, image, layer, metadata, options)
	g.wait()
	return c, err
}

func (g *gate) Image(id string) (*storage.Image, error) {
	g.wait()
	return g.Store.Image(id)
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
	if id == "" {
		id = newLayerID()
	}
	if err := g.note(id); err != nil {
		return nil, err
	}
	return g.Store.CreateLayer(id, parent, names, mountLabel, writeable, options)
}

func (g *gate) PutLayer(id, parent string, names []string, mountLabel string, writeable bool, options *storage.LayerOptions, diff io.Reader) (*storage.Layer, int64, error) {
	g.wait()
	if id == "" {
		id = newLayerID()
	}
	if err := g.note(id); err != nil {
		return nil, 0, err
	}
	return g.Store.PutLayer(id, parent, names, mountLabel, writeable, options, diff)
}

func (g *gate) ApplyStagedLayer(args storage.ApplyStagedLayerOptions) (*storage.Layer, error) {
	g.wait()
	if err := g.note(args.ID); err != nil {
		return nil, err
	}
	return g.Store.ApplyStagedLayer(args)
}

func newLayerID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: crypto/rand.Read
	return hex.EncodeToString(b[:])
}

// journal is where a session writes down its layers.
func (r roots) journal(id string) string { return filepath.Join(r.tmp, id, "layers") }

// noteLayer writes a layer's ID down.
func (s *Session) noteLayer(id string) error {
	f, err := os.OpenFile(newRoots(s.engine).journal(s.id), os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return fmt.Errorf("note a layer: %w", err)
	}
	_, err = io.WriteString(f, id+"\n")
	return errors.Join(err, f.Close())
}

// orphans are the layers that a session has made and that nobody owns, children before parents. Its own working containers
// own nothing.
func (r roots) orphans(store storage.Store, id string) ([]string, error) {
	text, err := os.ReadFile(r.journal(id))
	if err != nil {
		return nil, nil // it has made none
	}
	layers, err := store.Layers()
	if err != nil {
		return nil, err
	}
	images, err := store.Images()
	if err != nil {
		return nil, err
	}
	containers, err := store.Containers()
	if err != nil {
		return nil, err
	}
	parent := map[string]string{}
	for _, l := range layers {
		parent[l.ID] = l.Parent
	}
	owned := map[string]bool{"": true}
	own := func(layer string) {
		for ; !owned[layer]; layer = parent[layer] {
			owned[layer] = true
		}
	}
	for _, img := range images {
		own(img.TopLayer)
		for _, l := range img.MappedTopLayers {
			own(l)
		}
	}
	for _, c := range containers {
		if sessionOf(c) != id {
			own(c.LayerID)
		}
	}
	noted := map[string]bool{}
	for _, l := range strings.Fields(string(text)) {
		noted[l] = true
	}
	// A layer of somebody else's that has grown on one of ours is none of our business, and keeps it.
	for _, l := range layers {
		if !noted[l.ID] {
			own(l.ID)
		}
	}
	var found []string
	seen := map[string]bool{}
	var visit func(layer string)
	children := map[string][]string{}
	for _, l := range layers {
		children[l.Parent] = append(children[l.Parent], l.ID)
	}
	visit = func(layer string) {
		if seen[layer] || owned[layer] {
			return
		}
		seen[layer] = true
		for _, c := range children[layer] {
			visit(c)
		}
		found = append(found, layer)
	}
	for l := range noted {
		if _, there := parent[l]; there {
			visit(l)
		}
	}
	return found, nil
}

// deleteLayer removes a layer that nobody owns; it is no error if somebody else has removed it, or owns it by now.
func deleteLayer(store storage.Store, id string) error {
	err := store.DeleteLayer(id)
	for _, fine := range []error{storage.ErrLayerUnknown, storage.ErrNotALayer, storage.ErrLayerHasChildren, storage.ErrLayerUsedByImage, storage.ErrLayerUsedByContainer} {
		if errors.Is(err, fine) {
			return nil
		}
	}
	return err
}
