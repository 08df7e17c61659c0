// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const (
	initPath       = "/run/podman-init" // as podman has it
	defaultShmSize = 64 << 20
	ttyGroup       = 5 // of every distribution; devpts(5)
)

// mounts returns all mounts in the order in which they are made: parents first. What
// the user mounts takes the place of a default with the same destination.
func mounts(s *specs.Spec, o *Options) ([]specs.Mount, error) {
	var own []specs.Mount
	for _, m := range o.Mounts {
		om, err := userMount(m, o)
		if err != nil {
			return nil, err
		}
		own = append(own, om)
	}
	for _, m := range o.Made {
		if err := cleanDestination(&m.Destination); err != nil {
			return nil, fmt.Errorf("mount %s: %w", m.Destination, err)
		}
		own = append(own, m)
	}
	own = append(own, addDevices(s, o)...)
	list := slices.Clone(own)
	for _, d := range slices.Concat(kernelMounts(o), fileMounts(o)) {
		if !slices.ContainsFunc(own, func(m specs.Mount) bool { return replaces(m, d) }) {
			list = append(list, d)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return list[i].Destination < list[j].Destination })
	for i := 1; i < len(list); i++ {
		if list[i].Destination == list[i-1].Destination {
			return nil, fmt.Errorf("mount %s: duplicate mount destination", list[i].Destination)
		}
	}
	return list, nil
}

// replaces reports whether the user's mount m makes the default d unwanted: at the same
// place, or a file system of the kernel's in the host's /dev or /sys.
func replaces(m, d specs.Mount) bool {
	if m.Destination == d.Destination {
		return true
	}
	return m.Type == "bind" && (m.Destination == "/dev" || m.Destination == "/sys") && strings.HasPrefix(d.Destination, m.Destination+"/")
}

func userMount(m Mount, o *Options) (specs.Mount, error) {
	om := specs.Mount{Destination: m.Destination, Type: "bind", Source: m.Source, Options: slices.Clone(m.Options)}
	groups := map[string]bool{}
	for _, opt := range m.Options {
		key, _, _ := strings.Cut(opt, "=")
		groups[or(mountWords[opt], key)] = true
	}
	add := func(group, option string) {
		if !groups[group] {
			om.Options = append(om.Options, option)
		}
	}
	switch m.Type {
	case "devpts":
		om.Type, om.Source = "devpts", "devpts"
		for _, o := range []string{"nosuid", "noexec", "newinstance"} {
			add(o, o)
		}
		add("ptmxmode", "ptmxmode=0666")
		add("mode", "mode=0620")
		return om, nil
	case "tmpfs", "ramfs":
		om.Type, om.Source = m.Type, m.Type
		add("suid", "nosuid")
		add("dev", "nodev")
		add("exec", "noexec")
		if m.Type == "tmpfs" && !groups["notmpcopyup"] {
			add("tmpcopyup", "tmpcopyup")
		}
		om.Options = slices.DeleteFunc(om.Options, func(s string) bool { return s == "notmpcopyup" })
		if m.Chown {
			add("uid", "uid="+strconv.Itoa(int(o.User.UID)))
			add("gid", "gid="+strconv.Itoa(int(o.User.GID)))
		}
	case "volume":
		if m.Source == "" {
			return om, fmt.Errorf("mount %s: the volume's directory is not known", m.Destination)
		}
		add("suid", "nosuid")
		add("dev", "nodev")
		add("recursion", "rbind")
	case "bind":
		add("recursion", "rbind")
	case "image":
		add("suid", "nosuid")
		add("dev", "nodev")
		add("recursion", "rbind")
	default:
		return om, fmt.Errorf("mount %s: unknown type %q", m.Destination, m.Type)
	}
	add("propagation", "rprivate")
	if m.ReadOnly {
		om.Options = append(om.Options, "ro")
	} else {
		om.Options = append(om.Options, "rw")
	}
	return om, nil
}

// kernelMounts are the file systems that every container has.
func kernelMounts(o *Options) []specs.Mount {
	m := func(dst, typ, src string, options ...string) specs.Mount {
		return specs.Mount{Destination: dst, Type: typ, Source: src, Options: options}
	}
	shm := int64(defaultShmSize)
	if o.ShmSize != nil {
		shm = *o.ShmSize // tmpfs(5): 0 is no limit
	}
	list := []specs.Mount{
		procMount(o),
		m("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
		m("/dev/pts", "devpts", "devpts", devptsOptions(o)...),
		sysMount(o),
	}
	if o.IPC.Host {
		list = append(list, m("/dev/shm", "bind", "/dev/shm", "bind", "rprivate", "nosuid", "noexec", "nodev"))
	} else {
		list = append(list, m("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777", "size="+strconv.FormatInt(shm, 10)))
	}
	switch foreign := o.IPC.Host && (o.Host.Rootless || o.UserNS.Nested()); {
	case !foreign: // only the owner of the IPC namespace can mount its queues (mq_overview(7))
		list = append(list, m("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"))
	case o.Host.Mqueue:
		list = append(list, m("/dev/mqueue", "bind", "/dev/mqueue", "bind", "rprivate", "nosuid", "noexec", "nodev"))
	}
	if !o.NoCgroup && !sysIsBound(o) {
		cgroup := access(o)
		if o.Systemd {
			cgroup = "rw"
		}
		list = append(list, m("/sys/fs/cgroup", "cgroup", "cgroup", "rprivate", "nosuid", "noexec", "nodev", "relatime", cgroup))
	}
	if o.Systemd {
		for _, dst := range []string{"/run", "/run/lock", "/tmp", "/var/log/journal"} {
			list = append(list, m(dst, "tmpfs", "tmpfs", "rw", "rprivate", "nosuid", "nodev", "tmpcopyup"))
		}
	}
	if o.Init != "" {
		list = append(list, m(initPath, "bind", o.Init, "bind", "rprivate", "ro"))
	}
	return list
}

// access is how the kernel's settings may be used.
func access(o *Options) string {
	if o.Privileged {
		return "rw"
	}
	return "ro"
}

func procMount(o *Options) specs.Mount {
	// A proc file system can be mounted by the PID namespace's owner only; in a user
	// namespace the host's is bound instead.
	if (o.PID.Host || o.PID.Path != "" && o.UserNS.Nested()) && (o.Host.Rootless || o.UserNS.Nested()) {
		return specs.Mount{Destination: "/proc", Type: "bind", Source: "/proc", Options: []string{"rbind", "rprivate", "nosuid", "noexec", "nodev"}}
	}
	return specs.Mount{Destination: "/proc", Type: "proc", Source: "proc", Options: append([]string{"nosuid", "noexec", "nodev"}, o.Security.ProcOpts...)}
}

// sysIsBound reports whether /sys has to be the host's: the kernel lets only the owner of
// the network namespace mount a sysfs (kernel: fs/sysfs/mount.c, sysfs_get_tree).
func sysIsBound(o *Options) bool {
	return o.NetHost && o.Host.Rootless || o.UserNS.Nested() && (o.NetHost || o.NetNSPath != "")
}

func sysMount(o *Options) specs.Mount {
	if !sysIsBound(o) {
		return specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", access(o)}}
	}
	options := []string{"rbind", "rprivate", "nosuid", "noexec", "nodev"}
	if !o.Privileged {
		options = append(options, "rro") // what is mounted in /sys too, the host's cgroups before all
	}
	return specs.Mount{Destination: "/sys", Type: "bind", Source: "/sys", Options: options}
}

func devptsOptions(o *Options) []string {
	options := []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
	tty := mapped(o.Host.GIDMap, ttyGroup) || len(o.Host.GIDMap) == 0
	if o.UserNS.Nested() {
		_, gids, _ := o.UserNS.Mappings(o.Host) // Generate has seen the error
		_, tty = mapID(gids, ttyGroup)
	}
	if tty {
		options = append(options, "gid="+strconv.Itoa(ttyGroup))
	}
	return options
}

func fileMounts(o *Options) []specs.Mount {
	var list []specs.Mount
	for _, f := range []struct{ dst, src string }{
		{"/etc/localtime", o.Files.Localtime}, {"/etc/group", o.Files.Group}, {"/etc/hostname", o.Files.Hostname}, {"/etc/hosts", o.Files.Hosts},
		{"/etc/passwd", o.Files.Passwd}, {"/etc/resolv.conf", o.Files.ResolvConf}, {"/run/.containerenv", o.Files.ContainerEnv},
	} {
		if f.src == "" {
			continue
		}
		options := []string{"bind", "rprivate", "nosuid", "noexec", "nodev"}
		if o.ReadOnly {
			options = append(options, "ro")
		}
		for _, dir := range append([]string{"/"}, o.ChrootDirs...) {
			list = append(list, specs.Mount{Destination: path.Join(dir, f.dst), Type: "bind", Source: f.src, Options: options})
		}
	}
	return list
}

// propagation is the root's, without which a mount's own could have no effect.
func propagation(list []specs.Mount) string {
	p := ""
	for _, m := range list {
		if slices.Contains(m.Options, "shared") || slices.Contains(m.Options, "rshared") {
			return "shared"
		}
		if slices.Contains(m.Options, "slave") || slices.Contains(m.Options, "rslave") {
			p = "rslave"
		}
	}
	return p
}
