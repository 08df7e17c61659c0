// SPDX-License-Identifier: Apache-2.0

package library

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker/reference"
	imagepkg "go.podman.io/image/v5/image"
	"go.podman.io/image/v5/transports"
	"go.podman.io/image/v5/types"
)

// A Diversion has what another library in this process (buildah) pulls through libimage be fetched by this program, through the
// guard. libimage finds the transport of each name it pulls among those that are registered, so every name passes here, wherever
// the library has it from: an instruction, a flag, a variable, an image's triggers.
//
// libimage then copies the image that it has been given into the store. To have nothing copied twice, that is a stand-in: an
// image without layers, which the store that the library was given takes for the one that was fetched (Image).
type Diversion struct {
	fetch Fetch
	skip  func(types.ImageReference) bool

	mu       sync.Mutex
	standIns map[string]string // IDs of images in the store, by those of their stand-ins
}

// Fetch makes sure that an image is in the store, and returns its ID. name is TRANSPORT:REFERENCE, and sys says for which platform.
type Fetch func(ctx context.Context, name string, sys *types.SystemContext) (id string, err error)

// transportNames are the transports that bring images from elsewhere.
var transportNames = []string{"docker", "docker-archive", "docker-daemon", "oci", "oci-archive", "dir", "sif", "tarball", "atomic", "ostree"}

// Divert begins. What skip is true of is left to the library; Runtime.Pull is not diverted.
func Divert(skip func(types.ImageReference) bool, fetch Fetch) *Diversion {
	d := &Diversion{fetch: fetch, skip: skip, standIns: map[string]string{}}
	for _, name := range transportNames {
		if t := undiverted(transports.Get(name)); t != nil {
			transports.Delete(name)
			transports.Register(divertedTransport{t, d})
		}
	}
	return d
}

// End registers the transports as they were.
func (d *Diversion) End() {
	for _, name := range transportNames {
		if t, ok := transports.Get(name).(divertedTransport); ok && t.d == d {
			transports.Delete(name)
			transports.Register(t.ImageTransport)
		}
	}
}

// Image returns the ID of the image that a stand-in stands for; false for the ID of any other image.
func (d *Diversion) Image(standIn string) (id string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	id, ok = d.standIns[standIn]
	return id, ok
}

func undiverted(t types.ImageTransport) types.ImageTransport {
	if d, ok := t.(divertedTransport); ok {
		return d.ImageTransport
	}
	return t
}

type divertedTransport struct {
	types.ImageTransport
	d *Diversion
}

func (t divertedTransport) ParseReference(text string) (types.ImageReference, error) {
	ref, err := t.ImageTransport.ParseReference(text)
	if err != nil || inPull() || t.d.skip(ref) {
		return ref, err
	}
	return &divertedRef{ImageReference: ref, name: t.Name() + ":" + text, d: t.d}, nil
}

// inPull reports whether this goroutine is in a pull of this package's: libimage takes names only, and has no other way to say whose
// it is.
func inPull() bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.Function, "libctr/image/library.(*Runtime).Pull") {
			return true
		}
		if !more {
			return false
		}
	}
}

// divertedRef is an image that is fetched when it is opened.
type divertedRef struct {
	types.ImageReference // as it was asked for
	name                 string
	d                    *Diversion

	mu sync.Mutex // guards id, and fetching
	id string
}

// Transport is none that libimage has rules for, so that it copies the image as it is, whatever it is to pull otherwise.
func (r *divertedRef) Transport() types.ImageTransport {
	return unknownTransport{r.ImageReference.Transport()}
}

type unknownTransport struct{ types.ImageTransport }

func (t unknownTransport) Name() string { return "berth-" + t.ImageTransport.Name() }

func (r *divertedRef) NewImage(ctx context.Context, sys *types.SystemContext) (types.ImageCloser, error) {
	src, err := r.NewImageSource(ctx, sys)
	if err != nil {
		return nil, err
	}
	return imagepkg.FromSource(ctx, sys, src)
}

func (r *divertedRef) NewImageSource(ctx context.Context, sys *types.SystemContext) (types.ImageSource, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.id == "" {
		id, err := r.d.fetch(ctx, r.name, sys)
		if err != nil {
			return nil, err
		}
		r.id = id
	}
	return r.d.standIn(r, r.id)
}

// standIn makes the stand-in of an image.
func (d *Diversion) standIn(ref types.ImageReference, id string) (types.ImageSource, error) {
	config, err := json.Marshal(imagespec.Image{Author: "stands for " + id, RootFS: imagespec.RootFS{Type: "layers", DiffIDs: []digest.Digest{}}})
	if err != nil {
		return nil, err
	}
	s := &standIn{ref: standInRef{ref}, config: config}
	m := imagespec.Manifest{
		MediaType: imagespec.MediaTypeImageManifest, Layers: []imagespec.Descriptor{},
		Config: imagespec.Descriptor{MediaType: imagespec.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))},
	}
	m.SchemaVersion = 2
	if s.manifest, err = json.Marshal(m); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.standIns[m.Config.Digest.Encoded()] = id
	return s, nil
}

// standInRef is a name that the digest in it says nothing of: that is the digest of the image that is stood for.
type standInRef struct{ types.ImageReference }

func (standInRef) DockerReference() reference.Named { return nil }

// standIn is an image of a configuration alone.
type standIn struct {
	ref              types.ImageReference
	manifest, config []byte
}

func (s *standIn) Reference() types.ImageReference { return s.ref }
func (s *standIn) Close() error                    { return nil }
func (s *standIn) HasThreadSafeGetBlob() bool      { return true }

func (s *standIn) GetManifest(_ context.Context, instance *digest.Digest) ([]byte, string, error) {
	if instance != nil {
		return nil, "", errors.New("an image in the store is no list of images")
	}
	return s.manifest, imagespec.MediaTypeImageManifest, nil
}

func (s *standIn) GetBlob(_ context.Context, info types.BlobInfo, _ types.BlobInfoCache) (io.ReadCloser, int64, error) {
	if info.Digest != digest.FromBytes(s.config) {
		return nil, 0, fmt.Errorf("there is no blob %s", info.Digest)
	}
	return io.NopCloser(bytes.NewReader(s.config)), int64(len(s.config)), nil
}

func (*standIn) GetSignatures(context.Context, *digest.Digest) ([][]byte, error) { return nil, nil }

func (*standIn) LayerInfosForCopy(context.Context, *digest.Digest) ([]types.BlobInfo, error) {
	return nil, nil
}
