// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/copier"
	"github.com/cyphar/filepath-securejoin"
	"github.com/moby/patternmatcher/ignorefile"
	"go.podman.io/buildah/define"
)

// Contain returns the Containerfiles with those that a context from elsewhere (a tar, a URL, a repository) brings in their
// place in it: where buildah would follow a link out of that context to a file of the host's, Contain follows it as if the
// context were the root. The caller's own files stay what they are.
func (s *Session) Contain(dir string, files []string) ([]string, error) {
	own, err := filepath.EvalSymlinks(s.tmp)
	if err != nil {
		return nil, err
	}
	if !within(own, dir) {
		return files, nil
	}
	contained := make([]string, len(files))
	for i, f := range files {
		name, ok := nameInContext(dir, f)
		if !ok {
			contained[i] = f
			continue
		}
		if contained[i], err = securejoin.SecureJoin(dir, name); err != nil {
			return nil, fmt.Errorf("find %q in the context: %w", name, err)
		}
		switch ok, err := isRegular(contained[i]); {
		case err != nil:
			return nil, fmt.Errorf("read %q of the context: %w", name, err)
		case !ok:
			return nil, fmt.Errorf("read %q of the context: there is no such file in it", name)
		}
	}
	return contained, nil
}

// nameInContext is what a Containerfile is called in the context at dir; not ok if it is none of the context's.
func nameInContext(dir, file string) (name string, ok bool) {
	if strings.Contains(file, "://") {
		return "", false
	}
	if filepath.IsAbs(file) {
		// buildah has found it in the directory by the path that this had before its links were followed.
		parent, err := filepath.EvalSymlinks(filepath.Dir(file))
		return filepath.Base(file), err == nil && parent == dir
	}
	_, err := os.Stat(file)
	return file, err != nil // what is in the working directory is the caller's, and comes first
}

func within(dir, path string) bool { return strings.HasPrefix(path, dir+"/") }

// isRegular reports whether there is a file; anything else than a regular one is an error: reading a FIFO never ends, nor
// does /dev/zero.
func isRegular(path string) (bool, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !st.Mode().IsRegular() {
		return false, errors.New("it is not a regular file")
	}
	return true, nil
}

// ReadIgnoreFile sets what the ignore file excludes, from the file given or the first that is there of FILE.dockerignore,
// FILE.containerignore for each Containerfile, .containerignore and .dockerignore. No link in the context leads out of it.
func ReadIgnoreFile(o *define.BuildOptions, files []string) (err error) {
	if o.IgnoreFile == "" {
		if o.IgnoreFile, err = findIgnoreFile(o.ContextDirectory, files); err != nil {
			return err
		}
		if o.IgnoreFile == "" {
			o.IgnoreFile = os.DevNull // else buildah looks for one itself
		}
	}
	o.Excludes, err = readIgnoreFile(o.IgnoreFile)
	return err
}

// readIgnoreFile reads an ignore file as Docker does.
func readIgnoreFile(path string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the ignore file: %w", err)
	}
	defer f.Close()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("read the ignore file %s: %w", path, err)
	}
	if _, err := copier.NewMatcher(patterns); err != nil {
		return nil, fmt.Errorf("ignore file %s: %w", path, err)
	}
	return patterns, nil
}

func findIgnoreFile(dir string, files []string) (string, error) {
	var candidates []string
	for _, f := range files {
		if !filepath.IsAbs(f) {
			f = filepath.Join(dir, f)
		}
		candidates = append(candidates, f+".dockerignore", f+".containerignore")
	}
	candidates = append(candidates, filepath.Join(dir, ".containerignore"), filepath.Join(dir, ".dockerignore"))
	for _, path := range candidates {
		if rel, err := filepath.Rel(dir, path); err == nil && within(dir, path) {
			if path, err = securejoin.SecureJoin(dir, rel); err != nil {
				return "", fmt.Errorf("find the ignore file %s: %w", rel, err)
			}
		}
		there, err := isRegular(path)
		if err != nil {
			return "", fmt.Errorf("read the ignore file %s: %w", path, err)
		}
		if there {
			return path, nil
		}
	}
	return "", nil
}
