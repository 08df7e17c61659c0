// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/docker/reference"
)

// imageList makes the rows of a listing. What needs more than the store's index, labels and
// parents, is read when a template asks for it.
type imageList struct {
	view      *image.View
	noTrunc   bool
	relations *image.Relations
}

// imageRow is one name of an image, for templates; the names of fields and methods are podman's.
type imageRow struct {
	Repository, Tag string

	list *imageList
	img  *image.Image
	size int64
}

func (l *imageList) rows(images []*image.Image) ([]*imageRow, error) {
	rows := []*imageRow{}
	for _, img := range images {
		size, err := img.Size()
		if err != nil {
			slog.Warn("an image is damaged; remove it with: berth rmi --force "+img.ID[:12], "error", err)
		}
		row := imageRow{Repository: "<none>", Tag: "<none>", list: l, img: img, size: size}
		if len(img.Names) == 0 {
			rows = append(rows, &row)
		}
		for _, name := range img.Names {
			r := row
			if named, err := reference.ParseNormalizedNamed(name); err == nil {
				r.Repository = named.Name()
				if tagged, ok := named.(reference.Tagged); ok {
					r.Tag = tagged.Tag()
				}
			}
			rows = append(rows, &r)
		}
	}
	return rows, nil
}

// ID is the short ID, or with --no-trunc sha256: and the whole one.
func (r *imageRow) ID() string {
	if r.list.noTrunc {
		return "sha256:" + r.img.ID
	}
	return r.img.ID[:min(12, len(r.img.ID))]
}

func (r *imageRow) Id() string            { return r.ID() } //nolint:revive // podman's spelling
func (r *imageRow) Digest() digest.Digest { return r.img.Digest }
func (r *imageRow) Created() string       { return r.CreatedSince() }
func (r *imageRow) CreatedSince() string {
	return units.HumanDuration(time.Since(r.img.Created)) + " ago"
}
func (r *imageRow) CreatedAt() string         { return r.img.Created.UTC().String() }
func (r *imageRow) CreatedTime() string       { return r.CreatedAt() }
func (r *imageRow) Size() string              { return humanSize(r.size) }
func (r *imageRow) VirtualSize() string       { return r.Size() }
func (r *imageRow) History() string           { return strings.Join(r.img.NamesHistory, ", ") }
func (r *imageRow) Names() []string           { return r.img.Names }
func (r *imageRow) ReadOnly() bool            { return r.img.ReadOnly }
func (r *imageRow) RepoTags() []string        { return r.img.Tags() }
func (r *imageRow) RepoDigests() []string     { return r.img.RepoDigests() }
func (r *imageRow) ParentId() (string, error) { return r.list.parent(r.img) } //nolint:revive // podman's spelling
func (r *imageRow) Labels() map[string]string { return labels(r.img) }
func (r *imageRow) Containers() (int, error)  { return containers(r) }
func (r *imageRow) Dangling() (bool, error)   { return r.list.dangling(r.img) }

func containers(r *imageRow) (int, error) {
	ids, err := r.list.view.Containers(r.img.ID)
	return len(ids), err
}

// labels returns an image's labels; a manifest list and a damaged image have none.
func labels(img *image.Image) map[string]string {
	c, err := img.Config()
	if err != nil {
		return nil
	}
	return c.Image.Config.Labels
}

func (l *imageList) related() (*image.Relations, error) {
	if l.relations != nil {
		return l.relations, nil
	}
	var err error
	l.relations, err = l.view.Relations()
	return l.relations, err
}

func (l *imageList) parent(img *image.Image) (string, error) {
	rel, err := l.related()
	if err != nil {
		return "", err
	}
	if p := rel.Parent(img); p != nil {
		return p.ID, nil
	}
	return "", nil
}

func (l *imageList) dangling(img *image.Image) (bool, error) {
	rel, err := l.related()
	if err != nil {
		return false, err
	}
	return rel.Dangling(img), nil
}

// imageSummary is an element of `images --format json`.
type imageSummary struct {
	ID          string            `json:"Id"`
	ParentID    string            `json:"ParentId"`
	RepoTags    []string          `json:"RepoTags"`
	RepoDigests []string          `json:"RepoDigests"`
	Size        int64             `json:"Size"`
	SharedSize  int               `json:"SharedSize"`
	VirtualSize int64             `json:"VirtualSize"`
	Labels      map[string]string `json:"Labels"`
	Containers  int               `json:"Containers"`
	ReadOnly    bool              `json:"ReadOnly,omitempty"`
	Dangling    bool              `json:"Dangling,omitempty"`
	Names       []string          `json:"Names,omitempty"`
	Digest      digest.Digest     `json:"Digest"`
	History     []string          `json:"History,omitempty"`
	Created     int64             `json:"Created"`
	CreatedAt   time.Time         `json:"CreatedAt"`
}

// printJSON prints an element for each image; one with several names is one element.
func (l *imageList) printJSON(rows []*imageRow, out io.Writer) error {
	all := []imageSummary{}
	seen := make(map[string]bool)
	for _, r := range rows {
		if seen[r.img.ID] {
			continue
		}
		seen[r.img.ID] = true
		s, err := l.summary(r)
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	return printJSON(out, all)
}

func (l *imageList) summary(r *imageRow) (imageSummary, error) {
	img := r.img
	parent, err := l.parent(img)
	if err != nil {
		return imageSummary{}, err
	}
	dangling, err := l.dangling(img)
	if err != nil {
		return imageSummary{}, err
	}
	users, err := containers(r)
	return imageSummary{
		ID: img.ID, ParentID: parent, RepoTags: img.Tags(), RepoDigests: img.RepoDigests(),
		Size: r.size, VirtualSize: r.size, Labels: labels(img), Containers: users, ReadOnly: img.ReadOnly, Dangling: dangling,
		Names: img.Names, Digest: img.Digest, History: img.NamesHistory,
		Created: img.Created.Unix(), CreatedAt: img.Created.UTC(),
	}, err
}

// humanSize writes bytes as podman does: 6.88 kB.
func humanSize(n int64) string {
	s := units.HumanSizeWithPrecision(float64(n), 3)
	i := strings.IndexFunc(s, func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
	return fmt.Sprintf("%s %s", s[:i], s[i:])
}
