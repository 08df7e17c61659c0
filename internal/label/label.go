// SPDX-License-Identifier: Apache-2.0

// Package label matches labels as podman's --filter label= does.
package label

import (
	"path"
	"strings"
)

// Match reports whether one of the labels is want: KEY or KEY=VALUE, where an empty VALUE stands for any, and
// a KEY with stars for those that contain what it describes.
func Match(labels map[string]string, want string) bool {
	key, value, _ := strings.Cut(want, "=")
	for k, v := range labels {
		if (value == "" || v == value) && (k == key || contains(k, key)) {
			return true
		}
	}
	return false
}

func contains(key, pattern string) bool {
	if !strings.Contains(pattern, "*") {
		return false
	}
	// a star also stands for slashes, which path.Match keeps apart
	noSlash := strings.NewReplacer("/", "|")
	ok, err := path.Match("*"+noSlash.Replace(pattern)+"*", noSlash.Replace(key))
	return ok && err == nil
}
