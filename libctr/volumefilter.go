// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/berth-containers/berth/internal/label"
	"github.com/berth-containers/berth/libctr/image"
)

// SelectVolumes returns those of the volumes that pass the filters, each KEY=VALUE, with podman's keys: name, label,
// label!, driver, scope, opt, dangling, anonymous, until, since, after. Values of one key are alternatives, but for
// labels, which must all match; keys must all match. A filter that cannot be read is an error, and none is then selected.
func (e *Engine) SelectVolumes(ctx context.Context, list []Volume, filters []string) ([]Volume, error) {
	byKey := map[string][]func(Volume) bool{}
	for n, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok || value == "" {
			return nil, fmt.Errorf("filter %q: want KEY=VALUE", f)
		}
		match, err := e.volumeFilter(ctx, key, value)
		if err != nil {
			return nil, fmt.Errorf("filter %q: %w", f, err)
		}
		if strings.HasPrefix(key, "label") {
			key = fmt.Sprint(key, n)
		}
		byKey[key] = append(byKey[key], match)
	}
	var passed []Volume
next:
	for _, v := range list {
		for _, alternatives := range byKey {
			ok := false
			for _, match := range alternatives {
				ok = ok || match(v)
			}
			if !ok {
				continue next
			}
		}
		passed = append(passed, v)
	}
	return passed, nil
}

func (e *Engine) volumeFilter(ctx context.Context, key, value string) (func(Volume) bool, error) {
	switch key {
	case "name":
		re, err := regexp.Compile(value)
		if err != nil {
			return nil, err
		}
		return func(v Volume) bool { return re.MatchString(v.Name) }, nil
	case "label", "label!":
		return func(v Volume) bool { return label.Match(v.Labels, value) == (key == "label") }, nil
	case "driver":
		return func(v Volume) bool { return v.Driver == value }, nil
	case "scope":
		return func(v Volume) bool { return v.Scope == value }, nil
	case "opt":
		return func(v Volume) bool { return label.Match(v.Options, value) }, nil
	case "dangling", "anonymous":
		return e.volumeFlag(ctx, key, value)
	case "until":
		t, err := image.ParseTime(value)
		return func(v Volume) bool { return v.CreatedAt.Before(t) }, err
	case "since", "after":
		other, err := e.Volume(value)
		return func(v Volume) bool { return v.CreatedAt.After(other.CreatedAt) }, err
	}
	return nil, fmt.Errorf("%q is an invalid volume filter", key)
}

func (e *Engine) volumeFlag(ctx context.Context, key, value string) (func(Volume) bool, error) {
	want := value == "true" || value == "1"
	if !want && value != "false" && value != "0" {
		return nil, fmt.Errorf("%q is an invalid value for the %q filter: want true or false", value, key)
	}
	if key == "anonymous" {
		return func(v Volume) bool { return v.Anonymous == want }, nil
	}
	used, err := e.usedVolumes(ctx)
	return func(v Volume) bool { return used[v.Name] != want }, err
}
