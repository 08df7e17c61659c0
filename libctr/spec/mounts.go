// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sort"

	"github.com/berth-containers/berth/internal/field"
)

// MountOptions are all the places that a container's mounts come from.
type MountOptions struct {
	Volumes      []string // -v
	Mounts       []string // --mount
	Tmpfs        []string // --tmpfs
	From         []Mount  // --volumes-from: of other containers; a flag for the same destination wins
	ConfVolumes  []string // containers.conf; a flag for the same destination wins
	ConfMounts   []string // containers.conf, as ConfVolumes
	ImageVolumes []string // Image.Volumes
	ImagePolicy  string   // --image-volume: anonymous (or empty, or bind), tmpfs, ignore
	// ReadOnlyTmpfs puts writable tmpfs on /run, /tmp and /var/tmp (--read-only with --read-only-tmpfs).
	ReadOnlyTmpfs bool
}

// Mounts parses and joins the mounts, parents before what is mounted in them. A
// destination given by two flags is an error; a flag wins over the image.
//
// Of the result, the caller makes the volumes and fills in their Source.
func Mounts(o MountOptions) ([]Mount, error) {
	at := map[string]Mount{}
	for _, source := range []struct {
		values []string
		parse  func(string) (Mount, error)
		mounts []Mount // that are parsed
		yields bool    // to what is there already
	}{
		{values: o.Mounts, parse: ParseMount}, {values: o.Volumes, parse: ParseVolume}, {values: o.Tmpfs, parse: ParseTmpfs}, {mounts: o.From, yields: true},
		{values: o.ConfMounts, parse: ParseMount, yields: true}, {values: o.ConfVolumes, parse: ParseVolume, yields: true},
	} {
		mounts := source.mounts
		for _, v := range source.values {
			m, err := source.parse(v)
			if err != nil {
				return nil, err
			}
			found, err := m.globbed()
			if err != nil {
				return nil, field.Errorf("%s %q: %w", field.Name("mount"), v, err)
			}
			mounts = append(mounts, found...)
		}
		for _, m := range mounts {
			_, dup := at[m.Destination]
			switch {
			case dup && source.yields:
				continue
			case dup:
				return nil, fmt.Errorf("mount %s: duplicate mount destination", m.Destination)
			}
			at[m.Destination] = m
		}
	}
	if err := imageMounts(at, o); err != nil {
		return nil, err
	}
	if o.ReadOnlyTmpfs {
		for _, dst := range []string{"/run", "/tmp", "/var/tmp"} {
			if _, taken := at[dst]; !taken {
				at[dst] = Mount{Type: "tmpfs", Destination: dst, Options: []string{"exec"}, Image: true}
			}
		}
	}
	list := make([]Mount, 0, len(at))
	for _, m := range at {
		list = append(list, m)
	}
	// A directory's path is a prefix of what lies in it, so it sorts first.
	sort.Slice(list, func(i, j int) bool { return list[i].Destination < list[j].Destination })
	return list, nil
}

// globbed are the binds that a mount of type glob stands for; any other stands for itself.
func (m Mount) globbed() ([]Mount, error) {
	if m.Type != "glob" {
		return []Mount{m}, nil
	}
	paths, err := filepath.Glob(m.Source)
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("no file on the host matches %s", m.Source)
	}
	var list []Mount
	for _, p := range paths {
		one := m
		one.Type, one.Source, one.Destination, one.Options = "bind", p, filepath.Join(m.Destination, filepath.Base(p)), slices.Clone(m.Options)
		err = errors.Join(err, cleanDestination(&one.Destination))
		list = append(list, one)
	}
	return list, err
}

func imageMounts(at map[string]Mount, o MountOptions) error {
	typ := "volume"
	switch o.ImagePolicy {
	case "", "anonymous", "bind":
	case "tmpfs":
		typ = "tmpfs"
	case "ignore":
		return nil
	default:
		return field.Errorf("%s %q: want anonymous, bind, tmpfs or ignore", field.Name("image-volume"), o.ImagePolicy)
	}
	for _, dst := range o.ImageVolumes {
		if err := cleanDestination(&dst); err != nil {
			return fmt.Errorf("volume %q of the image: %w", dst, err)
		}
		if _, taken := at[dst]; !taken {
			at[dst] = Mount{Type: typ, Destination: dst, Copy: typ == "volume", Image: true}
		}
	}
	return nil
}
