// SPDX-License-Identifier: Apache-2.0

// Package badregistry is a registry that does wrong, for tests. Each repository has one fault:
//
//	ok            none
//	flaky         the first two requests for a manifest get 503
//	unauthorized  401, but for user "user" with password "secret"
//	missing       404 in the distribution specification's words
//	html404       404 with a page that is no JSON
//	broken        500
//	truncated     the connection ends in the middle of the layer, again and again
//	wrongdigest   a byte of the layer is changed
//	wrongconfig   a byte of the config is changed
//	badlayer      the layer is what the manifest says, but no archive
//	slow          the layer's second half comes only when Release is called, or never
//	big           the layer has 64 MiB
//	hostile       the tag is the status of the answer, whose body is Hostile; with 1000 added, headers are too
//
// and those of hostile.go.
//
// Every repository has one image, linux of this machine's architecture, with any tag.
package badregistry

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// Registry is the handler. Its zero value is ready.
type Registry struct {
	flaky   atomic.Int32
	release atomic.Pointer[chan struct{}]
	images  sync.Map     // repository to *content
	asked   atomic.Int32 // how often something below /elsewhere/ was asked for
}

// content is one image.
type content struct {
	manifest, config, layer []byte
	mime                    string // of the manifest
	listed                  []byte // the manifest of the image where manifest is not
}

// Release lets the slow repository's layers end.
func (r *Registry) Release() { close(*r.gate()) }

func (r *Registry) gate() *chan struct{} {
	c := make(chan struct{})
	r.release.CompareAndSwap(nil, &c)
	return r.release.Load()
}

func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path, ok := strings.CutPrefix(req.URL.Path, "/v2/")
	parts := strings.Split(path, "/")
	switch {
	case req.URL.Path == "/asked":
		fmt.Fprintln(w, r.asked.Load())
	case strings.HasPrefix(req.URL.Path, "/elsewhere/"):
		r.asked.Add(1)
		send(w, req, r.image(strings.TrimPrefix(req.URL.Path, "/elsewhere/"), req.Host).layer)
	case ok && r.serveHostile(w, req, parts):
	case !ok:
		http.NotFound(w, req)
	case path == "":
		// Clients learn here how to log in; most repositories let everyone read.
		unauthorized(w)
	case len(parts) == 3 && parts[1] == "manifests":
		r.manifest(w, req, parts[0])
	case len(parts) == 3 && parts[1] == "blobs":
		r.blob(w, req, parts[0], digest.Digest(parts[2]))
	case len(parts) == 3 && parts[0] == "hostile" && parts[1] == "tags":
		writeJSON(w, http.StatusOK, map[string]any{"name": Hostile, "tags": []string{Hostile, "500"}})
	case len(parts) == 3 && parts[1] == "tags":
		writeJSON(w, http.StatusOK, map[string]any{"name": parts[0], "tags": []string{"1", "2", "latest"}})
	default:
		http.NotFound(w, req)
	}
}

// Hostile is what a server says that wants to drive the terminal of its client: a title, a colour, the clipboard, and so on.
const Hostile = "pwned\x1b]0;pwned\a\x1b[31m\x1b]52;c;ZXZpbA==\x1b\\\r\b\x7f\u009b31m\u202e\u2066\u2028\xff\nforged"

// sayHostile answers with the status that the tag names. Go's server makes spaces of a header's line ends only.
func sayHostile(w http.ResponseWriter, tag string) {
	number, err := strconv.Atoi(tag)
	status := number % 1000
	if err != nil || status < 200 || status > 599 {
		status = http.StatusBadRequest
	}
	if number >= 1000 {
		w.Header().Set("Www-Authenticate", `Basic realm="`+Hostile+`"`)
		w.Header().Set("Docker-Content-Digest", Hostile)
		w.Header().Set("Location", Hostile)
	}
	if status < 300 {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(Hostile)) // whoever listens may have gone
		return
	}
	writeJSON(w, status, map[string]any{"errors": []map[string]any{{"code": Hostile, "message": Hostile, "detail": Hostile}}})
}

func (r *Registry) manifest(w http.ResponseWriter, req *http.Request, repo string) {
	switch repo {
	case "hostile":
		sayHostile(w, req.URL.Path[strings.LastIndexByte(req.URL.Path, '/')+1:])
		return
	case "unauthorized":
		if user, password, _ := req.BasicAuth(); user != "user" || password != "secret" {
			unauthorized(w)
			return
		}
	case "missing":
		specError(w, http.StatusNotFound, "MANIFEST_UNKNOWN", "manifest unknown")
		return
	case "html404":
		http.Error(w, "<html>no such page</html>", http.StatusNotFound)
		return
	case "broken":
		http.Error(w, "<html>oops</html>", http.StatusInternalServerError)
		return
	case "flaky":
		if r.flaky.Add(1) <= 2 {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
	}
	c := r.image(repo, req.Host)
	m := c.manifest
	if repo == "list-ok" && strings.HasSuffix(req.URL.Path, digest.FromBytes(c.listed).String()) {
		w.Header().Set("Content-Type", ociv1.MediaTypeImageManifest)
		send(w, req, c.listed)
		return
	}
	w.Header().Set("Content-Type", c.mime)
	w.Header().Set("Docker-Content-Digest", digest.FromBytes(m).String())
	send(w, req, m)
}

func (r *Registry) blob(w http.ResponseWriter, req *http.Request, repo string, d digest.Digest) {
	c := r.image(repo, req.Host)
	isLayer := d == digest.FromBytes(c.layer)
	data := c.layer
	if d == digest.FromBytes(c.config) {
		data = c.config
	} else if !isLayer {
		specError(w, http.StatusNotFound, "BLOB_UNKNOWN", "blob unknown")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	switch {
	case repo == "wrongdigest" && isLayer, repo == "wrongconfig" && !isLayer:
		data = bytes.Clone(data)
		data[len(data)/2] ^= 1
	case repo == "truncated" && isLayer:
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		panic(http.ErrAbortHandler) // closes the connection
	case repo == "slow" && isLayer:
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		w.(http.Flusher).Flush()
		select {
		case <-*r.gate():
		case <-req.Context().Done():
		}
		_, _ = w.Write(data[len(data)/2:])
		return
	}
	send(w, req, data)
}

func send(w http.ResponseWriter, req *http.Request, data []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	if req.Method != http.MethodHead {
		_, _ = w.Write(data)
	}
}

func unauthorized(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
	specError(w, http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")
}

// specError answers in the words of the distribution specification, "Error Codes".
func specError(w http.ResponseWriter, status int, code, message string) {
	writeJSON(w, status, map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// image returns the repository's image, made when it is first asked for.
func (r *Registry) image(repo, host string) *content {
	if c, ok := r.images.Load(repo); ok {
		return c.(*content)
	}
	c, _ := r.images.LoadOrStore(repo, newContent(repo, host))
	return c.(*content)
}

func newContent(repo, host string) *content {
	size := 256 << 10
	if repo == "big" {
		size = 64 << 20
	}
	c := &content{layer: layer(repo, size)}
	if repo == "badlayer" {
		c.layer = bytes.Repeat([]byte("this is no archive\n"), 1000)
	}
	f := hostile[repo]
	config := ociv1.Image{
		Platform: ociv1.Platform{OS: "linux", Architecture: runtime.GOARCH},
		Config:   ociv1.ImageConfig{Cmd: []string{"/bin/true"}, Labels: map[string]string{"repository": repo}},
		RootFS:   ociv1.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(c.layer)}},
		History:  []ociv1.History{{CreatedBy: "badregistry"}},
	}
	if f.config != nil {
		f.config(&config)
	}
	c.config = mustJSON(config)
	m := ociv1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ociv1.MediaTypeImageManifest,
		Config:    ociv1.Descriptor{MediaType: ociv1.MediaTypeImageConfig, Digest: digest.FromBytes(c.config), Size: int64(len(c.config))},
		Layers:    []ociv1.Descriptor{{MediaType: ociv1.MediaTypeImageLayer, Digest: digest.FromBytes(c.layer), Size: int64(len(c.layer))}},
	}
	if f.manifest != nil {
		f.manifest(&m, host)
	}
	c.manifest, c.mime = mustJSON(m), ociv1.MediaTypeImageManifest
	if f.raw != nil {
		c.listed = c.manifest
		c.manifest, c.mime = f.raw(c.manifest)
	}
	return c
}

// layer returns a tar archive with one file of size bytes.
func layer(repo string, size int) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	data := bytes.Repeat([]byte(fmt.Sprintf("%-31s\n", repo)), size/32)
	if err := w.WriteHeader(&tar.Header{Name: "data", Mode: 0o644, Size: int64(len(data))}); err != nil {
		panic(err) // writing to memory
	}
	if _, err := w.Write(data); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // of types that can be marshalled
	}
	return data
}
