// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing/fstest" // for MapFS
	"time"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/internal/gitrun"
	"github.com/berth-containers/berth/internal/unpack"
	"golang.org/x/sys/unix"
)

// clone is a bare repository that holds what was fetched of one URL, for the life of the Library.
type clone struct {
	dir    string
	scheme string
	url    string
}

// git runs the program as buildah does, without asking anybody for a password, without hooks and
// with no other protocol than that of the URL, whatever it redirects to.
func (c *clone) git(ctx context.Context, args ...string) ([]byte, error) {
	args = append([]string{"-C", c.dir, "-c", "core.hooksPath=/dev/null", "-c", "fetch.recurseSubmodules=false", "-c", "core.fsmonitor=false"}, args...)
	return c.run(ctx, nil, args...)
}

func (c *clone) run(ctx context.Context, stdin io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(environment(), "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL="+c.scheme, "LC_ALL=C")
	if os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND=ssh -o BatchMode=yes") // which would ask on the terminal otherwise
	}
	cmd.Stdin = stdin
	var stdout, stderr atMost
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := gitrun.Run(cmd, c.dir)
	switch {
	case stdout.more:
		return nil, fmt.Errorf("git with %s: %w: it lists more than %d bytes", c.url, unpack.ErrRefused, maxOutput)
	case err == nil:
		return stdout.Bytes(), nil
	case errors.Is(err, unpack.ErrRefused), errors.Is(err, unix.ENOSPC):
		return nil, fmt.Errorf("git with %s: %w", c.url, err)
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, exec.ErrNotFound):
		return nil, fmt.Errorf("run git: %w", err)
	}
	return nil, &NetworkError{fmt.Errorf("git with %s: %w: %s", c.url, err, strings.TrimSpace(stderr.String()))}
}

// maxOutput bounds what git says: a list of a million tags has less, and so has a part.
const maxOutput = 128 << 20

// atMost is a buffer that takes up to maxOutput bytes.
type atMost struct {
	bytes.Buffer
	more bool
}

func (b *atMost) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxOutput {
		b.more = true
		return 0, io.ErrShortWrite
	}
	return b.Buffer.Write(p)
}

// environment is that of the process, without what points git to a repository (as in a hook).
func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		switch name, _, _ := strings.Cut(e, "="); name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR", "GIT_NAMESPACE":
		default:
			env = append(env, e)
		}
	}
	return env
}

// clone requires l.mu.
func (l *Library) clone(ctx context.Context, loc location) (*clone, error) {
	if c := l.clones[loc.path]; c != nil {
		return c, nil
	}
	dir, err := os.MkdirTemp("", "berth-parts-")
	if err != nil {
		return nil, err
	}
	scheme, _, _ := strings.Cut(loc.path, "://")
	c := &clone{dir, scheme, loc.path}
	if _, err := c.git(ctx, "init", "--quiet", "--bare"); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	l.clones[loc.path] = c
	return c, nil
}

// tagPrefix is what stands before the version in the tags of a location.
func (loc location) tagPrefix() string {
	if loc.dir == "" {
		return "v"
	}
	return loc.dir + "/v"
}

func (l *Library) gitReleases(ctx context.Context, loc location) ([]partial.Release, error) {
	c, err := l.clone(ctx, loc)
	if err != nil {
		return nil, err
	}
	out, err := c.git(ctx, "ls-remote", "--tags", "--refs", "--", c.url)
	if err != nil {
		return nil, fmt.Errorf("list the versions of %s: %w", loc.ref, err)
	}
	var list []partial.Release
	for line := range strings.Lines(string(out)) {
		_, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		tag, ok := strings.CutPrefix(ref, "refs/tags/"+loc.tagPrefix())
		if ok && isRelease(tag) {
			list = append(list, partial.Release{Version: tag})
		}
	}
	if len(list) == 0 {
		return nil, partial.Errorf("P022", "part %s not found (%s has no tag %sMAJOR.MINOR.PATCH)", loc.ref, c.url, loc.tagPrefix())
	}
	return list, nil
}

// fetchGit reads a release from its tag, or looks at all tags for a digest.
func (l *Library) fetchGit(ctx context.Context, loc location, r partial.Release) (*partial.Part, error) {
	if r.Version == "" {
		list, err := l.gitReleases(ctx, loc)
		if err != nil {
			return nil, err
		}
		for _, each := range list {
			// A release that cannot be read is not the one that was locked.
			if p, err := l.fetchGit(ctx, loc, each); err == nil && p.Digest == r.Digest {
				return p, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
		}
		return nil, partial.Errorf("P022", "part %s not found (no tag of %s has that digest)", label(loc, r), loc.path)
	}
	if !isRelease(r.Version) {
		return nil, partial.Errorf("P022", "part %s not found (that is no version)", label(loc, r))
	}
	c, err := l.clone(ctx, loc)
	if err != nil {
		return nil, err
	}
	tag := "refs/tags/" + loc.tagPrefix() + r.Version
	if _, err := c.git(ctx, "fetch", "--quiet", "--no-tags", "--depth=1", "--", c.url, "+"+tag+":"+tag); err != nil {
		return nil, fmt.Errorf("fetch %s: %w", label(loc, r), err)
	}
	tree, err := c.tree(ctx, tag, loc.dir)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", label(loc, r), err)
	}
	p, err := readTree(loc, tree)
	if err != nil {
		return nil, err
	}
	if p.Meta.Version == r.Version {
		err = l.keep(loc, p)
	}
	return p, err
}

// tree reads a directory of a commit object by object: nothing is checked out, so attributes, filters and links
// do nothing.
func (c *clone) tree(ctx context.Context, commit, dir string) (fs.FS, error) {
	list, err := c.git(ctx, "ls-tree", "-r", "-z", "--long", commit+":"+dir)
	if err != nil {
		return nil, err
	}
	tree := fstest.MapFS{}
	var names []string
	var wanted bytes.Buffer
	left := int64(maxArchive)
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if entry == "" {
			continue
		}
		head, name, _ := strings.Cut(entry, "\t")
		f := strings.Fields(head) // mode, type, object, size
		if name != "Containerfile" && name != "files" && !strings.HasPrefix(name, "files/") {
			continue
		}
		if len(f) != 4 || f[1] != "blob" || f[0] != "100644" && f[0] != "100755" || !fs.ValidPath(name) || name == "files" {
			return nil, fmt.Errorf("%q is a link or a submodule; parts hold files only", name)
		}
		size, err := strconv.ParseInt(f[3], 10, 64)
		if left -= size; err != nil || left < 0 || len(names) >= maxEntries {
			return nil, fmt.Errorf("more than %d bytes or %d files", maxArchive, maxEntries)
		}
		tree[name] = &fstest.MapFile{Mode: 0o644}
		if f[0] == "100755" {
			tree[name].Mode = 0o755
		}
		names = append(names, name)
		fmt.Fprintln(&wanted, f[2])
	}
	return tree, c.blobs(ctx, &wanted, names, tree)
}

// blobs fills the files of a tree with the objects that are wanted, in order.
func (c *clone) blobs(ctx context.Context, wanted io.Reader, names []string, tree fstest.MapFS) error {
	out, err := c.run(ctx, wanted, "-C", c.dir, "cat-file", "--batch")
	if err != nil {
		return err
	}
	r := bufio.NewReader(bytes.NewReader(out))
	for _, name := range names {
		head, err := r.ReadString('\n')
		if err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		f := strings.Fields(head) // object, type, size
		if len(f) != 3 {
			return fmt.Errorf("git cat-file: %s", strings.TrimSpace(head))
		}
		size, err := strconv.ParseInt(f[2], 10, 64)
		if err != nil || size > maxArchive {
			return fmt.Errorf("git cat-file: %s", strings.TrimSpace(head))
		}
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		if _, err := r.Discard(1); err != nil {
			return fmt.Errorf("git cat-file: %w", err)
		}
		tree[name].Data = data
	}
	return nil
}
