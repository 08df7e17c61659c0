// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/seccomp"

	"github.com/berth-containers/berth/internal/field"
)

// Security is what the values of --security-opt say. The zero value is the default:
// confined.
type Security struct {
	NoNewPrivileges bool
	Seccomp         string   // empty is the default profile; "unconfined"; or a profile's path
	Profile         []byte   // contents of the file Seccomp, see ReadSeccomp
	AppArmor        string   // a loaded profile's name, "unconfined", or empty
	Labels          []string // SELinux: disable, or user:, role:, type:, filetype:, level: and a value
	Nested          bool     // SELinux: the container may set labels
	Mask            []string
	Unmask          []string // paths or patterns; ALL
	ProcOpts        []string // mount options of /proc
}

// ParseSecurity reads the values of --security-opt. It reads no files.
func ParseSecurity(values []string) (Security, error) {
	var s Security
	for _, v := range values {
		if err := s.option(v); err != nil {
			return s, field.Errorf("%s %q: %w", field.Name("security-opt"), v, err)
		}
	}
	return s, nil
}

func (s *Security) option(v string) error {
	key, value, valued := strings.Cut(v, "=")
	if !valued {
		key, value, valued = strings.Cut(v, ":") // docker's older form
	}
	if key != "no-new-privileges" && value == "" {
		return errors.New("want NAME=VALUE")
	}
	switch key {
	case "no-new-privileges":
		if valued && value != "true" && value != "false" {
			return errors.New("want true or false")
		}
		s.NoNewPrivileges = value != "false"
	case "seccomp":
		s.Seccomp = value
	case "apparmor":
		s.AppArmor = value
	case "label":
		if value == "nested" {
			s.Nested = true
			break
		}
		field, of, _ := strings.Cut(value, ":")
		if value != "disable" && (of == "" || !slices.Contains([]string{"user", "role", "type", "filetype", "level"}, field)) {
			return errors.New("want disable, nested, or user:, role:, type:, filetype: or level: and a value")
		}
		s.Labels = append(s.Labels, value)
	case "mask", "unmask":
		for _, p := range strings.Split(value, ":") {
			if key == "unmask" && strings.EqualFold(p, "all") { // podman and buildah take either
				p = "ALL"
			}
			if p != "ALL" && (!path.IsAbs(p) || path.Clean(p) == "/") || p == "ALL" && key == "mask" {
				return fmt.Errorf("%q is not an absolute path", p)
			}
			if _, err := path.Match(p, ""); err != nil {
				return fmt.Errorf("%q is not a pattern", p)
			}
			if key == "mask" {
				s.Mask = append(s.Mask, path.Clean(p))
			} else {
				s.Unmask = append(s.Unmask, path.Clean(p))
			}
		}
	case "systempaths":
		if value != "unconfined" {
			return errors.New("want systempaths=unconfined")
		}
		s.Unmask = append(s.Unmask, "ALL")
	case "proc-opts":
		for _, o := range strings.Split(value, ",") {
			name, _, _ := strings.Cut(o, "=")
			if !slices.Contains([]string{"hidepid", "subset", "gid", "ro", "rw", "nosuid", "nodev", "noexec"}, name) {
				return fmt.Errorf("%q is not an option of proc", o)
			}
			s.ProcOpts = append(s.ProcOpts, o)
		}
	default:
		return errors.New("this option is not supported: no-new-privileges, seccomp, apparmor, label, mask, unmask, systempaths and proc-opts are")
	}
	return nil
}

// ReadSeccomp reads the profile that s.Seccomp names into s.Profile; it does nothing where s names none.
func (s *Security) ReadSeccomp() error {
	if s.Seccomp == "" || s.Seccomp == "unconfined" {
		return nil
	}
	data, err := os.ReadFile(s.Seccomp)
	if err != nil {
		return field.Errorf("read the profile of %s seccomp: %w", field.Name("security-opt"), err)
	}
	s.Profile = data
	return nil
}

// What tells of the host or, like kcore, gives it away: moby's list and podman's together. ReadHost finds those that
// there are one of a CPU (Host.PerCPU): how often a CPU was throttled, and interrupts came, shows what its neighbours do.
var maskedPaths = []string{
	"/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
	"/proc/timer_list", "/proc/timer_stats", "/sys/dev/block", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/fs/selinux",
}

var readonlyPaths = []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}

// Paths returns what a container that is not privileged does not see, and what it can only read.
func (s Security) Paths(h Host) (masked, readonly []string) {
	for _, p := range slices.Concat(maskedPaths, h.PerCPU) {
		if !s.unmasks(p) {
			masked = append(masked, p)
		}
	}
	for _, p := range readonlyPaths {
		if !s.unmasks(p) {
			readonly = append(readonly, p)
		}
	}
	return s.addMasks(masked), readonly
}

// addMasks adds the user's own, which count for privileged containers too.
func (s Security) addMasks(masked []string) []string {
	for _, p := range s.Mask {
		if !slices.Contains(masked, p) {
			masked = append(masked, p)
		}
	}
	return masked
}

// unmasks reports whether the user wants p back: ALL, a pattern, or a directory that p is in.
func (s Security) unmasks(p string) bool {
	for _, u := range s.Unmask {
		match, err := path.Match(u, p)
		if u == "ALL" || err == nil && match || strings.HasPrefix(p, u+"/") {
			return true
		}
	}
	return false
}

// seccompFilter returns the filter for a process with the capabilities in s.
func seccompFilter(sec Security, privileged bool, s *specs.Spec) (*specs.LinuxSeccomp, error) {
	switch {
	case sec.Seccomp == "unconfined" || privileged && sec.Seccomp == "":
		return nil, nil
	case sec.Seccomp == "":
		return seccomp.LoadProfileFromConfig(DefaultSeccomp(), s)
	case sec.Profile == nil:
		return nil, fmt.Errorf("seccomp profile %s has not been read", sec.Seccomp)
	}
	f, err := seccomp.LoadProfileFromBytes(sec.Profile, s)
	if err != nil {
		return nil, fmt.Errorf("seccomp profile %s: %w", sec.Seccomp, err)
	}
	return f, nil
}
