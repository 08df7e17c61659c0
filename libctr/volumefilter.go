// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/berth-containers/berth/internal/filter"
	"github.com/berth-containers/berth/internal/label"
	"github.com/berth-containers/berth/internal/when"
)

// SelectVolumes returns those of the volumes that pass the filters, each KEY=VALUE, with podman's keys: name, label,
// label!, driver, scope, opt, dangling, anonymous, until, since, after. Values of one key are alternatives, but for
// labels, which must all match; keys must all match. A filter that cannot be read or has no value is a FieldError, and
// none is then selected.
func (e *Engine) SelectVolumes(ctx context.Context, list []Volume, filters []string) ([]Volume, error) {
	if err := filter.CheckWhole(filters); err != nil {
		return nil, err
	}
	key := func(name string) filter.Key[*Volume] { return e.volumeFilter(ctx, name) }
	match, err := filter.Parse(filters, filter.Known(VolumeFilterKeys(), key), "label", "label!")
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(list), func(v Volume) bool { return !match(&v) }), nil
}

// VolumeFilterKeys are the keys of SelectVolumes.
func VolumeFilterKeys() []string {
	return []string{"after", "anonymous", "dangling", "driver", "label", "label!", "name", "opt", "scope", "since", "until"}
}

func (e *Engine) volumeFilter(ctx context.Context, key string) filter.Key[*Volume] {
	// is makes a condition of one that compares with the value, which may be anything.
	is := func(test func(v *Volume, value string) bool) filter.Key[*Volume] {
		return func(value string) (func(*Volume) bool, error) {
			return func(v *Volume) bool { return test(v, value) }, nil
		}
	}
	switch key {
	case "name":
		return func(value string) (func(*Volume) bool, error) {
			re, err := regexp.Compile(value)
			if err != nil {
				return nil, err
			}
			return func(v *Volume) bool { return re.MatchString(v.Name) }, nil
		}
	case "label", "label!":
		return is(func(v *Volume, value string) bool { return label.Match(v.Labels, value) == (key == "label") })
	case "driver":
		return is(func(v *Volume, value string) bool { return v.Driver == value })
	case "scope":
		return is(func(v *Volume, value string) bool { return v.Scope == value })
	case "opt":
		return is(func(v *Volume, value string) bool { return label.Match(v.Options, value) })
	case "dangling", "anonymous":
		return func(value string) (func(*Volume) bool, error) { return e.volumeFlag(ctx, key, value) }
	case "until":
		return func(value string) (func(*Volume) bool, error) {
			t, err := when.Parse(value, time.Now())
			return func(v *Volume) bool { return v.CreatedAt.Before(t) }, err
		}
	case "since", "after":
		return func(value string) (func(*Volume) bool, error) {
			other, err := e.Volume(value)
			return func(v *Volume) bool { return v.CreatedAt.After(other.CreatedAt) }, err
		}
	}
	return nil
}

func (e *Engine) volumeFlag(ctx context.Context, key, value string) (func(*Volume) bool, error) {
	want := value == "true" || value == "1"
	if !want && value != "false" && value != "0" {
		return nil, fmt.Errorf("%q is an invalid value for the %q filter: want true or false", value, key)
	}
	if key == "anonymous" {
		return func(v *Volume) bool { return v.Anonymous == want }, nil
	}
	used, err := e.usedVolumes(ctx)
	return func(v *Volume) bool { return used[v.Name] != want }, err
}
