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
)

// Mount is one mount that the user or the image asks for.
type Mount struct {
	Type        string // bind, volume, tmpfs
	Name        string // of the volume; empty is an anonymous one
	Source      string // bind: the caller's path; volume: filled in by the caller before Generate
	Destination string // absolute and clean

	// Options are OCI mount options in the order of the flag, without those that
	// have fields below. Generate adds the defaults.
	Options  []string
	ReadOnly bool
	Copy     bool   // volume: fill it from the image's directory while it is empty
	Chown    bool   // U: give the source to the container's user
	Relabel  string // SELinux: z (shared), Z (private), or empty
	Image    bool   // declared by the image, not by a flag
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

// ValidName tells whether name can name a volume or a container: [a-zA-Z0-9][a-zA-Z0-9_.-]*.
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
	"rw": "access", "ro": "access",
	"exec": "exec", "noexec": "exec", "suid": "suid", "nosuid": "suid", "dev": "dev", "nodev": "dev",
	"bind": "recursion", "rbind": "recursion",
	"shared": "propagation", "rshared": "propagation", "slave": "propagation", "rslave": "propagation",
	"private": "propagation", "rprivate": "propagation", "unbindable": "propagation", "runbindable": "propagation",
	"z": "relabel", "Z": "relabel", "copy": "copy", "nocopy": "copy", "U": "U",
	// Docker for Mac; podman and docker on Linux take them and do nothing.
	"consistent": "consistency", "cached": "consistency", "delegated": "consistency",
}

// volumeOptions applies the options of -v to m.
func volumeOptions(m *Mount, opts []string) error {
	seen := map[string]string{}
	for _, o := range opts {
		switch group := mountWords[o]; {
		case o == "":
			return errors.New("an option is empty")
		case o == "O":
			return errors.New("option O (overlay) is not supported")
		case o == "idmap" || strings.HasPrefix(o, "idmap="):
			return errors.New("option idmap is not supported")
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
	if seen["copy"] != "" && m.Type != "volume" {
		return fmt.Errorf("option %s is for volumes, not for paths", seen["copy"])
	}
	return nil
}

func mountOption(m *Mount, group, o string) {
	switch group {
	case "access":
		m.ReadOnly = o == "ro"
	case "copy":
		m.Copy = o == "copy"
	case "U":
		m.Chown = true
	case "relabel":
		m.Relabel = o
	case "consistency":
	default:
		m.Options = append(m.Options, o)
	}
}
