// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/field"
)

// capabilities(7), by number.
var capabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
	"CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER",
	"CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
	"CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL", "CAP_SETFCAP",
	"CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
}

// DefaultCapabilities are what a container gets if nothing else is said; podman's.
var DefaultCapabilities = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_NET_BIND_SERVICE",
	"CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_CHROOT",
}

const allCaps = "ALL"

// ParseCaps reads the values of cap-add or cap-drop (name): names with or without
// CAP_, in any case, or ALL; several may stand in one value with commas between.
func ParseCaps(name field.Name, values []string) ([]string, error) {
	var list []string
	for _, v := range values {
		for _, word := range strings.Split(v, ",") {
			c := strings.ToUpper(strings.TrimSpace(word))
			if c != allCaps && !strings.HasPrefix(c, "CAP_") {
				c = "CAP_" + c
			}
			if c != allCaps && !slices.Contains(capabilities, c) {
				return nil, field.Errorf("%s %q: there is no such capability", name, word)
			}
			if !slices.Contains(list, c) {
				list = append(list, c)
			}
		}
	}
	return list, nil
}

// boundingSet asks the kernel which capabilities the process can pass on.
func boundingSet() []string {
	var list []string
	for n, c := range capabilities {
		if set, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(n), 0, 0, 0); err == nil && set == 1 {
			list = append(list, c)
		}
	}
	return list
}

// mergeCaps applies add and drop to base. ALL in add is everything in bounding; ALL in
// drop leaves what add names. The result is sorted.
func mergeCaps(base, add, drop, bounding []string) ([]string, error) {
	switch addAll, dropAll := slices.Contains(add, allCaps), slices.Contains(drop, allCaps); {
	case addAll && dropAll:
		return nil, field.Errorf("%s ALL and %s ALL exclude each other", field.Name("cap-add"), field.Name("cap-drop"))
	case addAll:
		base = bounding
	case dropAll:
		base, drop = nil, nil
	}
	var caps []string
	for _, c := range append(append([]string{}, base...), add...) {
		switch {
		case slices.Contains(drop, c) && slices.Contains(add, c):
			return nil, field.Errorf("%s %s and %s %s exclude each other", field.Name("cap-add"), c, field.Name("cap-drop"), c)
		case c == allCaps || slices.Contains(drop, c) || slices.Contains(caps, c):
		default:
			caps = append(caps, c)
		}
	}
	slices.Sort(caps)
	return caps, nil
}

// processCaps computes the capability sets. CVE-2022-27649 and CVE-2022-29162: the
// inheritable set stays empty but for capabilities that a user other than root was given by name.
// CVE-2018-10856: such a user has no others.
func processCaps(o *Options) (*specs.LinuxCapabilities, error) {
	base := DefaultCapabilities
	if o.DefaultCaps != nil {
		base = o.DefaultCaps
	}
	if o.Privileged {
		base = o.Host.Bounding
	}
	caps, err := mergeCaps(base, o.CapAdd, o.CapDrop, o.Host.Bounding)
	if err != nil {
		return nil, err
	}
	for _, c := range o.CapAdd {
		if c != allCaps && !slices.Contains(o.Host.Bounding, c) {
			return nil, field.Errorf("%s %s: this process does not have it to give", field.Name("cap-add"), c)
		}
	}
	caps = slices.DeleteFunc(caps, func(c string) bool { return !slices.Contains(o.Host.Bounding, c) })
	sets := &specs.LinuxCapabilities{Bounding: caps}
	if o.User.UID == 0 {
		sets.Effective, sets.Permitted = caps, caps
		return sets, nil
	}
	own, err := mergeCaps(nil, o.CapAdd, o.CapDrop, o.Host.Bounding)
	if err != nil || len(own) == 0 {
		return sets, err
	}
	sets.Effective, sets.Permitted, sets.Inheritable, sets.Ambient = own, own, own, own
	return sets, nil
}
