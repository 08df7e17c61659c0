// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"go.podman.io/buildah/define"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
)

// pulls fetches the images that buildah asks for while it builds, as fetchBases does before: through the guard of package
// library, within the bounds of package unpack, and by the rules for pulls. buildah itself pulls nothing.
type pulls struct {
	s        *Session
	o        *Options
	policy   define.PullPolicy // the caller's; buildah may have been told that everything is there
	explicit map[string]bool   // names that have docker:// before them, and are not looked for as short ones
	ctx      context.Context
	cancel   context.CancelFunc
	progress *tracker
	from     *library.Diversion

	mu      sync.Mutex // guards what follows; held while one image is fetched
	over    bool
	images  *library.Runtime
	fetched map[pulled]string // their IDs
	failed  error             // the first
}

type pulled struct {
	name     string
	platform image.Platform
}

// divertPulls begins; end it when the build has returned. policy is how the caller wants images pulled.
func (s *Session) divertPulls(ctx context.Context, o *Options, r *recipe, policy define.PullPolicy, progress *tracker) (*pulls, error) {
	p := &pulls{s: s, o: o, policy: policy, progress: progress, explicit: explicitNames(o, r), fetched: map[pulled]string{}}
	p.ctx, p.cancel = context.WithCancel(ctx)
	// The stand-ins of what is fetched are not to be judged by a policy: the images were.
	o.SignaturePolicyPath = filepath.Join(s.tmp, "fetched.json")
	if err := os.WriteFile(o.SignaturePolicyPath, []byte(`{"default": [{"type": "insecureAcceptAnything"}]}`), 0o600); err != nil {
		return nil, err
	}
	p.from = library.Divert(p.leave, p.fetch)
	return p, nil
}

// leave reports whether buildah may look for an image itself: it is to look in the store only.
func (p *pulls) leave(ref types.ImageReference) bool {
	named := ref.DockerReference()
	return p.o.PullPolicy == define.PullNever && ref.Transport().Name() == "docker" && named != nil && !p.isCache(named)
}

// isCache reports whether an image is looked for by --cache-from.
func (p *pulls) isCache(name reference.Named) bool {
	return slices.ContainsFunc(p.o.CacheFrom, func(repository reference.Named) bool { return repository.Name() == name.Name() })
}

// fetch is the library.Fetch. No stage that another has failed before goes on from here (see gate).
func (p *pulls) fetch(_ context.Context, name string, sys *types.SystemContext) (string, error) {
	p.mu.Lock()
	id, err := p.fetchOnce(name, image.Platform{OS: sys.OSChoice, Architecture: sys.ArchitectureChoice, Variant: sys.VariantChoice})
	over := p.over
	p.mu.Unlock()
	if over {
		select {}
	}
	return id, err
}

// fetchOnce requires mu.
func (p *pulls) fetchOnce(name string, want image.Platform) (string, error) {
	if p.over {
		return "", nil
	}
	if rest, ok := strings.CutPrefix(name, "docker://"); ok && !p.explicit[rest] {
		name = rest
	}
	if id := p.fetched[pulled{name, want}]; id != "" {
		return id, nil
	}
	opts := p.s.pullOptions(p.o, want, p.progress)
	opts.Policy, opts.DecryptionKeys = image.Policy(p.policy.String()), p.o.DecryptionKeys
	named, err := reference.ParseNormalizedNamed(name)
	if err == nil && p.isCache(named) {
		opts.Policy, opts.Progress = image.Newer, nil // as buildah would; most are not there
		return p.pull(name, opts)
	}
	if err == nil && p.policy == define.PullIfMissing {
		img, err := p.s.local(name, want)
		if err != nil {
			return "", err
		}
		if img != nil {
			return img.ID, nil
		}
	}
	id, err := p.pull(name, opts)
	if err != nil {
		p.failed = cmp.Or(p.failed, err)
		return "", err
	}
	p.fetched[pulled{name, want}] = id
	return id, nil
}

func (p *pulls) pull(name string, opts image.PullOptions) (string, error) {
	store, err := p.s.store()
	if err != nil {
		return "", err
	}
	if p.images == nil {
		if p.images, err = library.NewRuntime(store, p.o.SystemContext); err != nil {
			return "", err
		}
	}
	ids, err := p.images.Pull(p.ctx, name, opts)
	if err != nil {
		return "", &retold{strings.TrimPrefix(err.Error(), fmt.Sprintf("pull image %q: ", name)), err}
	}
	return ids[0], nil
}

// told adds to an error of buildah's why an image was not fetched, where that says only that it was not found.
func (p *pulls) told(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil || p.failed != nil && errors.Is(err, p.failed) || !strings.Contains(err.Error(), "no stage or image found with that name") {
		return err
	}
	why := p.failed
	if text, rerr := os.ReadFile(filepath.Join(p.s.tmp, notPacked)); rerr == nil && why == nil {
		why = errors.New(string(text))
	}
	if why == nil {
		return err
	}
	return &retold{err.Error() + ": " + why.Error(), errors.Join(err, why)}
}

// end stops what is being fetched, and waits for it. Where the build has failed, stages may be at work still, and are not to find
// the transports as they were.
func (p *pulls) end(failed bool) error {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.over = true
	if !failed {
		p.from.End()
	}
	if p.images == nil {
		return nil
	}
	return p.images.Close()
}

// image returns the image that a stand-in stands for, if id is that of one.
func (p *pulls) image(store storage.Store, id string) (*storage.Image, error) {
	if p == nil {
		return nil, nil
	}
	if id, ok := p.from.Image(strings.TrimPrefix(id, "@")); ok {
		return store.Image(id)
	}
	return nil, nil
}

// withoutStandIns drops what is told of copying stand-ins: buildah pulls nothing else.
type withoutStandIns struct{ *tracker }

func (w withoutStandIns) Write(p []byte) (int, error) {
	if isIn("libimage.(*Runtime).Pull") {
		return len(p), nil
	}
	return w.tracker.Write(p)
}

var explicitName = lazy(`\bdocker://([^\s"'\\]+)`)

// explicitNames are the names that the caller or a Containerfile writes with their transport.
func explicitNames(o *Options, r *recipe) map[string]bool {
	texts := []string{o.From}
	for _, t := range r.texts {
		texts = append(texts, string(t))
	}
	for _, v := range o.Args {
		texts = append(texts, v)
	}
	for _, c := range o.AdditionalBuildContexts {
		texts = append(texts, c.Value)
	}
	names := map[string]bool{}
	for _, t := range texts {
		for _, m := range explicitName().FindAllStringSubmatch(t, -1) {
			names[m[1]] = true
		}
	}
	return names
}
