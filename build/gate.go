package build

import (
	"sync/atomic"

	"go.podman.io/storage"
)

// gate is the store as the stages of a build see it. When a stage has failed, buildah (1.44, imagebuildah/executor.go, Build)
// does not wait for the others: they go on with what it has taken from under them, and a nil map or pointer would end this
// program with a trace instead of the error. So once the build has returned, whoever is still at work stops at the next
// thing wanted of the store, for good: the program is about to end.
type gate struct {
	storage.Store
	shut atomic.Bool
}

func (g *gate) wait() {
	if g.shut.Load() {
		select {}
	}
}

func (g *gate) Container(id string) (*storage.Container, error) {
	g.wait()
	c, err := g.Store.Container(id)
	g.wait()
	return c, err
}

func (g *gate) CreateContainer(id string, names []string, image, layer, metadata string, options *storage.ContainerOptions) (*storage.Container, error) {
	g.wait()
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
