// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/csv"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	units "github.com/docker/go-units"

	"github.com/berth-containers/berth/internal/field"
)

// ParseMount reads a value of --mount: comma-separated KEY=VALUE, one of them type=bind, volume (the default), tmpfs, ramfs, devpts, image or
// glob. A field with a comma in it stands in double quotes, as in CSV.
func ParseMount(value string) (Mount, error) {
	m, err := parseMount(value)
	if err != nil {
		return m, field.Errorf("%s %q: %w", field.Name("mount"), value, err)
	}
	return m, nil
}

func parseMount(value string) (Mount, error) {
	fields, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil {
		return Mount{}, errors.New("want KEY=VALUE[,KEY=VALUE…]")
	}
	m := Mount{Type: "volume"}
	for i, f := range fields {
		if t, ok := strings.CutPrefix(f, "type="); ok {
			m.Type = t
			fields = slices.Delete(fields, i, i+1)
			break
		}
	}
	switch m.Type {
	case "bind", "tmpfs", "ramfs", "devpts", "glob":
	case "volume":
		m.Copy = true
	case "image":
		m.ReadOnly = true
	case "artifact":
		return m, errors.New("type artifact is not supported: there are no artifacts in this version")
	default:
		return m, fmt.Errorf("type %q: want bind, volume, tmpfs, ramfs, devpts, image or glob", m.Type)
	}
	seen := map[string]string{}
	for _, f := range fields {
		if err := mountField(&m, f, seen); err != nil {
			return m, err
		}
	}
	return m, mountComplete(&m)
}

// mountField applies one KEY=VALUE; seen holds the option groups and keys so far.
func mountField(m *Mount, field string, seen map[string]string) error {
	key, value, valued := strings.Cut(field, "=")
	once := func(group string) error {
		if was, dup := seen[group]; dup {
			return fmt.Errorf("%s and %s: only one can be given", was, field)
		}
		seen[group] = field
		return nil
	}
	only := func(types ...string) error {
		if !slices.Contains(types, m.Type) {
			return fmt.Errorf("%s is not for type %s", key, m.Type)
		}
		return nil
	}
	flag := func() (bool, error) {
		if !valued {
			return true, nil
		}
		b, err := strconv.ParseBool(value)
		if err != nil {
			return false, fmt.Errorf("%s: want true or false", field)
		}
		return b, nil
	}
	add := func(group, option string) error {
		m.Options = append(m.Options, option)
		return once(group)
	}
	switch key {
	case "src", "source":
		m.Source = value
		return errors.Join(only("bind", "volume", "image", "glob"), once("source"))
	case "dst", "dest", "destination", "target":
		m.Destination = value
		return once("destination")
	case "ro", "readonly", "rw", "readwrite":
		b, err := flag()
		writable := key == "rw" || key == "readwrite"
		m.ReadOnly = b != writable
		return errors.Join(err, only("bind", "volume", "tmpfs", "ramfs", "image", "glob"), once("access"))
	case "rro":
		b, err := flag()
		if m.ReadOnly = b; b {
			m.Options = append(m.Options, "rro")
		}
		return errors.Join(err, only("bind", "volume", "glob"), once("access"))
	case "subpath", "volume-subpath":
		m.Subpath = value
		return errors.Join(only("volume", "image"), subpath(value), once("subpath"))
	case "idmap":
		option := key
		if valued {
			option = field
		}
		return errors.Join(only("bind", "volume", "glob"), add("idmap", option))
	case "uid", "gid", "max":
		_, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			err = fmt.Errorf("%s: bad value %q", key, value)
		}
		return errors.Join(only("devpts"), err, add(key, field))
	case "exec", "noexec", "suid", "nosuid", "dev", "nodev":
		b, err := flag()
		word := strings.TrimPrefix(key, "no")
		if b == (word != key) {
			return errors.Join(err, add(word, "no"+word))
		}
		return errors.Join(err, add(word, word))
	case "bind-propagation":
		if mountWords[value] != "propagation" {
			return fmt.Errorf("%s: want [r]shared, [r]slave, [r]private or [r]unbindable", field)
		}
		return errors.Join(only("bind", "glob"), add("propagation", value))
	case "bind-nonrecursive":
		b, err := flag()
		if b {
			return errors.Join(err, only("bind", "glob"), add("recursion", "bind"))
		}
		return errors.Join(err, only("bind", "glob"), once("recursion"))
	case "relabel":
		relabel, ok := map[string]string{"shared": "z", "private": "Z"}[value]
		if !ok {
			return fmt.Errorf("%s: want shared or private", field)
		}
		m.Relabel = relabel
		return errors.Join(only("bind", "volume", "glob"), once("relabel"))
	case "z", "Z":
		m.Relabel = key
		return errors.Join(only("bind", "volume", "glob"), once("relabel"))
	case "U", "chown":
		b, err := flag()
		m.Chown = b
		return errors.Join(err, only("bind", "volume", "tmpfs", "ramfs", "glob"), once("U"))
	case "volume-nocopy", "nocopy":
		b, err := flag()
		m.Copy = !b
		return errors.Join(err, only("volume"), once("copy"))
	case "nocreate":
		b, err := flag()
		m.NoCreate = b
		return errors.Join(err, only("volume"), once("nocreate"))
	case "consistency":
		return once("consistency")
	case "tmpfs-size", "tmpfs-mode", "size", "mode":
		option := strings.TrimPrefix(key, "tmpfs-") + "=" + value
		types := []string{"tmpfs", "ramfs"}
		if key == "mode" {
			types = append(types, "devpts")
		}
		return errors.Join(only(types...), tmpfsValue(option), add(option[:4], option))
	case "tmpcopyup", "notmpcopyup":
		return errors.Join(only("tmpfs"), add("tmpcopyup", key)) // crun has it for no other
	case "type":
		return errors.New("type is given twice")
	}
	return fmt.Errorf("%s is not supported for type %s", key, m.Type)
}

// subpath refuses what names nothing in the source: the path is looked up in it.
func subpath(path string) error {
	if path == "" || strings.ContainsRune(path, 0) || filepath.Clean("/"+path) == "/" {
		return fmt.Errorf("subpath %q: want a path in the source", path)
	}
	return nil
}

func mountComplete(m *Mount) error {
	switch m.Type {
	case "image":
		if m.Source == "" {
			return errors.New("src= must name an image")
		}
		m.Name, m.Source = m.Source, ""
	case "glob":
		if m.Source == "" || strings.ContainsRune(m.Source, 0) {
			return errors.New("src= must be a pattern of paths on the host")
		}
		abs, err := filepath.Abs(m.Source)
		if err != nil {
			return err
		}
		if m.Source = abs; m.Destination == "" {
			m.Destination = filepath.Dir(abs)
		}
		if m.Destination == "/" {
			return nil
		}
	case "bind":
		if m.Source == "" {
			m.Source = m.Destination // as podman does
		}
		if m.Source == "" || strings.ContainsRune(m.Source, 0) {
			return errors.New("src= must be a path on the host")
		}
		abs, err := filepath.Abs(m.Source)
		if err != nil {
			return err
		}
		m.Source = abs
	case "volume":
		if m.Source != "" && !ValidName(m.Source) {
			return fmt.Errorf("volume name %q: want letters, digits, _ . - after a letter or digit", m.Source)
		}
		m.Name, m.Source = m.Source, ""
	}
	if m.Destination == "" {
		return errors.New("dst= is missing")
	}
	return cleanDestination(&m.Destination)
}

// ParseTmpfs reads a value of --tmpfs: DST or DST:OPTIONS.
func ParseTmpfs(value string) (Mount, error) {
	m := Mount{Type: "tmpfs"}
	dst, opts, given := strings.Cut(value, ":")
	m.Destination = dst
	if err := cleanDestination(&m.Destination); err != nil {
		return m, field.Errorf("%s %q: %w", field.Name("tmpfs"), value, err)
	}
	if !given {
		return m, nil
	}
	seen := map[string]string{}
	for _, o := range strings.Split(opts, ",") {
		if err := tmpfsOption(&m, o, seen); err != nil {
			return m, field.Errorf("%s %q: %w", field.Name("tmpfs"), value, err)
		}
	}
	return m, nil
}

func tmpfsOption(m *Mount, o string, seen map[string]string) error {
	key, _, valued := strings.Cut(o, "=")
	group := key
	switch {
	case o == "":
		return errors.New("an option is empty")
	case o == "U":
		m.Chown = true
		return nil
	case valued:
		if err := tmpfsValue(o); err != nil {
			return err
		}
	case o == "tmpcopyup" || o == "notmpcopyup":
		group = "tmpcopyup"
	default:
		group = mountWords[o]
		if group == "" || o == "rro" || slices.Contains([]string{"copy", "nocreate", "relabel", "recursion", "consistency", "overlay", "idmap"}, group) {
			return fmt.Errorf("option %q is not known", o)
		}
	}
	if was, dup := seen[group]; dup && was != o {
		return fmt.Errorf("options %s and %s exclude each other", was, o)
	} else if dup {
		return nil
	}
	seen[group] = o
	if group == "access" {
		m.ReadOnly = o == "ro"
		return nil
	}
	m.Options = append(m.Options, o)
	return nil
}

// tmpfsValue checks a KEY=VALUE option of tmpfs(5).
func tmpfsValue(o string) error {
	key, value, _ := strings.Cut(o, "=")
	var err error
	switch key {
	case "size", "nr_blocks", "nr_inodes":
		if number, ok := strings.CutSuffix(value, "%"); ok && key == "size" {
			_, err = strconv.ParseUint(number, 10, 7)
		} else if n, e := units.RAMInBytes(value); e != nil || n < 0 {
			err = errors.New("not a size")
		}
	case "mode":
		_, err = strconv.ParseUint(value, 8, 12)
	case "uid", "gid":
		_, err = strconv.ParseUint(value, 10, 31)
	default:
		return fmt.Errorf("option %q is not known", o)
	}
	if err != nil {
		return fmt.Errorf("%s: bad value %q", key, value)
	}
	return nil
}
