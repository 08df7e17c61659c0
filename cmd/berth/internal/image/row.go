// SPDX-License-Identifier: Apache-2.0

package image

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/docker/go-units"
	"github.com/opencontainers/go-digest"
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

func (l *imageList) rows(images []image.Named) []*imageRow {
	rows := []*imageRow{}
	said := map[string]bool{}
	for _, n := range images {
		if n.Damage != nil && !said[n.ID] {
			said[n.ID] = true
			slog.Warn("an image is damaged; remove it with: berth rmi --force "+n.ID[:12], "error", n.Damage)
		}
		rows = append(rows, &imageRow{Repository: cmp.Or(n.Repository, "<none>"), Tag: cmp.Or(n.Tag, "<none>"), list: l, img: n.Image, size: n.Bytes})
	}
	return rows
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

func (r *imageRow) IsDangling() (bool, error) { return r.Dangling() }
func (r *imageRow) IsReadOnly() bool          { return r.ReadOnly() }
func (r *imageRow) IsManifestList() bool      { return r.img.IsManifestList() }
func (r *imageRow) Arch() string              { return platform(r.img).Architecture }
func (r *imageRow) Os() string                { return platform(r.img).OS }
func (r *imageRow) SharedSize() (string, error) {
	n, err := r.list.shared(r.img)
	return humanSize(n), err
}

// ImageSummary is what --format json has of the image, with sizes in bytes.
func (r *imageRow) ImageSummary() (imageSummary, error) { return r.list.summary(r) }

// platform is what an image's configuration says; a manifest list and a damaged image have none.
func platform(img *image.Image) image.Platform {
	c, err := img.Config()
	if err != nil {
		return image.Platform{}
	}
	return image.Platform{OS: c.OS, Architecture: c.Architecture, Variant: c.Variant}
}

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

func (l *imageList) shared(img *image.Image) (int64, error) {
	rel, err := l.related()
	if err != nil {
		return 0, err
	}
	return rel.SharedSize(img)
}

func (l *imageList) dangling(img *image.Image) (bool, error) {
	rel, err := l.related()
	if err != nil {
		return false, err
	}
	return rel.Dangling(img), nil
}

// imageSummary is an element of `images --format json`, and of a template's .ImageSummary; the names are podman's.
type imageSummary struct {
	ID          string            `json:"Id"`
	ParentId    string            `json:"ParentId"` //nolint:revive // podman's spelling
	RepoTags    []string          `json:"RepoTags"`
	RepoDigests []string          `json:"RepoDigests"`
	Size        int64             `json:"Size"`
	SharedSize  int64             `json:"SharedSize"`
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

	// For templates only, as with podman.
	Arch           string `json:"-"`
	Os             string `json:"-"`
	IsManifestList bool   `json:"-"`
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
	return console.JSON(out, all)
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
	if err != nil {
		return imageSummary{}, err
	}
	shared, _ := l.shared(img) // a damaged image shares nothing
	return imageSummary{
		ID: img.ID, ParentId: parent, RepoTags: img.Tags(), RepoDigests: img.RepoDigests(),
		Size: r.size, SharedSize: shared, VirtualSize: r.size, Labels: labels(img), Containers: users, ReadOnly: img.ReadOnly, Dangling: dangling,
		Names: img.Names, Digest: img.Digest, History: img.NamesHistory,
		Created: img.Created.Unix(), CreatedAt: img.Created.UTC(),
		Arch: platform(img).Architecture, Os: platform(img).OS, IsManifestList: img.IsManifestList(),
	}, nil
}

// humanSize writes bytes as podman does: 6.88 kB.
func humanSize(n int64) string {
	s := units.HumanSizeWithPrecision(float64(n), 3)
	i := strings.IndexFunc(s, func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
	return fmt.Sprintf("%s %s", s[:i], s[i:])
}
