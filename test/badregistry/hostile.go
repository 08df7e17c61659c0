// SPDX-License-Identifier: Apache-2.0

package badregistry

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// fault is what is wrong with a repository; what is nil is as in "ok".
type fault struct {
	config   func(*ociv1.Image)
	manifest func(m *ociv1.Manifest, host string)
	raw      func(manifest []byte) (_ []byte, mime string)
	// serve answers a request for "manifests", a "config", a "layer" or "tags", or leaves it and returns false.
	serve func(w http.ResponseWriter, req *http.Request, kind string) bool
}

// hostile are the repositories that attack who pulls from them.
var hostile = map[string]fault{
	// The manifest lies about sizes.
	"size-small":    size(func(int64) int64 { return 10 }),
	"size-less":     size(func(n int64) int64 { return n - 1 }),
	"size-more":     size(func(n int64) int64 { return n + 1 }),
	"size-absurd":   size(func(int64) int64 { return 1e12 }),
	"size-negative": size(func(int64) int64 { return -1 }),
	"size-two": {manifest: func(m *ociv1.Manifest, _ string) {
		m.Layers = append(m.Layers, m.Layers[0])
		m.Layers[1].Size++
	}},
	"size-config": {manifest: func(m *ociv1.Manifest, _ string) { m.Config.Size = 100 << 20 }},

	// Too much of something.
	"layers-128": layers(128),
	"layers-500": layers(500),
	"manifest-empty-layers": {raw: func([]byte) ([]byte, string) {
		return []byte(`{"schemaVersion":2,"mediaType":"` + ociv1.MediaTypeImageManifest + `","layers":[` + strings.Repeat("{},", 1<<20) + `{}]}`), ociv1.MediaTypeImageManifest
	}},
	"list-many": list(2000, ociv1.MediaTypeImageManifest),
	"list-size": {raw: func(manifest []byte) ([]byte, string) {
		x := index(manifest, 1, ociv1.MediaTypeImageManifest)
		x.Manifests[0].Size = 1 << 40
		return mustJSON(x), ociv1.MediaTypeImageIndex
	}},
	"list-ok": {raw: func(manifest []byte) ([]byte, string) {
		x := index(manifest, 3, ociv1.MediaTypeImageManifest)
		x.Manifests[0].Platform.Architecture, x.Manifests[1].Platform.Architecture = "amd64", "arm64"
		x.Manifests[2].Platform = &ociv1.Platform{OS: "unknown", Architecture: "unknown"}
		return mustJSON(x), ociv1.MediaTypeImageIndex
	}},
	"volumes": {config: func(c *ociv1.Image) {
		c.Config.Volumes = map[string]struct{}{}
		for i := range 10000 {
			c.Config.Volumes[fmt.Sprintf("/v%d", i)] = struct{}{}
		}
	}},
	"env":     {config: func(c *ociv1.Image) { c.Config.Env = []string{"A=" + strings.Repeat("a", 3<<20)} }},
	"env-100": {config: func(c *ociv1.Image) { c.Config.Env = []string{"A=" + strings.Repeat("a", 100<<20)} }},
	"labels": {config: func(c *ociv1.Image) {
		for i := range 20000 {
			c.Config.Labels[fmt.Sprintf("l%d", i)] = "x"
		}
	}},
	"history": {config: func(c *ociv1.Image) {
		for range 20000 {
			c.History = append(c.History, ociv1.History{EmptyLayer: true})
		}
	}},
	"schema1": {raw: func(manifest []byte) ([]byte, string) {
		return []byte(`{"schemaVersion":1,"name":"schema1","tag":"latest","architecture":"amd64","fsLayers":[],"history":[]}`), "application/vnd.docker.distribution.manifest.v1+json"
	}},

	// Layers from somewhere else: the registry has this one too,
	"urls": {manifest: func(m *ociv1.Manifest, host string) {
		m.Layers[0].URLs = []string{"http://" + host + "/elsewhere/urls"}
	}},
	// and this one not.
	"foreign": {
		manifest: func(m *ociv1.Manifest, host string) {
			//lint:ignore SA1019 it is deprecated, and believed still
			m.Layers[0].MediaType = ociv1.MediaTypeImageLayerNonDistributable
			m.Layers[0].URLs = []string{"http://" + host + "/elsewhere/foreign"}
		},
		serve: func(w http.ResponseWriter, _ *http.Request, kind string) bool {
			if kind == "layer" {
				specError(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown")
			}
			return kind == "layer"
		},
	},

	// What never ends, or never begins.
	"endless-blob":     endless("layer", ""),
	"endless-config":   endless("config", ""),
	"endless-manifest": endless("manifests", `{"schemaVersion":2,"annotations":{"a":"`),
	"endless-tags":     endless("tags", `{"name":"endless-tags","tags":["`),
	"endless-pages": {serve: func(w http.ResponseWriter, req *http.Request, kind string) bool {
		if kind == "tags" {
			w.Header().Set("Link", "<"+req.URL.Path+`?last=1>; rel="next"`)
			writeJSON(w, http.StatusOK, map[string]any{"name": "endless-pages", "tags": []string{"1"}})
		}
		return kind == "tags"
	}},
	"redirects": {serve: func(w http.ResponseWriter, req *http.Request, _ string) bool {
		http.Redirect(w, req, req.URL.Path, http.StatusTemporaryRedirect)
		return true
	}},
	"silent-manifest": silent("manifests", ""),
	"silent-blob":     silent("layer", ""),
	"stuck-blob":      silent("layer", "x"),
}

func init() {
	// A list whose one image is a list.
	hostile["list-nested"] = fault{
		raw: func([]byte) ([]byte, string) {
			return mustJSON(index(inner(), 1, ociv1.MediaTypeImageIndex)), ociv1.MediaTypeImageIndex
		},
		serve: func(w http.ResponseWriter, req *http.Request, kind string) bool {
			isInner := kind == "manifests" && strings.HasSuffix(req.URL.Path, digest.FromBytes(inner()).String())
			if isInner {
				w.Header().Set("Content-Type", ociv1.MediaTypeImageIndex)
				send(w, req, inner())
			}
			return isInner
		},
	}
}

func inner() []byte {
	return mustJSON(index(newContent("ok", "").manifest, 1, ociv1.MediaTypeImageManifest))
}

func size(change func(int64) int64) fault {
	return fault{manifest: func(m *ociv1.Manifest, _ string) { m.Layers[0].Size = change(m.Layers[0].Size) }}
}

// layers has n descriptors of one blob.
func layers(n int) fault {
	return fault{
		config: func(c *ociv1.Image) {
			for len(c.RootFS.DiffIDs) < n {
				c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, c.RootFS.DiffIDs[0])
				c.History = append(c.History, c.History[0])
			}
		},
		manifest: func(m *ociv1.Manifest, _ string) {
			for len(m.Layers) < n {
				m.Layers = append(m.Layers, m.Layers[0])
			}
		},
	}
}

// index lists a manifest n times.
func index(manifest []byte, n int, mime string) ociv1.Index {
	x := ociv1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ociv1.MediaTypeImageIndex}
	for range n {
		x.Manifests = append(x.Manifests, ociv1.Descriptor{MediaType: mime, Digest: digest.FromBytes(manifest), Size: int64(len(manifest)),
			Platform: &ociv1.Platform{OS: "linux", Architecture: runtime.GOARCH}})
	}
	return x
}

func list(n int, mime string) fault {
	return fault{raw: func(manifest []byte) ([]byte, string) {
		return mustJSON(index(manifest, n, mime)), ociv1.MediaTypeImageIndex
	}}
}

// endless answers with start, and then with more until nobody listens.
func endless(kind, start string) fault {
	return fault{serve: func(w http.ResponseWriter, req *http.Request, asked string) bool {
		if asked != kind || req.Method == http.MethodHead {
			return false
		}
		if kind == "manifests" {
			w.Header().Set("Content-Type", ociv1.MediaTypeImageManifest)
		}
		_, err := io.WriteString(w, start)
		for chunk := strings.Repeat("1", 64<<10); err == nil; {
			_, err = io.WriteString(w, chunk)
		}
		return true
	}}
}

// silent answers with start, or not at all if that is empty, and then waits until nobody listens.
func silent(kind, start string) fault {
	return fault{serve: func(w http.ResponseWriter, req *http.Request, asked string) bool {
		if asked != kind {
			return false
		}
		if start != "" {
			_, _ = io.WriteString(w, start)
			w.(http.Flusher).Flush()
		}
		<-req.Context().Done()
		return true
	}}
}

// serveHostile answers for a hostile repository, if there is more to it than its image.
func (r *Registry) serveHostile(w http.ResponseWriter, req *http.Request, parts []string) bool {
	if len(parts) != 3 || hostile[parts[0]].serve == nil {
		return false
	}
	kind := parts[1]
	if kind == "blobs" {
		kind = "layer"
		if parts[2] == digest.FromBytes(r.image(parts[0], req.Host).config).String() {
			kind = "config"
		}
	}
	return hostile[parts[0]].serve(w, req, kind)
}
