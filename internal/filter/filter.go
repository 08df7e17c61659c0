// SPDX-License-Identifier: Apache-2.0

// Package filter reads the filters KEY=VALUE that listings, prunes and events share.
package filter

import (
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
)

// Flag is the field that the errors name.
const Flag field.Name = "filter"

// Key reads the value of one key into a condition.
type Key[T any] func(value string) (func(T) bool, error)

// Parse joins filters to one condition. Values of one key are alternatives, except those of the keys in every, such as
// labels, which must all match; different keys must all match. No filters at all pass everything. key returns how the
// values of a key are read, or nil for a key that does not exist.
func Parse[T any](filters []string, key func(name string) Key[T], every ...string) (func(T) bool, error) {
	var all [][]func(T) bool // one of each must match
	places := map[string]int{}
	for _, f := range filters {
		name, value, ok := strings.Cut(f, "=")
		if !ok || name == "" {
			return nil, field.Errorf("%s %q: write KEY=VALUE", Flag, f)
		}
		read := key(name)
		if read == nil {
			return nil, field.Errorf("%s %q: unknown key %q", Flag, f, name)
		}
		match, err := read(value)
		if err != nil {
			return nil, field.Errorf("%s %q: %w", Flag, f, err)
		}
		place, known := places[name]
		if !known || slices.Contains(every, name) {
			place = len(all)
			places[name] = place
			all = append(all, nil)
		}
		all[place] = append(all[place], match)
	}
	return func(x T) bool {
		for _, alternatives := range all {
			if !slices.ContainsFunc(alternatives, func(match func(T) bool) bool { return match(x) }) {
				return false
			}
		}
		return true
	}, nil
}

// Known is key for these names alone: what a listing offers and what it reads are the same.
func Known[T any](names []string, key func(name string) Key[T]) func(name string) Key[T] {
	return func(name string) Key[T] {
		if !slices.Contains(names, name) {
			return nil
		}
		return key(name)
	}
}

// CheckWhole refuses filters without a value, for operations that change what passes: id= and name=, as a script with an
// empty variable writes them, pass everything.
func CheckWhole(filters []string) error {
	for _, f := range filters {
		if key, value, ok := strings.Cut(f, "="); !ok || key == "" || value == "" {
			return field.Errorf("%s %q: write KEY=VALUE, with a value", Flag, f)
		}
	}
	return nil
}
