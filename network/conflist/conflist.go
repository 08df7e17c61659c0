// SPDX-License-Identifier: Apache-2.0

// Package conflist finds CNI network configurations (CNI specification, section 1) in the directories that hold them. It reads what names a
// network and its plugins, and leaves the rest to the plugins. It imports the standard library alone, as `berth run` pays for its imports.
package conflist

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// MaxSize is how large a configuration may be.
const MaxSize = 1 << 20

// ErrNotFound is what Find returns, wrapped, where there is no such network; its text is podman's.
var ErrNotFound = errors.New("network not found")

// errNetavark is given by a file of podman's other kind of networks, which may be in the same directory.
var errNetavark = errors.New("it is a network of netavark's, not a CNI configuration")

// List is a network's configuration.
type List struct {
	Path    string // its file
	Name    string
	Version string // cniVersion
	Plugins []Plugin
	// Bytes is the configuration as a list; a file of one plugin (.conf) is made one.
	Bytes json.RawMessage
}

// Plugin is one of a network's plugins.
type Plugin struct {
	Type  string
	Bytes json.RawMessage
}

// ID is the network's ID: as with podman, it is made from the name.
func (l *List) ID() string { return ID(l.Name) }

// ID makes a network's ID of its name.
func ID(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// CheckName refuses what podman refuses as a network's name.
func CheckName(name string) error {
	ok := name != ""
	for i, c := range []byte(name) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '.' && c != '-') {
			ok = false
		}
	}
	if !ok {
		return fmt.Errorf("network name %s invalid: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: invalid argument", name)
	}
	return nil
}

// All reads each network of a directory, ordered by name. The error has what could not be read; the networks beside it are good.
// Of two files with one name the first counts, in the order of the files' names, lists first.
func All(dir string) ([]*List, error) {
	files, err := configFiles(dir)
	if err != nil {
		return nil, err
	}
	var all []*List
	var problems []error
	seen := map[string]string{}
	for _, path := range files {
		l, err := Read(path)
		if errors.Is(err, errNetavark) {
			continue
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if first := seen[l.Name]; first != "" {
			problems = append(problems, fmt.Errorf("%s: network %s is also in %s, which is used", path, l.Name, first))
			continue
		}
		seen[l.Name] = path
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b *List) int { return strings.Compare(a.Name, b.Name) })
	return all, errors.Join(problems...)
}

// Find reads the network with a name, an ID, or the beginning of one ID alone. A file that cannot be read matters only
// where no other is the one.
func Find(dir, nameOrID string) (*List, error) {
	all, problems := All(dir)
	var found *List
	for _, l := range all {
		if l.Name == nameOrID {
			return l, nil
		}
		if nameOrID != "" && strings.HasPrefix(l.ID(), nameOrID) {
			if found != nil {
				return nil, fmt.Errorf("more than one result for network ID %s", nameOrID)
			}
			found = l
		}
	}
	if found != nil {
		return found, nil
	}
	if problems != nil {
		return nil, fmt.Errorf("unable to find network with name or ID %s: %w (%w)", nameOrID, ErrNotFound, problems)
	}
	return nil, fmt.Errorf("unable to find network with name or ID %s: %w", nameOrID, ErrNotFound)
}

func configFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read networks: %w", err)
	}
	var lists, single []string
	for _, e := range entries {
		switch path := filepath.Join(dir, e.Name()); filepath.Ext(e.Name()) {
		case ".conflist":
			lists = append(lists, path)
		case ".conf", ".json":
			single = append(single, path)
		}
	}
	return append(lists, single...), nil
}

// Read reads one file, a list or a single plugin's configuration.
func Read(path string) (*List, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read network: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		return nil, errors.Join(fmt.Errorf("read network %s: not a file", path), err)
	}
	data, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read network: %w", err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("read network %s: larger than %d bytes", path, MaxSize)
	}
	l, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("read network %s: %w", path, err)
	}
	l.Path = path
	return l, nil
}

// Parse reads a configuration.
func Parse(data []byte) (*List, error) {
	var file struct {
		Name    string            `json:"name"`
		Version string            `json:"cniVersion"`
		Type    string            `json:"type"`
		Plugins []json.RawMessage `json:"plugins"`
		Driver  string            `json:"driver"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	if file.Driver != "" && file.Type == "" && file.Plugins == nil {
		return nil, errNetavark
	}
	if err := CheckName(file.Name); err != nil {
		return nil, err
	}
	l := &List{Name: file.Name, Version: file.Version, Bytes: bytes.Clone(data)}
	if file.Plugins == nil {
		if file.Type == "" {
			return nil, errors.New("it names no plugins")
		}
		file.Plugins = []json.RawMessage{l.Bytes}
		whole, err := json.Marshal(map[string]any{"name": file.Name, "cniVersion": file.Version, "plugins": file.Plugins})
		if err != nil {
			return nil, err
		}
		l.Bytes = whole
	}
	if len(file.Plugins) == 0 {
		return nil, errors.New("it names no plugins")
	}
	for i, raw := range file.Plugins {
		var p struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, fmt.Errorf("plugin %d: %w", i, err)
		}
		// It becomes the name of a program that is searched for.
		if p.Type == "" || strings.ContainsAny(p.Type, "/\\\x00") || p.Type == "." || p.Type == ".." {
			return nil, fmt.Errorf("plugin %d: %q is not a plugin's type", i, p.Type)
		}
		l.Plugins = append(l.Plugins, Plugin{p.Type, raw})
	}
	return l, nil
}
