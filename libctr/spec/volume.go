// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// Mount is one mount that the user or the image asks for.
type Mount struct {
	Type        string // bind, volume, tmpfs, ramfs, devpts, image; glob until Mounts has found what it stands for
	Name        string // of the volume, empty is an anonymous one; of the image
	Source      string // bind: the caller's path; glob: a pattern; volume and image: filled in by the caller before Generate
	Destination string // absolute and clean

	// Options are OCI mount options in the order of the flag, without those that
	// have fields below. Generate adds the defaults.
	Options  []string
	ReadOnly bool
	Copy     bool   // volume: fill it from the image's directory while it is empty
	NoCreate bool   // volume: it must exist
	Hosted   bool   // volume: its Source is a path of the host's, as a bind's is
	Pinned   bool   // Hosted: no symbolic link led to Source when the volume was made, and none is followed
	Chown    bool   // U: give the source to the container's user
	Relabel  string // SELinux: z (shared), Z (private), or empty
	Image    bool   // declared by the image, not by a flag
	Subpath  string // volume and image: the file or directory in it that is mounted; empty is all
	Overlay  *Overlay
}

// Overlay has the container write beside the source of its mount (the option O).
type Overlay struct {
	Upper, Work string // the caller's paths; empty are ones that end with the container's run
}

// Words are the options of -v that give the overlay.
func (o *Overlay) Words() []string {
	if o.Upper == "" {
		return []string{"O"}
	}
	return []string{"O", "upperdir=" + o.Upper, "workdir=" + o.Work}
}

// MapsIDs reports whether the option idmap was given.
func (m *Mount) MapsIDs() bool {
	return slices.ContainsFunc(m.Options, func(o string) bool { return o == "idmap" || strings.HasPrefix(o, "idmap=") })
}

// Prepared reports whether the mount's source has to be mounted for the OCI runtime first: see record.Bind.
func (m *Mount) Prepared() bool {
	return m.Type == "bind" || m.Type == "image" || m.Type == "volume" && (m.Subpath != "" || m.Overlay != nil || m.Hosted)
}

// ParseVolume reads a value of -v: DST, SRC:DST or SRC:DST:OPTIONS. A source that
// begins with "/" or "." is a path, which is not looked at here; any other is a volume's name.
func ParseVolume(value string) (Mount, error) {
	m, err := parseVolume(value)
	if err != nil {
		return m, field.Errorf("%s %q: %w", field.Name("volume"), value, err)
	}
	return m, nil
}

func parseVolume(value string) (Mount, error) {
	m := Mount{Type: "volume", Copy: true}
	parts := strings.Split(value, ":")
	switch len(parts) {
	case 1:
		m.Destination = parts[0]
	case 2, 3:
		m.Source, m.Destination = parts[0], parts[1]
	default:
		return m, errors.New("want [SOURCE:]DESTINATION[:OPTIONS]")
	}
	if len(parts) > 1 {
		if err := volumeSource(&m); err != nil {
			return m, err
		}
	}
	if err := cleanDestination(&m.Destination); err != nil {
		return m, err
	}
	if len(parts) == 3 {
		return m, volumeOptions(&m, strings.Split(parts[2], ","))
	}
	return m, nil
}

func volumeSource(m *Mount) error {
	switch {
	case m.Source == "":
		return errors.New("the source is empty")
	case strings.ContainsRune(m.Source, 0):
		return errors.New("the source contains a NUL byte")
	case m.Source[0] == '/' || m.Source[0] == '.':
		abs, err := filepath.Abs(m.Source)
		if err != nil {
			return err
		}
		m.Type, m.Source, m.Copy = "bind", abs, false
		return nil
	}
	if !ValidName(m.Source) {
		return hint.Add(fmt.Errorf("volume name %q: want letters, digits, _ . - after a letter or digit", m.Source),
			"a path on the host begins with / or ./")
	}
	m.Name, m.Source = m.Source, ""
	return nil
}

// ValidName reports whether name can name a volume or a container: [a-zA-Z0-9][a-zA-Z0-9_.-]*.
func ValidName(name string) bool {
	for i, c := range []byte(name) {
		alnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !alnum && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return name != ""
}

// cleanDestination makes *dst a clean path and refuses what no container can have mounted.
func cleanDestination(dst *string) error {
	if *dst == "" {
		return errors.New("the destination is empty")
	}
	if !strings.HasPrefix(*dst, "/") {
		return fmt.Errorf("destination %q is not an absolute path", *dst)
	}
	if strings.ContainsAny(*dst, "\x00\n") {
		return fmt.Errorf("destination %q contains a NUL byte or a line break", *dst)
	}
	*dst = filepath.Clean(*dst)
	if *dst == "/" {
		return errors.New("the destination must not be /")
	}
	// CVE-2019-16884: a mount over /proc takes the runtime's own view of the container away.
	if *dst == "/proc" || strings.HasPrefix(*dst, "/proc/") && !slices.Contains(procFiles, *dst) {
		return errors.New("the destination must not be in /proc")
	}
	return nil
}

// procFiles are what lxcfs and the like mount; OCI runtimes let these and no others pass.
var procFiles = []string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo",
}

// mountWords maps an option to its group: of a group at most one may be given.
var mountWords = map[string]string{
	"rw": "access", "ro": "access", "rro": "access",
	"exec": "exec", "noexec": "exec", "suid": "suid", "nosuid": "suid", "dev": "dev", "nodev": "dev",
	"bind": "recursion", "rbind": "recursion",
	"shared": "propagation", "rshared": "propagation", "slave": "propagation", "rslave": "propagation",
	"private": "propagation", "rprivate": "propagation", "unbindable": "propagation", "runbindable": "propagation",
	"z": "relabel", "Z": "relabel", "copy": "copy", "nocopy": "copy", "nocreate": "nocreate", "U": "U", "O": "overlay", "idmap": "idmap",
	// Docker for Mac; podman and docker on Linux take them and do nothing.
	"consistent": "consistency", "cached": "consistency", "delegated": "consistency",
}

// MountFrom is a mount of another container, as recorded, with the options that --volumes-from gives it.
func MountFrom(r record.Mount, options string) (Mount, error) {
	m := Mount{Type: r.Type, Name: r.Name, Source: r.Source, Destination: r.Destination, ReadOnly: !r.RW, Subpath: r.SubPath, Copy: r.Type == "volume"}
	if r.Type == "image" {
		m.Name, m.Source = r.Source, ""
	}
	if r.Type == "tmpfs" || r.Type == "ramfs" || r.Type == "devpts" {
		m.Options = slices.Clone(r.Options)
	} else if err := volumeOptions(&m, r.Options); err != nil && len(r.Options) > 0 {
		return m, err
	}
	if options == "" {
		return m, nil
	}
	for _, o := range strings.Split(options, ",") {
		switch o {
		case "ro", "rw":
			m.ReadOnly = m.ReadOnly || o == "ro"
		case "z":
			m.Relabel = o
		default:
			return m, fmt.Errorf("option %q: want ro, rw or z", o)
		}
	}
	return m, nil
}

// volumeOptions applies the options of -v to m.
func volumeOptions(m *Mount, opts []string) error {
	seen := map[string]string{}
	var dirs Overlay
	for _, o := range opts {
		group := mountWords[o]
		if key, value, valued := strings.Cut(o, "="); valued {
			switch key {
			case "idmap":
				group = key
			case "subpath":
				if err := m.setSubpath(value); err != nil {
					return err
				}
				continue
			case "upperdir", "workdir":
				if err := overlayDir(&dirs, key, value); err != nil {
					return err
				}
				continue
			}
		}
		switch {
		case o == "":
			return errors.New("an option is empty")
		case group == "":
			return fmt.Errorf("option %q is not known", o)
		case seen[group] != "" && seen[group] != o:
			return fmt.Errorf("options %s and %s exclude each other", seen[group], o)
		default:
			if seen[group] == "" {
				seen[group] = o
				mountOption(m, group, o)
			}
		}
	}
	if err := m.overlayOn(dirs); err != nil {
		return err
	}
	for _, group := range []string{"copy", "nocreate"} {
		if seen[group] != "" && m.Type != "volume" {
			return fmt.Errorf("option %s is for volumes, not for paths", seen[group])
		}
	}
	return nil
}

// setSubpath takes the option subpath of -v.
func (m *Mount) setSubpath(value string) error {
	switch {
	case m.Type != "volume":
		return errors.New("option subpath is for volumes, not for paths")
	case m.Subpath != "":
		return errors.New("subpath is given twice")
	}
	m.Subpath = value
	return subpath(value)
}

func overlayDir(dirs *Overlay, key, value string) error {
	to := &dirs.Upper
	if key == "workdir" {
		to = &dirs.Work
	}
	if *to != "" {
		return fmt.Errorf("%s is given twice", key)
	}
	if !filepath.IsAbs(value) || strings.ContainsRune(value, 0) {
		return fmt.Errorf("%s=%s: want an absolute path", key, value)
	}
	*to = filepath.Clean(value)
	return nil
}

// overlayOn gives the option O its directories.
func (m *Mount) overlayOn(dirs Overlay) error {
	switch given := dirs.Upper != "" || dirs.Work != ""; {
	case m.Overlay == nil && given:
		return errors.New("upperdir and workdir are for the option O")
	case given && (dirs.Upper == "" || dirs.Work == ""):
		return errors.New("upperdir and workdir are given together")
	case m.Overlay != nil && m.Relabel == "Z":
		return errors.New("options O and Z exclude each other")
	case m.Overlay != nil && m.Chown && given:
		return errors.New("options U and upperdir exclude each other")
	case m.Overlay != nil:
		*m.Overlay = dirs
	}
	return nil
}

func mountOption(m *Mount, group, o string) {
	switch group {
	case "access":
		m.ReadOnly = o != "rw"
		if o == "rro" {
			m.Options = append(m.Options, o)
		}
	case "overlay":
		m.Overlay = &Overlay{}
	case "copy":
		m.Copy = o == "copy"
	case "nocreate":
		m.NoCreate = true
	case "U":
		m.Chown = true
	case "relabel":
		m.Relabel = o
	case "consistency":
	default:
		m.Options = append(m.Options, o)
	}
}
