// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/label"
	"github.com/berth-containers/berth/internal/when"
	"go.podman.io/image/v5/docker/reference"
)

// match reports whether an image passes a filter.
type match func(*Image) (bool, error)

// Select returns the images that pass every filter, each KEY=VALUE or KEY!=VALUE, with
// podman's keys: after, since, before, until, containers, dangling, digest, id,
// intermediate, label, manifest, readonly, reference. Several reference filters pass
// an image that one of them passes. One reference filter that is a full name with a tag
// leaves an image only that name, as podman images shows it.
func (v *View) Select(images []*Image, filters []string) ([]*Image, error) {
	var all []match
	var wanted, unwanted []string
	for _, f := range filters {
		key, value, negated := strings.Cut(f, "!=")
		if !negated {
			var ok bool
			if key, value, ok = strings.Cut(f, "="); !ok {
				return nil, fmt.Errorf("read filter %q: want KEY=VALUE or KEY!=VALUE", f)
			}
		}
		switch {
		case key == "reference" && negated:
			unwanted = append(unwanted, value)
			continue
		case key == "reference":
			wanted = append(wanted, value)
			continue
		}
		m, err := v.matcher(key, value)
		if err != nil {
			return nil, fmt.Errorf("read filter %q: %w", f, err)
		}
		if negated {
			m = not(m)
		}
		all = append(all, m)
	}
	for _, value := range unwanted {
		all = append(all, not(v.matchReference(value)))
	}
	if len(wanted) > 0 {
		all = append(all, v.anyReference(wanted))
	}
	return selectAll(images, all, onlyName(wanted, unwanted))
}

// FilterKeys are the keys of View.Select.
func FilterKeys() []string {
	return []string{"after", "before", "containers", "dangling", "digest", "id", "intermediate", "label", "manifest", "readonly", "reference", "since", "until"}
}

func selectAll(images []*Image, all []match, name string) ([]*Image, error) {
	var passed []*Image
next:
	for _, img := range images {
		for _, m := range all {
			ok, err := m(img)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue next
			}
		}
		if name != "" && slices.Contains(img.Names, name) {
			narrowed := *img
			narrowed.Names = []string{name}
			img = &narrowed
		}
		passed = append(passed, img)
	}
	return passed, nil
}

// onlyName returns the full name with a tag that the filters ask for, or nothing.
func onlyName(wanted, unwanted []string) string {
	if len(wanted) != 1 || len(unwanted) > 0 {
		return ""
	}
	named, err := reference.ParseNamed(wanted[0])
	if err != nil {
		return ""
	}
	if _, ok := named.(reference.NamedTagged); !ok {
		return ""
	}
	return named.String()
}

func not(m match) match {
	return func(img *Image) (bool, error) {
		ok, err := m(img)
		return !ok, err
	}
}

func (v *View) matcher(key, value string) (match, error) {
	if !slices.Contains(FilterKeys(), key) {
		return nil, fmt.Errorf("unknown key %q", key)
	}
	switch key {
	case "after", "since", "before":
		other, err := v.Lookup(value, LookupOptions{})
		if err != nil {
			return nil, err
		}
		if key == "before" {
			return createdBefore(other.Created), nil
		}
		return func(img *Image) (bool, error) { return img.Created.After(other.Created), nil }, nil
	case "until":
		t, err := when.Parse(value, time.Now())
		return createdBefore(t), err
	case "id":
		return func(img *Image) (bool, error) { return strings.HasPrefix(img.ID, value), nil }, nil
	case "digest":
		return matchDigest(value)
	case "label":
		return matchLabel(value), nil
	case "containers":
		if value == "external" {
			value = "true"
		}
	}
	want, err := strconv.ParseBool(value)
	if err != nil {
		want = false
	}
	m, known, merr := v.boolMatcher(key)
	switch {
	case !known:
		return nil, fmt.Errorf("unknown key %q", key)
	case err != nil:
		return nil, fmt.Errorf("%q is not true or false", value)
	case merr != nil:
		return nil, merr
	case !want:
		return not(m), nil
	}
	return m, nil
}

// boolMatcher returns the filter for the keys whose value is true or false.
func (v *View) boolMatcher(key string) (m match, known bool, err error) {
	switch key {
	case "containers":
		users, err := v.users()
		return func(img *Image) (bool, error) { return len(users[img.ID]) > 0, nil }, true, err
	case "readonly":
		return func(img *Image) (bool, error) { return img.ReadOnly, nil }, true, nil
	case "manifest":
		return func(img *Image) (bool, error) { return img.isList(), nil }, true, nil
	case "dangling", "intermediate":
		r, err := v.Relations()
		if key == "dangling" {
			return func(img *Image) (bool, error) { return r.Dangling(img), nil }, true, err
		}
		return func(img *Image) (bool, error) { return r.Intermediate(img), nil }, true, err
	}
	return nil, false, nil
}

func createdBefore(t time.Time) match {
	return func(img *Image) (bool, error) { return img.Created.Before(t), nil }
}

func matchDigest(value string) (match, error) {
	if !strings.HasPrefix(value, "sha256:") {
		return nil, fmt.Errorf("%q is no beginning of sha256:DIGEST", value)
	}
	return func(img *Image) (bool, error) {
		for _, d := range img.Digests {
			if strings.HasPrefix(d.String(), value) {
				return true, nil
			}
		}
		return false, nil
	}, nil
}

func matchLabel(value string) match {
	return func(img *Image) (bool, error) {
		if img.isList() {
			return false, nil
		}
		c, err := img.Config()
		if err != nil {
			return false, err
		}
		return label.Match(c.Image.Config.Labels, value), nil
	}
}

func (v *View) anyReference(values []string) match {
	return func(img *Image) (bool, error) {
		for _, value := range values {
			if ok, err := v.matchReference(value)(img); ok || err != nil {
				return ok, err
			}
		}
		return false, nil
	}
}

// matchReference passes the image that value names, and those with a name, or the
// end of one, that matches the pattern value (path.Match), with or without the tag.
func (v *View) matchReference(value string) match {
	named, err := v.Lookup(value, LookupOptions{})
	id := ""
	if err == nil {
		id = named.ID
	}
	return func(img *Image) (bool, error) {
		if img.ID == id {
			return true, nil
		}
		for _, name := range img.Names {
			for _, c := range spellings(name) {
				if ok, _ := path.Match(value, c); ok {
					return true, nil
				}
			}
		}
		return false, nil
	}
}

// spellings returns a name in full, without its registry, and its last part alone,
// each with and without tag or digest.
func spellings(name string) []string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return []string{name}
	}
	full, bare := named.String(), reference.TrimNamed(named).String()
	suffix := strings.TrimPrefix(full, bare)
	last := bare[strings.LastIndexByte(bare, '/')+1:]
	trimmed := reference.Path(named)
	return []string{full, bare, trimmed, trimmed + suffix, last, last + suffix}
}
