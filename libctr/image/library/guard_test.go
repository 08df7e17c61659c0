// SPDX-License-Identifier: Apache-2.0

package library

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/opencontainers/go-digest"
	imagespec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
)

func testGuard() *guard { return &guard{limits: limits{layers: 3, stall: time.Minute}} }

// manifestOf is an image's manifest with layers of these sizes.
func manifestOf(config int64, layers ...int64) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[`,
		imagespec.MediaTypeImageManifest, imagespec.MediaTypeImageConfig, digest.FromString("config"), config)
	for i, n := range layers {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"mediaType":%q,"digest":%q,"size":%d}`, imagespec.MediaTypeImageLayer, digest.FromString(fmt.Sprint(i)), n)
	}
	return b.String() + "]}"
}

func listOf(size int64, n int) string {
	d := fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":%d}`, imagespec.MediaTypeImageManifest, digest.FromString("m"), size)
	return fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, imagespec.MediaTypeImageIndex, strings.TrimSuffix(strings.Repeat(d+",", n), ","))
}

func TestCheckManifest(t *testing.T) {
	for name, c := range map[string]struct{ raw, mime, want string }{
		"fine":            {raw: manifestOf(2, 0, 10, 1<<30)},
		"fine list":       {raw: listOf(500, 2)},
		"no type":         {raw: manifestOf(2, 1), mime: "text/plain", want: "kind"},
		"four layers":     {raw: manifestOf(2, 1, 1, 1, 1), want: "BERTH_MAX_LAYERS=4"},
		"negative":        {raw: manifestOf(2, -1), want: "-1 bytes"},
		"absurd":          {raw: manifestOf(2, 1e12), want: "1000000000000 bytes"},
		"together":        {raw: manifestOf(2, 300<<30, 300<<30), want: "together"},
		"config":          {raw: manifestOf(5<<20, 1), want: "config"},
		"negative config": {raw: manifestOf(-1, 1), want: "config"},
		"no digest":       {raw: strings.ReplaceAll(manifestOf(2, 1), "sha256:", "sha256:../"), want: "digest"},
		"list":            {raw: listOf(5<<20, 1), want: "manifest"},
		"negative list":   {raw: listOf(-1, 1), want: "-1 bytes"},
		"long list":       {raw: listOf(1, 2000), want: "2000 images"},
		"large":           {raw: manifestOf(2, 1) + strings.Repeat(" ", maxManifestSize), want: "the most"},
		"schema 1":        {raw: `{"schemaVersion":1}`, mime: manifest.DockerV2Schema1SignedMediaType, want: "first"},
		"two sizes":       {raw: strings.ReplaceAll(manifestOf(2, 1, 2), digest.FromString("1").String(), digest.FromString("0").String()), want: "1 bytes, and 2"},
	} {
		t.Run(name, func(t *testing.T) {
			mime := c.mime
			if mime == "" {
				mime = manifest.GuessMIMEType([]byte(c.raw))
			}
			_, err := testGuard().checkManifest([]byte(c.raw), mime)
			if c.want == "" && err != nil || c.want != "" && err == nil {
				t.Fatalf("got %v, want an error with %q", err, c.want)
			}
			if err != nil {
				text := err.Error()
				var h *hint.Error
				if errors.As(err, &h) {
					text += h.Hint.String()
				}
				if !strings.Contains(text, c.want) {
					t.Errorf("got %s, want %q in it", text, c.want)
				}
			}
		})
	}
}

// slowly reads a byte at a time.
type slowly struct {
	io.Reader
	closed bool
}

func (s *slowly) Read(p []byte) (int, error) { return s.Reader.Read(p[:min(len(p), 1)]) }
func (s *slowly) Close() error               { s.closed = true; return nil }

func TestExactReader(t *testing.T) {
	for _, c := range []struct {
		sent string
		size int64
		ok   bool
	}{{"", 0, true}, {"abc", 3, true}, {"abc", 2, false}, {"abc", 4, false}, {"a", 0, false}, {"", 1, false}} {
		for _, slow := range []bool{false, true} {
			ctx, cancel := context.WithCancelCause(t.Context())
			in := io.NopCloser(strings.NewReader(c.sent))
			if slow {
				in = &slowly{Reader: strings.NewReader(c.sent)}
			}
			g := testGuard()
			r := &exactReader{g: g, blob: blob{size: c.size, what: "blob"}, in: in, left: c.size, ctx: ctx, cancel: cancel}
			got, err := io.ReadAll(r)
			if c.ok && (err != nil || string(got) != c.sent) || !c.ok && (err == nil || g.refused == nil) {
				t.Errorf("%q as %d bytes (slow: %v): %q, %v", c.sent, c.size, slow, got, err)
			}
			if int64(len(got)) > c.size {
				t.Errorf("%q as %d bytes: %q is handed on", c.sent, c.size, got)
			}
		}
	}
}

// stuck ends when its context does, as a connection that nothing comes over.
type stuck struct{ ctx context.Context }

func (s stuck) Read([]byte) (int, error) { <-s.ctx.Done(); return 0, s.ctx.Err() }
func (s stuck) Close() error             { return nil }

func TestStalledReader(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	g := &guard{limits: limits{stall: time.Millisecond}}
	r := &exactReader{g: g, blob: blob{size: 1, what: "blob"}, in: stuck{ctx}, left: 1, ctx: ctx, cancel: cancel}
	if _, err := r.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "has come for 1ms") {
		t.Error(err)
	}
}

func TestInTime(t *testing.T) {
	t.Setenv("BERTH_STALL_TIMEOUT", "50ms")
	err := InTime(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	if err == nil || !strings.Contains(err.Error(), "does not answer: next to nothing has come for 50ms") {
		t.Errorf("InTime with a registry that is silent: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := InTime(ctx, func(ctx context.Context) error { return ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("InTime with an ended context: %v", err)
	}
	if err := InTime(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
}

// FuzzManifest looks for manifests that crash the guard, or pass it with sizes or numbers that it is to refuse.
func FuzzManifest(f *testing.F) {
	for _, s := range []string{manifestOf(2, 1, 2), manifestOf(-1, 1e12), listOf(1, 2), listOf(-1, 1), `{}`, `{"layers":[{}]}`, `[]`, `{"schemaVersion":1}`} {
		f.Add([]byte(s), "")
		f.Add([]byte(s), manifest.DockerV2Schema2MediaType)
		f.Add([]byte(s), manifest.DockerV2ListMediaType)
	}
	f.Fuzz(func(t *testing.T, raw []byte, mime string) {
		blobs, err := testGuard().checkManifest(raw, mime)
		if err != nil {
			return
		}
		if blobs == nil {
			if !bytes.Contains(bytes.ToLower(raw), []byte("manifests")) && json.Valid(raw) && len(raw) > 1000 {
				t.Errorf("a list without manifests: %s", raw)
			}
			return
		}
		if len(blobs) > 4 {
			t.Errorf("%d blobs", len(blobs))
		}
		for d, b := range blobs {
			if b.size < 0 || b.size > maxLayersSize || d.Validate() != nil {
				t.Errorf("%s: %+v", d, b)
			}
		}
	})
}
