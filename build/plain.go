// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
)

// plainFiles puts a file of the session's in place of each Containerfile that is at a URL, or that the C preprocessor makes, so that
// all that is done with Containerfiles is done with these too. buildah would do both itself, after that.
func (s *Session) plainFiles(ctx context.Context, o *Options) error {
	files, names := slices.Clone(o.Files), maps.Clone(o.Names)
	if names == nil {
		names = map[string]string{}
	}
	for i, f := range o.Files {
		isURL, isSource := strings.HasPrefix(f, "http://") || strings.HasPrefix(f, "https://"), strings.HasSuffix(f, ".in")
		if !isURL && !isSource {
			continue
		}
		var text []byte
		var err error
		if isURL {
			text, err = fetchContainerfile(ctx, f)
		} else if text, err = readContainerfile(f, o); err != nil {
			return err
		}
		if err == nil && isSource {
			text, err = preprocessed(ctx, text, o)
		}
		if err != nil {
			return fmt.Errorf("Containerfile %s: %w", o.name(f), err) //lint:ignore ST1005 the name of the file format
		}
		files[i] = filepath.Join(s.tmp, fmt.Sprintf("Containerfile.plain%d", i))
		names[files[i]] = o.name(f)
		if err := os.WriteFile(files[i], text, 0o600); err != nil {
			return err
		}
	}
	o.Files, o.Names = files, names
	return nil
}

// largestContainerfile is what is read of one at a URL: somebody may have named an image's archive.
const largestContainerfile = 64 << 20

func fetchContainerfile(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server says %s", resp.Status)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, largestContainerfile+1))
	if err == nil && len(text) > largestContainerfile {
		err = errors.New("it is larger than 64 MiB")
	}
	return text, err
}

// preprocessed runs the C preprocessor as buildah does. What it complains about is an error only if nothing comes out: an
// apostrophe in a comment is worth a complaint.
func preprocessed(ctx context.Context, text []byte, o *Options) ([]byte, error) {
	path, err := exec.LookPath("cpp")
	if err != nil {
		return nil, hint.Add(errors.New("its name ends in .in, and there is no C preprocessor"), "install cpp")
	}
	args := []string{"-E", "-iquote", o.ContextDirectory, "-traditional", "-undef", "-"}
	args = append(append(args, strings.Fields(os.Getenv("BUILDAH_CPPFLAGS"))...), o.CPPFlags...)
	cmd := exec.CommandContext(ctx, path, args...)
	var said bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(text), &said
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		return nil, fmt.Errorf("run the C preprocessor: %w: %s", err, strings.TrimSpace(said.String()))
	}
	return out, nil
}
