// SPDX-License-Identifier: Apache-2.0

package library

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker"
	imagepkg "go.podman.io/image/v5/image"
	"go.podman.io/image/v5/manifest"
	"go.podman.io/image/v5/signature"
	storageTransport "go.podman.io/image/v5/storage"
	"go.podman.io/image/v5/types"
)

// limits bound what is taken of an image from elsewhere.
type limits struct {
	layers  int
	foreign bool          // fetch layers that are not to be distributed from the addresses that the manifest gives
	stall   time.Duration // how long nothing, or next to nothing, may come
}

// Bounds that nobody has asked to change.
const (
	defaultLayers = 128
	defaultStall  = 5 * time.Minute

	maxManifestSize = 4 << 20   // bytes; what registries must support (distribution-spec, "Pushing Manifests")
	maxInstances    = 1024      // images of a list: platforms, and what is attached to each
	maxLayersSize   = 512 << 30 // bytes of an image's layers as they are sent
	maxAnswer       = 128 << 20 // bytes of memory for an answer that the library reads without a bound
	stallBytes      = 64 << 10  // that must come within the time of a stall
)

// readLimits takes what the user has changed from the environment.
func readLimits() (limits, error) {
	l := limits{layers: defaultLayers, stall: defaultStall}
	var err error
	if s := os.Getenv("BERTH_MAX_LAYERS"); s != "" {
		if l.layers, err = strconv.Atoi(s); err != nil || l.layers < 1 {
			return l, fmt.Errorf("BERTH_MAX_LAYERS=%q is not a number of layers", s)
		}
	}
	if s := os.Getenv("BERTH_FOREIGN_LAYERS"); s != "" {
		if l.foreign, err = strconv.ParseBool(s); err != nil {
			return l, fmt.Errorf("BERTH_FOREIGN_LAYERS=%q is neither true nor false", s)
		}
	}
	if s := os.Getenv("BERTH_STALL_TIMEOUT"); s != "" {
		if l.stall, err = time.ParseDuration(s); err != nil || l.stall <= 0 {
			return l, fmt.Errorf("BERTH_STALL_TIMEOUT=%q is not a time such as 5m", s)
		}
	}
	return l, nil
}

// guard stands between images from elsewhere and the library that copies them into the store: the library believes the sizes
// in a manifest, and takes whatever is sent. Every pull and load passes it.
type guard struct {
	limits
	policy  *signature.PolicyContext // nil leaves signatures to the library
	garbage int                      // the GC percentage as it was
	asking  *time.Timer              // see watch; nil where the library asks nothing by itself

	mu      sync.Mutex // guards refused, and policy's use
	refused error      // the first refusal: the library passes on some errors as texts only
}

// newGuard returns a guard for one operation, and has the library go through it. Close it.
func (r *Runtime) newGuard(opts *libimage.CopyOptions) (*guard, error) {
	l, err := readLimits()
	if err != nil {
		return nil, err
	}
	g := &guard{limits: l}
	if err := g.takePolicy(r, opts); err != nil {
		return nil, err
	}
	opts.SourceLookupReferenceFunc = g.lookup
	// For each layer the library makes some MB of garbage (the record of its archive is packed), which a program that collects
	// late (cmd/berth/main.go) would keep for all of them.
	g.garbage = debug.SetGCPercent(50)
	return g, nil
}

// takePolicy makes the guard check signatures where the policy asks for sigstore's. The library gets those by methods that
// only its own packages can write, so behind the guard it would find none.
func (g *guard) takePolicy(r *Runtime, opts *libimage.CopyOptions) error {
	policy, err := signature.DefaultPolicy(&r.sys)
	if err != nil {
		return fmt.Errorf("read policy.json: %w", err)
	}
	text, err := json.Marshal(policy)
	if err != nil || !bytes.Contains(text, []byte(`"sigstoreSigned"`)) {
		return err
	}
	opts.SignaturePolicyPath = filepath.Join(r.scratch, "accepted.json")
	if err := os.WriteFile(opts.SignaturePolicyPath, []byte(defaultPolicy), 0o600); err != nil {
		return err
	}
	g.policy, err = signature.NewPolicyContext(policy)
	return err
}

// close ends the guard's work, and returns what is to be said of the operation's error.
func (g *guard) close(err error) error {
	debug.SetGCPercent(g.garbage)
	if g.policy != nil {
		err = errors.Join(err, g.policy.Destroy())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil && g.refused != nil {
		return g.refused
	}
	return err
}

// refuse notes and returns a refusal, with a hint.
func (g *guard) refuse(err error) error {
	var hinted *hint.Error
	if !errors.As(err, &hinted) {
		err = hostile(err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refused == nil {
		g.refused = err
	}
	return err
}

// lookup is the library's SourceLookupReferenceFunc. The store's own images have passed the guard.
func (g *guard) lookup(ref types.ImageReference) (types.ImageReference, error) {
	if ref.Transport().Name() == storageTransport.Transport.Name() {
		return ref, nil
	}
	if g.asking != nil {
		g.asking.Stop()
	}
	return guardedRef{ref, g}, nil
}

type guardedRef struct {
	types.ImageReference
	g *guard
}

func (r guardedRef) NewImageSource(ctx context.Context, sys *types.SystemContext) (types.ImageSource, error) {
	var src types.ImageSource
	err := r.g.inTime(ctx, r.ImageReference, func(ctx context.Context) (err error) {
		src, err = r.ImageReference.NewImageSource(ctx, sys)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &guardedSource{ImageSource: src, g: r.g, blobs: map[digest.Digest]blob{}}, nil
}

// inTime asks a registry, and gives up where it does not answer.
func (g *guard) inTime(ctx context.Context, ref types.ImageReference, ask func(context.Context) error) error {
	if ref.Transport().Name() != docker.Transport.Name() {
		return ask(ctx) // an archive may take long to be unpacked
	}
	err := g.limits.inTime(ctx, ask)
	if errors.Is(err, errStalled) {
		return g.refuse(err)
	}
	return err
}

// InTime asks a registry, and gives up where it does not answer, after as long as a pull waits.
func InTime(ctx context.Context, ask func(context.Context) error) error {
	l, err := readLimits()
	if err != nil {
		return err
	}
	return l.inTime(ctx, ask)
}

func (l limits) inTime(ctx context.Context, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.stall, errStalled)
	defer cancel()
	err := ask(ctx)
	if err != nil && context.Cause(ctx) == errStalled {
		return l.stalled("the registry does not answer")
	}
	return err
}

// watch bounds the time in which the library asks a registry by itself, whether a tag has moved: until the guard is asked for an
// image, and again when that has been read.
func (g *guard) watch(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	g.asking = time.AfterFunc(g.stall, func() { cancel(errStalled) })
	return ctx, func() { g.asking.Stop(); cancel(nil) }
}

var (
	errStalled = errors.New("stalled")
	errTooBig  = errors.New("too big")
)

// inMemory ends what do does when it takes more memory than any answer of an honest registry needs: for a part of the library
// that reads answers without a bound.
func (g *guard) inMemory(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	defer func() { close(done); cancel(nil) }()
	heap := func() uint64 {
		s := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(s)
		return s[0].Value.Uint64()
	}
	before := heap()
	go func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				if heap() > before+maxAnswer {
					cancel(errTooBig)
				}
			}
		}
	}()
	err := do(ctx)
	if err != nil && context.Cause(ctx) == errTooBig {
		return g.refuse(fmt.Errorf("%s does not end", what))
	}
	return err
}

func (l limits) stalled(what string) error {
	return hint.Add(fmt.Errorf("%s: next to nothing has come for %s%.0w", what, l.stall, errStalled), "try again later; BERTH_STALL_TIMEOUT=TIME waits for longer")
}

// blob is what a manifest says of a blob.
type blob struct {
	size    int64
	what    string // for messages
	foreign bool
	config  bool
}

// guardedSource hands out manifests that it has checked, and of a blob exactly the bytes that its manifest says.
type guardedSource struct {
	types.ImageSource
	g *guard

	mu    sync.Mutex
	blobs map[digest.Digest]blob
}

func (s *guardedSource) Close() error {
	if s.g.asking != nil {
		s.g.asking.Reset(s.g.stall)
	}
	return s.ImageSource.Close()
}

func (s *guardedSource) GetManifest(ctx context.Context, instance *digest.Digest) (raw []byte, mime string, err error) {
	err = s.g.inTime(ctx, s.Reference(), func(ctx context.Context) (err error) {
		raw, mime, err = s.ImageSource.GetManifest(ctx, instance)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	blobs, err := s.g.checkManifest(raw, mime)
	if err != nil {
		return nil, "", s.g.refuse(err)
	}
	if blobs == nil { // a list
		if instance != nil {
			return nil, "", s.g.refuse(errors.New("the image is a list of images in a list"))
		}
		return raw, mime, nil
	}
	s.mu.Lock()
	for d, b := range blobs {
		s.blobs[d] = b
	}
	s.mu.Unlock()
	return raw, mime, s.g.checkSignatures(ctx, s.ImageSource, instance)
}

func (g *guard) checkSignatures(ctx context.Context, src types.ImageSource, instance *digest.Digest) error {
	if g.policy == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	allowed, err := g.policy.IsRunningImageAllowed(ctx, imagepkg.UnparsedInstance(src, instance))
	if err == nil && !allowed {
		err = errors.New("policy.json does not allow the image")
	}
	if err != nil {
		return fmt.Errorf("source image rejected: %w", err)
	}
	return nil
}

// checkManifest returns the blobs of an image's manifest, or nil for a list of images.
func (g *guard) checkManifest(raw []byte, mime string) (map[digest.Digest]blob, error) {
	if len(raw) > maxManifestSize {
		return nil, fmt.Errorf("the manifest has %d bytes, and %d are the most that is taken", len(raw), maxManifestSize)
	}
	// Counted first: a descriptor takes a hundred times the memory of the two bytes that it may have.
	var lists struct{ Layers, Manifests []json.RawMessage }
	if err := json.Unmarshal(raw, &lists); err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	if len(lists.Manifests) > maxInstances {
		return nil, fmt.Errorf("the list has %d images, and %d are the most that is taken", len(lists.Manifests), maxInstances)
	}
	if len(lists.Layers) > g.layers {
		return nil, hint.Add(fmt.Errorf("the image has %d layers, and %d are the most that is taken", len(lists.Layers), g.layers),
			"if you trust it: BERTH_MAX_LAYERS=%d", len(lists.Layers))
	}
	if mime == "" {
		mime = manifest.GuessMIMEType(raw)
	}
	mime = manifest.NormalizedMIMEType(mime)
	switch {
	case mime == manifest.DockerV2Schema1MediaType, mime == manifest.DockerV2Schema1SignedMediaType:
		return nil, hint.Add(errors.New("the image has no manifest of OCI's or Docker's second kind; those of the first, which say neither sizes nor a configuration, are not taken"),
			"have it pushed again by a program of this decade")
	case manifest.MIMETypeIsMultiImage(mime):
		return nil, checkList(raw, mime)
	}
	m, err := manifest.FromBlob(raw, mime)
	if err != nil {
		return nil, fmt.Errorf("read the manifest: %w", err)
	}
	return checkImage(m)
}

func checkList(raw []byte, mime string) error {
	list, err := manifest.ListFromBlob(raw, mime)
	if err != nil {
		return fmt.Errorf("read the list of images: %w", err)
	}
	for _, d := range list.Instances() {
		x, err := list.Instance(d)
		if err == nil {
			err = checkDescriptor("manifest", d, x.Size, maxManifestSize)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func checkImage(m manifest.Manifest) (map[digest.Digest]blob, error) {
	blobs := map[digest.Digest]blob{}
	add := func(i types.BlobInfo, b blob, most int64) error {
		if err := checkDescriptor(b.what, i.Digest, i.Size, most); err != nil {
			return err
		}
		b.size, b.what = i.Size, b.what+" "+i.Digest.String()
		if old, ok := blobs[i.Digest]; ok && old.size != b.size {
			return fmt.Errorf("the manifest says of %s that it has %d bytes, and %d", b.what, old.size, b.size)
		}
		blobs[i.Digest] = b
		return nil
	}
	total := int64(0)
	for _, l := range m.LayerInfos() {
		if err := add(l.BlobInfo, blob{what: "layer", foreign: isForeign(l.MediaType)}, maxLayersSize); err != nil {
			return nil, err
		}
		if total += l.Size; total > maxLayersSize {
			return nil, fmt.Errorf("the layers have more than %d bytes together, the most that is taken", int64(maxLayersSize))
		}
	}
	c := m.ConfigInfo()
	isConfig := c.MediaType == imagespec.MediaTypeImageConfig || c.MediaType == manifest.DockerV2Schema2ConfigMediaType
	return blobs, add(c, blob{what: "config", config: isConfig}, image.MaxConfigSize)
}

func checkDescriptor(what string, d digest.Digest, size, most int64) error {
	if err := d.Validate(); err != nil {
		return fmt.Errorf("the manifest has a %s without a proper digest: %w", what, err)
	}
	if size < 0 || size > most {
		return fmt.Errorf("the manifest says of %s %s that it has %d bytes, and only 0 to %d are taken", what, d, size, most)
	}
	return nil
}

func isForeign(mime string) bool {
	switch mime {
	case manifest.DockerV2Schema2ForeignLayerMediaType, manifest.DockerV2Schema2ForeignLayerMediaTypeGzip:
		return true
	}
	return strings.HasPrefix(mime, "application/vnd.oci.image.layer.nondistributable.")
}

func (s *guardedSource) GetBlob(ctx context.Context, info types.BlobInfo, cache types.BlobInfoCache) (io.ReadCloser, int64, error) {
	s.mu.Lock()
	b, ok := s.blobs[info.Digest]
	s.mu.Unlock()
	if !ok {
		return nil, 0, s.g.refuse(fmt.Errorf("no manifest that was read has a blob %s", info.Digest))
	}
	// The library would fetch any blob from any address that the manifest gives: of the caller's own network, say.
	asked := info.URLs
	if !b.foreign || !s.g.foreign {
		info.URLs = nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r := &exactReader{g: s.g, blob: b, left: b.size, ctx: ctx, cancel: cancel}
	size, err := r.open(func() (in io.ReadCloser, size int64, err error) { return s.ImageSource.GetBlob(ctx, info, cache) })
	if err == nil && size >= 0 && size != b.size {
		err = s.g.refuse(fmt.Errorf("%s: %d bytes are sent, and its manifest says %d", b.what, size, b.size))
		err = errors.Join(err, r.Close())
	}
	if err != nil {
		cancel(nil)
		if b.foreign && len(asked) > len(info.URLs) {
			err = s.g.refuse(hint.Add(fmt.Errorf("%s is not to be distributed, and the addresses that the manifest gives for it are not asked: %w", b.what, err),
				"if you trust them: BERTH_FOREIGN_LAYERS=true"))
		}
		return nil, 0, err
	}
	if b.config {
		return s.checkConfig(r)
	}
	return r, b.size, nil
}

// checkConfig reads a configuration, and returns a reader of it.
func (s *guardedSource) checkConfig(r *exactReader) (io.ReadCloser, int64, error) {
	raw, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, 0, err
	}
	// What cannot be read is the library's to refuse, which first looks whether it is what the digest says.
	if c, err := image.ParseConfig(raw); err == nil {
		if err := c.Check(); err != nil {
			return nil, 0, s.g.refuse(err)
		}
	}
	return io.NopCloser(bytes.NewReader(raw)), int64(len(raw)), nil
}

// exactReader reads as many bytes as the manifest says, in time.
type exactReader struct {
	g      *guard
	blob   blob
	in     io.ReadCloser
	left   int64
	ctx    context.Context
	cancel context.CancelCauseFunc

	waited time.Duration // for the bytes of got
	got    int           // since the last stallBytes
}

// patiently ends the transfer if what do waits for takes too long.
func (r *exactReader) patiently(do func() error) error {
	start := time.Now()
	timer := time.AfterFunc(r.g.stall-r.waited, func() { r.cancel(errStalled) })
	err := do()
	timer.Stop()
	r.waited += time.Since(start)
	if err != nil && !errors.Is(err, io.EOF) && context.Cause(r.ctx) == errStalled {
		err = r.g.refuse(r.g.stalled(r.blob.what))
	}
	return err
}

func (r *exactReader) open(get func() (io.ReadCloser, int64, error)) (size int64, err error) {
	err = r.patiently(func() (err error) {
		r.in, size, err = get()
		return err
	})
	return size, err
}

func (r *exactReader) Read(p []byte) (n int, err error) {
	if int64(len(p)) > r.left+1 {
		p = p[:r.left+1]
	}
	err = r.patiently(func() (err error) {
		n, err = r.in.Read(p)
		return err
	})
	if r.got += n; r.got >= stallBytes {
		r.got, r.waited = 0, 0
	}
	if r.left -= int64(n); r.left < 0 {
		return 0, r.g.refuse(fmt.Errorf("%s: more bytes come than the %d that its manifest says", r.blob.what, r.blob.size))
	}
	if errors.Is(err, io.EOF) && r.left > 0 {
		err = r.g.refuse(fmt.Errorf("%s: only %d bytes come of the %d that its manifest says", r.blob.what, r.blob.size-r.left, r.blob.size))
	}
	return n, err
}

func (r *exactReader) Close() error {
	r.cancel(nil)
	return r.in.Close()
}
