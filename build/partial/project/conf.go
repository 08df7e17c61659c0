// SPDX-License-Identifier: Apache-2.0

package project

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/berth-containers/berth/build/partial"
)

// Conf is what partials.conf says.
type Conf struct {
	Aliases map[string]string // from the first component of a reference to a prefix
	Allow   []string          // sources that may be used; nil allows all
	Files   []string          // that were read
}

// file is the format of one partials.conf.
type file struct {
	Aliases map[string]string `toml:"aliases"`
	Sources struct {
		Allow []string `toml:"allow"`
	} `toml:"sources"`
}

// ReadConf reads partials.conf of the system, the user, and the project in dir. An alias of the
// project counts before the user's, and that before the system's. With the allow-list it is the
// other way round: a project cannot allow what the system does not.
func ReadConf(dir string) (*Conf, error) {
	c := &Conf{Aliases: map[string]string{}}
	for _, path := range confFiles(dir) {
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var f file
		meta, err := toml.Decode(string(data), &f)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if unknown := meta.Undecoded(); len(unknown) > 0 {
			return nil, fmt.Errorf("read %s: %s is not known; known are [aliases] and [sources] allow", path, unknown[0])
		}
		for name, prefix := range f.Aliases {
			if strings.ContainsAny(name, "./:@ ") || name == "" || name == "localhost" {
				return nil, fmt.Errorf("read %s: alias %q: an alias is one word without dots and slashes", path, name)
			}
			if !isSource(prefix) {
				return nil, fmt.Errorf("read %s: alias %q: %q is no source of parts; write a folder as ./%s or /…, a registry as HOST/PATH, or git+https://…", path, name, prefix, strings.TrimPrefix(prefix, "/"))
			}
			if prefix == "." || prefix == ".." || strings.HasPrefix(prefix, "./") || strings.HasPrefix(prefix, "../") {
				if prefix, err = filepath.Abs(filepath.Join(filepath.Dir(path), prefix)); err != nil {
					return nil, err
				}
			}
			c.Aliases[name] = prefix
		}
		if meta.IsDefined("sources", "allow") && c.Allow == nil {
			c.Allow = f.Sources.Allow
			if c.Allow == nil {
				c.Allow = []string{}
			}
		}
		c.Files = append(c.Files, path)
	}
	return c, nil
}

// isSource reports whether an alias can stand for a prefix: a folder that is written as one, a URL, or a registry, whose
// first word has a dot or a colon or is localhost.
func isSource(prefix string) bool {
	first, _, _ := strings.Cut(prefix, "/")
	return filepath.IsAbs(prefix) || strings.ContainsAny(first, ".:") || first == "localhost"
}

// confFiles are the places of partials.conf, the system's first.
func confFiles(dir string) []string {
	files := []string{"/etc/containers/partials.conf"}
	if user, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(user, "containers", "partials.conf"))
	}
	return append(files, filepath.Join(dir, "partials.conf"))
}

// readLock reads FILE.lock; nil without one.
func readLock(path string) (*partial.Lock, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return partial.ParseLock(filepath.Base(path), data)
}
