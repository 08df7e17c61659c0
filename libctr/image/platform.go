// SPDX-License-Identifier: Apache-2.0

package image

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/platforms"
	"go.podman.io/common/libimage/platform"
)

// Platform is an operating system, an architecture and perhaps a variant of it, in the
// image specification's words. Its zero value is the host's.
type Platform struct{ OS, Architecture, Variant string }

// ParsePlatform reads OS/ARCHITECTURE[/VARIANT], or one of the first two alone, as in --platform.
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(s, "/")
	p := Platform{OS: parts[0]}
	switch len(parts) {
	case 1:
	case 2:
		p.Architecture = parts[1]
	case 3:
		p.Architecture, p.Variant = parts[1], parts[2]
	default:
		return p, fmt.Errorf("read platform %q: want OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT", s)
	}
	for _, part := range parts {
		if part == "" {
			return p, fmt.Errorf("read platform %q: %w", s, errors.New("a part is empty"))
		}
	}
	return p, nil
}

// suits reports whether the image is for the platform asked for. Without one, every image
// suits: many say a wrong platform of themselves (podman#10682).
func (img *Image) suits(opts LookupOptions) bool {
	if opts.OS == "" && opts.Architecture == "" && opts.Variant == "" {
		return true
	}
	c, err := img.Config()
	if err != nil {
		return true // a damaged image is reported where it is used
	}
	want, err := platforms.Parse(platform.ToString(opts.OS, opts.Architecture, opts.Variant))
	if err != nil {
		return false
	}
	has, err := platforms.Parse(platform.ToString(c.OS, c.Architecture, c.Variant))
	return err == nil && platforms.NewMatcher(want).Match(has)
}
