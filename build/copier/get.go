// SPDX-License-Identifier: Apache-2.0

package copier

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/build/rewrite"
	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/image/v5/pkg/compression"
)

// fromArchive is the record of a tar entry that comes from an archive which ADD unpacks: other rules hold for it when it is
// written.
const fromArchive = "BERTH.archive"

// ignored are the patterns of the ignore file that belongs to a directory that is copied from.
func (h *helper) ignored(root string) []string {
	if strings.HasPrefix(root, filepath.Join(h.tmp, "buildah-context-")) {
		return h.plan.Ignore
	}
	return h.plan.Contexts[root]
}

// stat has sources that the ignore file leaves out be not there.
func (h *helper) stat(q *request) error {
	patterns := h.ignored(q.root)
	if len(patterns) == 0 {
		return nil
	}
	m, err := NewMatcher(patterns)
	if err != nil {
		return err
	}
	t, err := openTree(q.root)
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	to := os.Stdout
	os.Stdout = w
	h.ends = append(h.ends, w)
	h.work.Go(func() {
		if err := filterStat(to, r, q.root, t, m); err != nil {
			fail(err)
		}
	})
	return nil
}

// globStat is buildah's answer to STAT for one pattern.
type globStat struct {
	Error   string `json:",omitempty"`
	Glob    string
	Globbed []string
	Results map[string]json.RawMessage
}

func filterStat(w io.Writer, r io.Reader, root string, t *tree, m *Matcher) error {
	var answer map[string]json.RawMessage
	if err := json.NewDecoder(r).Decode(&answer); err != nil {
		return fmt.Errorf("read what sources there are: %w", err)
	}
	var stat struct{ Globs []*globStat }
	if err := json.Unmarshal(answer["Stat"], &stat); err != nil {
		return fmt.Errorf("read what sources there are: %w", err)
	}
	for _, g := range stat.Globs {
		if g == nil {
			continue
		}
		var kept []string
		for _, name := range g.Globbed {
			out, err := leftOut(t, m, relative(root, name))
			if err != nil {
				return err
			}
			if out {
				delete(g.Results, name)
				continue
			}
			kept = append(kept, name)
		}
		if len(kept) == 0 && len(g.Globbed) > 0 {
			g.Error = fmt.Sprintf("%q: no such file or directory in the context: the ignore file leaves it out", "/"+relative(root, g.Glob))
			g.Results = nil
		}
		g.Globbed = kept
	}
	data, err := json.Marshal(stat)
	if err != nil {
		return err
	}
	answer["Stat"] = data
	return json.NewEncoder(w).Encode(answer)
}

// leftOut reports whether neither a source nor anything below it is part of the context.
func leftOut(t *tree, m *Matcher, name string) (bool, error) {
	name, err := t.resolve(name)
	if err != nil || name == "" {
		return false, err
	}
	out, err := m.Out(name)
	if err != nil || !out || !m.Exceptions() {
		return out, err
	}
	f, err := t.open(name)
	if err != nil {
		return false, nil // buildah says what is wrong
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	if err != nil {
		return out, nil // no directory
	}
	for _, e := range entries {
		below := path.Join(name, e.Name())
		if out, err := m.Out(below); err != nil || !out {
			return false, err
		}
		if e.IsDir() {
			if out, err := leftOut(t, m, below); err != nil || !out {
				return false, err
			}
		}
	}
	return true, nil
}

// relative is a path of buildah's, without the root.
func relative(root, name string) string {
	if rel, ok := strings.CutPrefix(name, strings.TrimSuffix(root, "/")+"/"); ok {
		return rel
	}
	return strings.TrimPrefix(name, root)
}

// get filters what is read for one source.
func (h *helper) get(q *request) error {
	var options map[string]json.RawMessage
	var set struct {
		Excludes                []string
		ExpandArchives, Parents bool
		ChmodFiles              *uint32
	}
	if err := errors.Join(json.Unmarshal(q.fields["GetOptions"], &options), json.Unmarshal(q.fields["GetOptions"], &set)); err != nil {
		return fmt.Errorf("read what to copy: %w", err)
	}
	r, err := readRules(set.Excludes)
	if err != nil {
		return err
	}
	g := &getter{parents: set.Parents, pivots: r.pivots, chmod: r.chmod, dropped: map[string]string{}}
	if set.ChmodFiles != nil && *set.ChmodFiles&rewrite.Unpack != 0 && g.chmod == nil && *set.ChmodFiles&rewrite.WithMode != 0 {
		if g.chmod, err = readMode(fmt.Sprintf("%o", *set.ChmodFiles&0o7777)); err != nil {
			return err
		}
	}
	null := json.RawMessage("null")
	options["Excludes"] = null
	if r.noUnpack {
		options["ExpandArchives"] = json.RawMessage("false")
	}
	if g.chmod != nil || set.ChmodFiles != nil && *set.ChmodFiles&rewrite.Unpack != 0 {
		options["ChmodFiles"], options["ChmodDirs"] = null, null
	}
	if err := q.set("GetOptions", options); err != nil {
		return err
	}
	repository := len(q.globs) == 1 && q.globs[0] == "."
	if repository && r.dropGit {
		g.drop = ".git"
	}
	if !repository {
		r.ignore = append(h.ignored(q.root), r.ignore...)
	}
	if err := g.find(q, r, set.ExpandArchives && !r.noUnpack); err != nil {
		return err
	}
	if g.drop == "" && g.ignore == nil && g.exclude == nil && g.chmod == nil && !g.heredoc && !g.archive {
		if whole, err := h.isWhole(q, repository); err != nil || !whole {
			return err // the stream is what it should be
		}
		return h.output(4, h.bounded)
	}
	return h.output(4, g.filter)
}

// isWhole reports whether all of a working container is read, as for the one layer of build --squash.
func (h *helper) isWhole(q *request, all bool) (bool, error) {
	if !all {
		return false, nil
	}
	mounts, err := readMounts(h.tmp)
	return slices.ContainsFunc(mounts, func(m mounted) bool { return m.Dir == q.root }), err
}

// bounded passes a stream on as far as it is within the limits: what RUN has made may be larger than the disk.
func (h *helper) bounded(w io.Writer, r io.Reader) error {
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return err
	}
	_, err = io.Copy(w, unpack.NewReader(r, unpack.Options{Limits: limits, What: "the container's files", Dir: h.tmp}))
	return err
}

// find finds out what is going to be read.
func (g *getter) find(q *request, r rules, expand bool) (err error) {
	if g.root, err = openTree(q.root); err != nil {
		return err
	}
	if len(q.globs) != 1 {
		return fmt.Errorf("copy %q: more than one source at a time", q.globs)
	}
	g.source = relative(q.root, unglob(q.globs[0]))
	if g.source == "." {
		g.source = ""
	}
	if g.item, err = g.root.resolve(g.source); err != nil {
		return err
	}
	at, err := g.root.look(g.item)
	if err != nil {
		return err
	}
	g.isDir = at.kind == directory
	if expand && at.kind == other {
		if g.archive, err = g.isArchive(); err != nil {
			return err
		}
	}
	g.heredoc = strings.HasPrefix(g.source, "buildah-heredoc")
	if len(r.ignore) > 0 {
		if g.ignore, err = NewMatcher(r.ignore); err != nil {
			return err
		}
	}
	if len(r.exclude) > 0 {
		if g.exclude, err = NewMatcher(r.exclude); err != nil {
			return err
		}
	}
	return nil
}

// unglob undoes what buildah does to a name so that, as a pattern, it matches itself.
func unglob(glob string) string {
	return strings.NewReplacer("[[]", "[", `\?`, "?", `\*`, "*").Replace(glob)
}

// isArchive reports whether the source is a tar, compressed or not, that buildah unpacks.
func (g *getter) isArchive() (bool, error) {
	f, err := g.root.open(g.item)
	if err != nil {
		return false, nil // buildah says what is wrong
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return false, err
	}
	r, _, err := compression.AutoDecompress(f)
	if err != nil {
		return false, nil
	}
	defer r.Close()
	_, err = tar.NewReader(r).Next()
	return err == nil, nil
}

// getter filters the stream of one source.
type getter struct {
	root                    *tree
	source, item            string // the source, as it is written and with links followed; relative to the root
	isDir, archive, heredoc bool
	parents                 bool // --parents: names are relative to the root
	pivots                  []string
	ignore, exclude         *Matcher
	drop                    string // a directory to leave out whatever patterns say
	chmod                   func(fs.FileMode) fs.FileMode
	dropped                 map[string]string // files left out that others may be hard links to, and which of these has the content
	waiting                 []*tar.Header     // directories left out that something in them may need
}

func (g *getter) filter(w io.Writer, r io.Reader) error {
	if g.archive {
		r = newWholeFiles(r)
	}
	tr, tw := tar.NewReader(r), tar.NewWriter(w)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("copy %q: %w", "/"+g.source, err)
		}
		hdr.Format = tar.FormatUnknown
		if g.archive {
			if hdr.Typeflag != tar.TypeXGlobalHeader {
				setRecord(hdr, fromArchive, "1")
			}
			err = write(tw, hdr, tr)
		} else {
			err = g.entry(tw, hdr, tr)
		}
		if err != nil {
			return fmt.Errorf("copy %q: %w", "/"+g.source, err)
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

func setRecord(hdr *tar.Header, key, value string) {
	if hdr.PAXRecords == nil {
		hdr.PAXRecords = map[string]string{}
	}
	hdr.PAXRecords[key] = value
}

func write(tw *tar.Writer, hdr *tar.Header, content io.Reader) error {
	if err := tw.WriteHeader(hdr); err != nil {
		return err
	}
	if hdr.Size == 0 || hdr.Typeflag != tar.TypeReg {
		return nil
	}
	_, err := io.Copy(tw, content)
	return err
}

func (g *getter) entry(tw *tar.Writer, hdr *tar.Header, content io.Reader) error {
	name := strings.Trim(hdr.Name, "/")
	if g.drop != "" && (name == g.drop || strings.HasPrefix(name, g.drop+"/")) {
		return nil
	}
	out, err := g.out(name)
	if err != nil {
		return err
	}
	if g.chmod != nil && hdr.Typeflag != tar.TypeSymlink {
		hdr.Mode = hdr.Mode&^0o7777 | int64(rewrite.Bits(g.chmod(hdr.FileInfo().Mode())))
	}
	if out {
		switch hdr.Typeflag {
		case tar.TypeDir:
			g.waiting = append(g.waiting, hdr)
		case tar.TypeReg:
			g.dropped[hdr.Name] = ""
		}
		return nil
	}
	if err := g.release(tw, name); err != nil {
		return err
	}
	if hdr.Typeflag == tar.TypeLink {
		if kept, ok := g.dropped[hdr.Linkname]; ok {
			if kept == "" {
				g.dropped[hdr.Linkname] = hdr.Name
				return g.content(tw, hdr, name)
			}
			hdr.Linkname = kept
		}
	}
	if g.heredoc && hdr.Typeflag == tar.TypeReg {
		text, err := io.ReadAll(content)
		if err != nil {
			return err
		}
		file := rewrite.Unmark(string(text))
		hdr.Size = int64(len(file))
		content = strings.NewReader(file)
	}
	return write(tw, hdr, content)
}

// release writes the directories that something is in, and forgets those that are over.
func (g *getter) release(tw *tar.Writer, name string) error {
	for _, dir := range g.waiting {
		if strings.HasPrefix(name, strings.TrimSuffix(dir.Name, "/")+"/") {
			if err := tw.WriteHeader(dir); err != nil {
				return err
			}
		}
	}
	g.waiting = nil
	return nil
}

// content writes a hard link as the file that it is, because the other name is left out.
func (g *getter) content(tw *tar.Writer, hdr *tar.Header, name string) error {
	f, err := g.root.open(g.at(name))
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	hdr.Typeflag, hdr.Linkname, hdr.Size = tar.TypeReg, "", st.Size()
	return write(tw, hdr, f)
}

// at is the path, from the root, of what the stream has under a name.
func (g *getter) at(name string) string {
	switch {
	case g.parents:
		return name
	case g.isDir:
		return path.Join(g.item, name)
	}
	return g.item
}

// out reports whether patterns leave an entry out.
func (g *getter) out(name string) (bool, error) {
	if g.ignore != nil {
		if out, err := g.ignore.Out(g.at(name)); out || err != nil {
			return out, err
		}
	}
	if g.exclude == nil {
		return false, nil
	}
	switch {
	case g.parents:
		for _, p := range g.pivots {
			if rest, ok := strings.CutPrefix(name, p+"/"); ok {
				name = rest
				break
			}
		}
		return g.exclude.Out(name)
	case g.isDir:
		return g.exclude.Out(name) // relative to the source, as in Docker
	}
	// A source that is a file has no path from itself: its name counts, and its path in the context.
	out, err := g.exclude.Out(path.Base(g.source))
	if err != nil || out {
		return out, err
	}
	return g.exclude.Out(g.source)
}
