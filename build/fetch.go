// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/unpack"
	"github.com/berth-containers/berth/libctr/image/library"
	securejoin "github.com/cyphar/filepath-securejoin"
	"go.podman.io/buildah/define"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/chrootarchive"
)

// maxContainerfile bounds what comes in the place of a context and is no archive.
const maxContainerfile = 16 << 20

// FetchContext unpacks a context that is an archive or a Containerfile, at a URL or from standard input ("-"), into a directory, which
// it returns. buildah would do so without bounds. It returns "" for what it leaves to buildah: directories and repositories.
func (s *Session) FetchContext(ctx context.Context, from string, in io.Reader) (dir string, err error) {
	source, below := from, ""
	if strings.HasPrefix(from, "github.com/") {
		source, below = "https://"+from+"/archive/master.tar.gz", path.Base(from)+"-master"
	}
	u, err := url.Parse(source)
	if from != "-" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || strings.HasSuffix(strings.TrimSuffix(u.Path, "/archive/master.tar.gz"), ".git")) {
		return "", nil
	}
	dir, err = s.fetch(ctx, source, in)
	if err != nil {
		return "", fmt.Errorf("fetch the context %s: %w", from, err)
	}
	return securejoin.SecureJoin(dir, below)
}

// fetchContexts fetches what --build-context names; buildah takes what has been fetched as it is.
func (s *Session) fetchContexts(ctx context.Context, contexts map[string]*define.AdditionalBuildContext) error {
	for name, c := range contexts {
		if !c.IsURL || c.DownloadedCache != "" {
			continue
		}
		dir, err := s.FetchContext(ctx, c.Value, os.Stdin)
		if err != nil {
			return field.Errorf("%s %s: %w", field.Name("build-context"), name, err)
		}
		if dir == "" {
			continue
		}
		fetched := *c
		fetched.DownloadedCache = dir
		contexts[name] = &fetched
	}
	return nil
}

func (s *Session) fetch(ctx context.Context, source string, in io.Reader) (string, error) {
	if source != "-" {
		body, err := library.OpenURL(ctx, source)
		if err != nil {
			return "", err
		}
		defer body.Close()
		in = body
	}
	made, err := os.MkdirTemp(s.tmp, "buildah")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(made, "download")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return dir, unpackContext(in, dir)
}

// unpackContext unpacks an archive into a directory, or puts what is no archive there as a Dockerfile.
func unpackContext(in io.Reader, dir string) error {
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return err
	}
	head := bufio.NewReader(in)
	first, _ := head.Peek(10) // an error comes again
	packed := archive.DetectCompression(first) != archive.Uncompressed
	source := &beginning{r: head, keep: !packed}
	plain, err := archive.DecompressStream(source)
	if err != nil {
		return err
	}
	defer plain.Close()
	guard := unpack.NewReader(plain, unpack.Options{Limits: limits, What: "the archive", Packed: source.n.Load, Dir: dir})
	if !guard.IsArchive() {
		if packed {
			return cmp.Or(guard.Err(), errors.New("it is packed, and no tar archive"))
		}
		return putContainerfile(io.MultiReader(&source.kept, head), dir)
	}
	source.keep = false
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(guard.WriteWhole(w))
	}()
	err = chrootarchive.UntarUncompressed(r, dir, nil)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	r.Close()
	<-done
	if why := guard.Err(); why != nil {
		return why
	}
	return err
}

func putContainerfile(in io.Reader, dir string) error {
	text, err := io.ReadAll(io.LimitReader(in, maxContainerfile+1))
	switch {
	case err != nil:
		return err
	case len(text) == 0:
		return errors.New("it is empty")
	case len(text) > maxContainerfile:
		return hint.Add(errors.New("it is no tar archive, and too long for a Containerfile"), "a context is a tar archive, plain or compressed, or one Containerfile")
	}
	return os.WriteFile(filepath.Join(dir, "Dockerfile"), text, 0o600)
}

// beginning counts what is read, and keeps it as long as it may be no archive.
type beginning struct {
	r    io.Reader
	n    atomic.Int64 // read by a goroutine of who unpacks
	keep bool         // not for what is packed
	kept bytes.Buffer
}

func (b *beginning) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n.Add(int64(n))
	if b.keep {
		b.kept.Write(p[:n])
	}
	return n, err
}
