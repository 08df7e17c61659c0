// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/build/partial"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"go.podman.io/image/v5/types"
)

// text is the Containerfile of a part; more are further lines of metadata.
func text(name, version, more string) string {
	return fmt.Sprintf(`# /// partial
# name: %s
# version: %s
# summary: A part for tests
%s# ///
ARG BASE=docker.io/library/debian:12-slim
FROM ${BASE} AS base
FROM scratch AS files
COPY files/ /
FROM base AS install
COPY --from=files / /
RUN echo %[2]s
`, name, version, more)
}

func newPart(t *testing.T, name, version, more string, files ...partial.File) *partial.Part {
	t.Helper()
	if len(files) == 0 {
		files = []partial.File{script}
	}
	p, err := partial.NewPart("Containerfile", text(name, version, more), files)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var script = partial.File{Path: "bin/hello", Executable: true, Data: "#!/bin/sh\necho hello\n"}

// system writes configuration files that allow plain http with the hosts.
func system(t *testing.T, policy string, hosts ...string) *types.SystemContext {
	t.Helper()
	dir := t.TempDir()
	conf := "unqualified-search-registries = []\n"
	for _, h := range hosts {
		conf += fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", h)
	}
	if policy == "" {
		policy = `{"default": [{"type": "insecureAcceptAnything"}]}`
	}
	write(t, filepath.Join(dir, "registries.conf"), conf)
	write(t, filepath.Join(dir, "policy.json"), policy)
	write(t, filepath.Join(dir, "auth.json"), "{}")
	return &types.SystemContext{
		SystemRegistriesConfPath:    filepath.Join(dir, "registries.conf"),
		SystemRegistriesConfDirPath: filepath.Join(dir, "registries.conf.d"),
		SignaturePolicyPath:         filepath.Join(dir, "policy.json"),
		AuthFilePath:                filepath.Join(dir, "auth.json"),
		RegistriesDirPath:           filepath.Join(dir, "registries.d"),
		DockerPerHostCertDirPath:    filepath.Join(dir, "certs.d"),
	}
}

func write(t *testing.T, path, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

// inMemory serves go-containerregistry's registry, behind what wrap makes of it.
func inMemory(t *testing.T, referrers bool, wrap func(http.Handler) http.Handler) (host string, stop func()) {
	t.Helper()
	h := ggcr.New(ggcr.WithReferrersSupport(referrers), ggcr.Logger(log.New(io.Discard, "", 0)))
	if wrap != nil {
		h = wrap(h)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String(), srv.Close
}

// distribution serves Debian's docker-registry.
func distribution(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := ln.Addr().String()
	ln.Close()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.yml"), fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/data}, delete: {enabled: true}}\nhttp: {addr: %s}\n", dir, host))
	cmd := exec.Command("docker-registry", "serve", filepath.Join(dir, "config.yml"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for range 100 {
		if resp, err := http.Get("http://" + host + "/v2/"); err == nil {
			resp.Body.Close()
			return host
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("docker-registry does not answer: %s", out.String())
	return ""
}

func open(t *testing.T, opts Options) *Library {
	t.Helper()
	l, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// ref tells the kinds apart as the user would write them.
func ref(text string) partial.Ref {
	switch first, _, _ := strings.Cut(text, "/"); {
	case strings.HasPrefix(text, "."), strings.HasPrefix(text, "/"):
		return partial.Ref{Kind: "folder", Text: text}
	case strings.HasPrefix(text, "git+"):
		return partial.Ref{Kind: "git", Text: text}
	case strings.HasPrefix(text, "https:"):
		return partial.Ref{Kind: "https", Text: text}
	case strings.ContainsAny(first, ".:"):
		return partial.Ref{Kind: "registry", Text: text}
	}
	return partial.Ref{Kind: "alias", Text: text}
}

// code is that of an error of the catalogue; "" for none, "?" for another error.
func code(err error) string {
	var e *partial.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &e):
		return e.Code
	}
	return "?"
}

func versions(t *testing.T, l *Library, name string) string {
	t.Helper()
	list, err := l.Releases(context.Background(), ref(name))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range list {
		v := r.Version
		if r.Yanked {
			v += " yanked"
		}
		all = append(all, v)
	}
	return strings.Join(all, ", ")
}
