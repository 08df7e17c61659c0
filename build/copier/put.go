// SPDX-License-Identifier: Apache-2.0

package copier

import (
	"archive/tar"
	"bufio"
	"bytes"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/rewrite"
	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/image/v5/pkg/compression"
)

// destination is where something is written: a working container's root file system, or with --link a directory that becomes
// a layer on top of it.
type destination struct {
	root string // what names are relative to
	dir  string // where it goes, relative to that, as it was asked for
	tree *tree  // where links are looked up
}

// destination finds out whose root file system a request is about; nil if it is none of a build's.
func (h *helper) destination(q *request) (*destination, error) {
	all, err := readMounts(h.tmp)
	if err != nil {
		return nil, err
	}
	for i := len(all) - 1; i >= 0; i-- {
		m := all[i]
		d := &destination{root: m.Dir}
		if q.root != m.Dir && !strings.HasPrefix(q.root, m.Dir+"/") {
			rest, staged := cutStage(q.root, m.Container)
			if !staged || rest != "" {
				continue
			}
			d.root = q.root
		}
		dir := q.dir
		if dir == "" {
			dir = q.root
		}
		d.dir = strings.Trim(relative(d.root, filepath.Clean(dir)), "/")
		d.tree, err = openTree(m.Dir)
		return d, err
	}
	return nil, nil
}

// cutStage reports whether a path is in a directory that buildah makes for --link, and what follows that.
func cutStage(name, container string) (rest string, ok bool) {
	_, after, ok := strings.Cut(name, "/"+container+"/")
	if !ok {
		return "", false
	}
	_, after, ok = strings.Cut(after, "link-stage-")
	_, rest, _ = strings.Cut(after, "/")
	return rest, ok
}

// mkdir makes the directory of --link where the image's links lead.
func (h *helper) mkdir(q *request) error {
	d, err := h.destination(q)
	if err != nil || d == nil {
		return err
	}
	if _, staged := d.staged(q); !staged {
		return nil // buildah follows links there
	}
	dir, err := d.tree.resolve(d.dir)
	if err != nil {
		return err
	}
	return q.set("Directory", filepath.Join(d.root, dir))
}

func (d *destination) staged(q *request) (string, bool) {
	_, after, ok := strings.Cut(q.root, "/link-stage-")
	return after, ok && d.root == q.root
}

// put filters what is written: a directory goes where the image has a link to one, and what takes the place of something else
// does so by Docker's rules.
func (h *helper) put(q *request) error {
	d, err := h.destination(q)
	if err != nil || d == nil {
		return err
	}
	dir, err := d.tree.resolve(d.dir)
	if err != nil {
		return err
	}
	// buildah makes the destination its root, and a link in there to anything else would lead nowhere.
	if err := q.set("Root", d.root); err != nil {
		return err
	}
	if err := q.set("Directory", d.root); err != nil {
		return err
	}
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return err
	}
	p := &putter{tree: d.tree, dir: dir, bounds: unpack.Options{Limits: limits, What: "write to /" + dir, Dir: d.root}}
	return h.input(3, p.filter)
}

// putter filters the stream of one source.
type putter struct {
	tree *tree
	dir  string // where it goes, with links followed

	bounds unpack.Options // of what is written
}

func (p *putter) filter(w io.Writer, r io.Reader) error {
	bounded := unpack.NewReader(r, p.bounds)
	tr, tw := tar.NewReader(bounded), tar.NewWriter(w)
	for {
		hdr, err := tr.Next()
		if err == io.EOF {
			break
		}
		if bounded.Err() != nil {
			return bounded.Err()
		}
		if err != nil {
			return fmt.Errorf("write to /%s: %w", p.dir, err)
		}
		if hdr.Mode&rewrite.Unpack != 0 && hdr.Typeflag == tar.TypeReg {
			err = p.unpack(tw, hdr, tr)
		} else {
			_, archive := hdr.PAXRecords[fromArchive]
			err = p.entry(tw, hdr, tr, archive)
		}
		if err != nil {
			return err
		}
	}
	if err := tw.Close(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, r)
	return err
}

// unpack unpacks a tar that was fetched from a URL.
func (p *putter) unpack(tw *tar.Writer, file *tar.Header, content io.Reader) error {
	own := file.Mode&rewrite.WithOwner != 0
	file.Mode &= 0o7777
	data := bufio.NewReaderSize(content, 1<<20)
	head, err := data.Peek(1 << 20) // of a small file all
	if err != nil && err != io.EOF {
		return err
	}
	if !startsTar(head) {
		return p.entry(tw, file, data, false)
	}
	plain, _, err := compression.AutoDecompress(data)
	if err != nil {
		return fmt.Errorf("unpack %q: %w", file.Name, err)
	}
	defer plain.Close()
	bounds := p.bounds
	bounds.What = fmt.Sprintf("unpack %q", file.Name)
	bounded := unpack.NewReader(plain, bounds)
	for tr := tar.NewReader(bounded); ; {
		hdr, err := tr.Next()
		if err == io.EOF {
			_, err = io.Copy(io.Discard, data)
			return err
		}
		if bounded.Err() != nil {
			return bounded.Err()
		}
		if err != nil {
			return fmt.Errorf("unpack %q: %w", file.Name, err)
		}
		if own {
			hdr.Uid, hdr.Gid = file.Uid, file.Gid
		}
		hdr.Uname, hdr.Gname = "", ""
		if hdr.Typeflag == tar.TypeGNUSparse || hdr.Typeflag == tar.TypeCont {
			hdr.Typeflag = tar.TypeReg // what is read has no holes
		}
		if err := p.entry(tw, hdr, tr, true); err != nil {
			return fmt.Errorf("unpack %q: %w", file.Name, err)
		}
	}
}

func startsTar(head []byte) bool {
	r, _, err := compression.AutoDecompress(bytes.NewReader(head))
	if err != nil {
		return false
	}
	defer r.Close()
	_, err = tar.NewReader(r).Next()
	return err == nil
}

func (p *putter) entry(tw *tar.Writer, hdr *tar.Header, content io.Reader, archive bool) error {
	hdr.Format = tar.FormatUnknown
	delete(hdr.PAXRecords, fromArchive)
	if hdr.Name == "" || hdr.Typeflag == tar.TypeXGlobalHeader {
		return write(tw, hdr, content)
	}
	name, err := p.place(hdr, archive)
	if err != nil {
		return err
	}
	switch hdr.Typeflag {
	case tar.TypeDir:
		hdr.Name = name + "/"
		if name == "" {
			hdr.Name = "./"
		}
	case tar.TypeLink:
		hdr.Name = name
		if hdr.Linkname, err = p.below(hdr.Linkname); err != nil {
			return err
		}
	default:
		hdr.Name = name
	}
	return write(tw, hdr, content)
}

// below is where a name of the stream is: its directories' links are followed.
func (p *putter) below(name string) (string, error) {
	full := strings.TrimPrefix(path.Join(p.dir, path.Clean("/"+name)), "/")
	if full == p.dir {
		return p.dir, nil
	}
	dir, err := p.tree.resolve(path.Dir("/" + full))
	return path.Join(dir, path.Base(full)), err
}

// place is where an entry goes. BuildKit's rules hold (tonistiigi/fsutil, copy.go, and moby/go-archive): an archive's entries
// take the place of whatever is there; others do so only where neither is a directory. Other than with BuildKit, a directory goes
// where a link to a directory leads.
func (p *putter) place(hdr *tar.Header, archive bool) (string, error) {
	name, err := p.below(hdr.Name)
	if err != nil {
		return "", err
	}
	at, err := p.tree.look(name)
	if err != nil {
		return "", err
	}
	if hdr.Typeflag != tar.TypeDir {
		if at.kind == directory && !archive {
			return "", fmt.Errorf("put %q in the place of the directory /%s: only a directory can go there", hdr.Name, name)
		}
		m := made{kind: other}
		if hdr.Typeflag == tar.TypeSymlink {
			m = made{kind: link, target: hdr.Linkname, below: p.dir}
		}
		p.tree.made[name] = m
		return name, nil
	}
	switch at.kind {
	case link:
		to, err := p.tree.resolve(name)
		if err != nil && archive {
			break
		}
		if err != nil {
			return "", err
		}
		there, err := p.tree.look(to)
		if err != nil {
			return "", err
		}
		if there.kind == directory {
			return to, nil
		}
		if !archive {
			return "", fmt.Errorf("put the directory %q in the place of the link /%s, which leads to no directory", strings.TrimSuffix(hdr.Name, "/"), name)
		}
	case other:
		if !archive {
			return "", fmt.Errorf("put the directory %q in the place of the file /%s", strings.TrimSuffix(hdr.Name, "/"), name)
		}
	}
	p.tree.made[name] = made{kind: directory}
	return name, nil
}
