// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/field"
)

// Device is a device of the host in the container.
type Device struct {
	Host   string // path on the host
	Path   string // path in the container
	Access string // of r, w, m; for the device cgroup
	Given  bool   // by --device; else it is one of all those in /dev

	Type         string // c or b; what follows is filled in by StatDevice
	Major, Minor int64
	Mode         fs.FileMode
	UID, GID     uint32
}

// ParseDevice reads a value of --device: HOST[:PATH][:ACCESS]. It does not look at the device.
func ParseDevice(value string) (Device, error) {
	parts := strings.Split(value, ":")
	d := Device{Host: parts[0], Path: parts[0], Access: "rwm", Given: true}
	bad := func(format string, args ...any) (Device, error) {
		return d, field.Errorf("%s %q: %s", field.Name("device"), value, fmt.Sprintf(format, args...))
	}
	if strings.Contains(value, "=") {
		return bad("CDI devices are not supported")
	}
	switch {
	case len(parts) == 2 && !strings.HasPrefix(parts[1], "/"):
		d.Access = parts[1]
	case len(parts) == 2:
		d.Path = parts[1]
	case len(parts) == 3:
		d.Path, d.Access = parts[1], parts[2]
	case len(parts) > 3:
		return bad("want HOST[:PATH][:ACCESS]")
	}
	if !filepath.IsAbs(d.Host) {
		return bad("%q is not an absolute path", d.Host)
	}
	if d.Access == "" || strings.Trim(d.Access, "rwm") != "" {
		return bad("access %q: want letters of rwm", d.Access)
	}
	d.Host = filepath.Clean(d.Host)
	if err := cleanDestination(&d.Path); err != nil {
		return bad("%v", err)
	}
	return d, nil
}

// ParseDeviceRules reads the values of --device-cgroup-rule: TYPE MAJOR:MINOR ACCESS, such as "c 189:* rwm".
func ParseDeviceRules(values []string) (list []specs.LinuxDeviceCgroup, err error) {
	for _, v := range values {
		bad := func(what string) error { return field.Errorf("%s %q: %s", field.Name("device-cgroup-rule"), v, what) }
		kind, rest, _ := strings.Cut(v, " ")
		numbers, access, _ := strings.Cut(rest, " ")
		major, minor, found := strings.Cut(numbers, ":")
		switch {
		case kind != "a" && kind != "b" && kind != "c":
			return nil, bad("invalid device type: want a, b or c")
		case !found:
			return nil, bad("want TYPE MAJOR:MINOR ACCESS, such as \"c 189:* rwm\"")
		case access == "" || strings.Trim(access, "rwm") != "":
			return nil, bad("invalid device access: want letters of rwm")
		}
		rule := specs.LinuxDeviceCgroup{Allow: true, Type: kind, Access: access}
		for _, n := range []struct {
			text string
			to   **int64
		}{{major, &rule.Major}, {minor, &rule.Minor}} {
			if n.text == "*" {
				continue
			}
			number, err := strconv.ParseUint(n.text, 10, 31)
			if err != nil {
				return nil, bad("invalid device number: want a number or *")
			}
			*n.to = new(int64(number))
		}
		list = append(list, rule)
	}
	return list, nil
}

// FindDevices is StatDevice for each device that d's path, which may be a pattern, stands for.
func FindDevices(d Device) (list []Device, err error) {
	if !strings.ContainsAny(d.Host, "*?[") {
		return StatDevice(d)
	}
	paths, err := filepath.Glob(d.Host)
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("%s: %w", d.Host, fs.ErrNotExist)
	}
	if err == nil && d.Path != d.Host {
		err = fmt.Errorf("%s: a pattern has no other path in the container", d.Host)
	}
	if err != nil {
		return nil, field.Errorf("%s: %w", field.Name("device"), err)
	}
	for _, p := range paths {
		d.Host, d.Path = p, p
		found, err := StatDevice(d)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// StatDevice fills in the device's type and numbers. A directory gives each device in it.
func StatDevice(d Device) ([]Device, error) {
	found, err := statDevice(&d)
	if err != nil {
		return nil, field.Errorf("%s: %w", field.Name("device"), err)
	}
	if found {
		return []Device{d}, nil
	}
	var list []Device
	err = filepath.WalkDir(d.Host, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		in := d
		in.Host, in.Path = p, d.Path+strings.TrimPrefix(p, d.Host)
		if found, err := statDevice(&in); err != nil || !found {
			return err
		}
		list = append(list, in)
		return nil
	})
	if err == nil && len(list) == 0 {
		err = errors.New("neither a device nor a directory with devices")
	}
	if err != nil {
		return nil, field.Errorf("%s %s: %w", field.Name("device"), d.Host, err)
	}
	return list, nil
}

// statDevice fills in d, and reports whether it is a device.
func statDevice(d *Device) (bool, error) {
	var st unix.Stat_t
	if err := unix.Stat(d.Host, &st); err != nil {
		return false, &fs.PathError{Op: "stat", Path: d.Host, Err: err}
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFCHR:
		d.Type = "c"
	case unix.S_IFBLK:
		d.Type = "b"
	default:
		return false, nil
	}
	d.Major, d.Minor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	d.Mode, d.UID, d.GID = fs.FileMode(st.Mode&0o777), st.Uid, st.Gid
	return true, nil
}

// ListDevices returns the host's devices, for --privileged.
func ListDevices() ([]Device, error) {
	var list []Device
	err := filepath.WalkDir("/dev", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		if e.IsDir() {
			switch p { // other file systems, or the container's own
			case "/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/hugepages":
				return fs.SkipDir
			}
			return nil
		}
		if e.Type()&os.ModeDevice == 0 || runtimeDevice(p) {
			return nil
		}
		d := Device{Host: p, Path: p, Access: "rwm"}
		if found, err := statDevice(&d); err != nil || !found {
			return nil // gone since
		}
		list = append(list, d)
		return nil
	})
	return list, err
}

// runtimeDevice reports whether the runtime makes path itself (runtime-spec, config-linux.md, "Default Devices").
func runtimeDevice(path string) bool {
	switch path {
	case "/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx":
		return true
	}
	return false
}

// addDevices puts the devices into s. In a user namespace no device can be made
// (mknod(2) needs CAP_MKNOD in the first one), so the host's is bound there.
func addDevices(s *specs.Spec, o *Options) []specs.Mount {
	var binds []specs.Mount
	for _, d := range o.Devices {
		if o.Host.Rootless {
			binds = append(binds, specs.Mount{Destination: d.Path, Type: "bind", Source: d.Host, Options: []string{"bind", "rprivate", "nosuid", "noexec"}})
			continue
		}
		mode, uid, gid := d.Mode, d.UID, d.GID
		s.Linux.Devices = append(s.Linux.Devices, specs.LinuxDevice{
			Path: d.Path, Type: d.Type, Major: d.Major, Minor: d.Minor, FileMode: &mode, UID: &uid, GID: &gid,
		})
		if s.Linux.Resources != nil {
			major, minor := d.Major, d.Minor
			s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, specs.LinuxDeviceCgroup{
				Allow: true, Type: d.Type, Major: &major, Minor: &minor, Access: d.Access,
			})
		}
	}
	return binds
}
