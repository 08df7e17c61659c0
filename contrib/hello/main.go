// SPDX-License-Identifier: Apache-2.0

// Command hello builds the image that berth carries: it compiles program/hello.c and writes an OCI
// archive of it. The same source and the same compiler give the same bytes.
//
//	go run ./contrib/hello -o libctr/image/hello_amd64.tar
package main

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ociv1 "github.com/opencontainers/image-spec/specs-go/v1"
)

//go:embed program/hello.c
var source []byte

// epoch is the time of everything in the image.
var epoch = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func main() {
	out := flag.String("o", "", "archive to write")
	cc := flag.String("cc", "gcc", "compiler for the architecture")
	arch := flag.String("arch", runtime.GOARCH, "architecture, in Go's words")
	flag.Parse()
	if err := run(*out, *cc, *arch); err != nil {
		fmt.Fprintln(os.Stderr, "hello:", err)
		os.Exit(1)
	}
}

func run(out, cc, arch string) error {
	program, err := compile(cc)
	if err != nil {
		return err
	}
	archive, err := pack(program, arch)
	if err != nil {
		return err
	}
	return os.WriteFile(out, archive, 0o644)
}

// compile makes a static program of a few kilobytes that needs no C library.
func compile(cc string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "hello")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "hello")
	cmd := exec.Command(cc, "-Os", "-std=c11", "-Wall", "-Wextra", "-Wno-misleading-indentation", "-ffreestanding", "-fno-pic", "-no-pie",
		"-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-fno-builtin", "-fcf-protection=none",
		"-static", "-nostdlib", "-s", "-Wl,--build-id=none", "-Wl,-z,norelro", "-Wl,-z,noexecstack", "-Wl,-z,noseparate-code",
		"-o", bin, "-x", "c", "-")
	if runtime.GOARCH != "amd64" || cc != "gcc" {
		// -fcf-protection is x86's.
		cmd.Args = append(cmd.Args[:1:1], remove(cmd.Args[1:], "-fcf-protection=none")...)
	}
	cmd.Stdin = bytes.NewReader(source)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("compile hello.c with %s: %w", cc, err)
	}
	return os.ReadFile(bin)
}

func remove(args []string, arg string) []string {
	var kept []string
	for _, a := range args {
		if a != arg {
			kept = append(kept, a)
		}
	}
	return kept
}

// pack returns an OCI archive of an image with the program in its one layer. The layer is not
// compressed: compressors differ from version to version.
func pack(program []byte, arch string) ([]byte, error) {
	layer, err := tarball([]entry{{"hello", 0o755, program}})
	if err != nil {
		return nil, err
	}
	config, err := json.Marshal(ociv1.Image{
		Created:  &epoch,
		Author:   "Berth",
		Platform: ociv1.Platform{OS: "linux", Architecture: arch},
		Config: ociv1.ImageConfig{
			Cmd: []string{"/hello"},
			Labels: map[string]string{
				"org.opencontainers.image.title": "hello",
				// The test that the archive is up to date compares this with hello.c.
				"berth.hello.source": fmt.Sprintf("sha256:%x", sha256.Sum256(source)),
			},
		},
		RootFS:  ociv1.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(layer)}},
		History: []ociv1.History{{Created: &epoch, CreatedBy: "contrib/hello"}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(ociv1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ociv1.MediaTypeImageManifest,
		Config:    descriptor(ociv1.MediaTypeImageConfig, config),
		Layers:    []ociv1.Descriptor{descriptor(ociv1.MediaTypeImageLayer, layer)},
	})
	if err != nil {
		return nil, err
	}
	root := descriptor(ociv1.MediaTypeImageManifest, manifest)
	root.Annotations = map[string]string{ociv1.AnnotationRefName: "localhost/hello:latest"}
	index, err := json.Marshal(ociv1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, Manifests: []ociv1.Descriptor{root}})
	if err != nil {
		return nil, err
	}
	return tarball([]entry{
		{"oci-layout", 0o644, []byte(`{"imageLayoutVersion":"1.0.0"}`)},
		{"index.json", 0o644, index},
		blob(manifest), blob(config), blob(layer),
	})
}

type entry struct {
	name string
	mode int64
	data []byte
}

func blob(data []byte) entry {
	return entry{"blobs/sha256/" + digest.FromBytes(data).Encoded(), 0o644, data}
}

func descriptor(mediaType string, data []byte) ociv1.Descriptor {
	return ociv1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
}

func tarball(entries []entry) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatUSTAR}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return b.Bytes(), err
}
