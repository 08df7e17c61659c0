// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// TTYSize is a terminal's size. The zero value is unknown.
type TTYSize struct{ Rows, Cols uint }

// box is the size as the runtime-spec has it.
func (s TTYSize) box() *specs.Box {
	if s.Rows == 0 || s.Cols == 0 {
		return nil
	}
	return &specs.Box{Height: s.Rows, Width: s.Cols}
}

// SetTTYSize has the container's terminal begin with a size; an unknown one leaves it as it is. It says whether that changed s.
func SetTTYSize(s *specs.Spec, size TTYSize) bool {
	box := size.box()
	if box == nil || s.Process == nil || !s.Process.Terminal || s.Process.ConsoleSize != nil && *s.Process.ConsoleSize == *box {
		return false
	}
	s.Process.ConsoleSize = box
	return true
}

// Options is all that Generate needs. The zero value of each field is its default.
type Options struct {
	OCIVersion string // what the runtime takes; empty is 1.0.2
	Rootfs     string // absolute, or relative to the bundle; empty is rootfs
	ReadOnly   bool   // the root file system
	Hostname   string
	Args       []string // entrypoint and arguments, see Command
	Env        []string // see Environment
	WorkingDir string   // absolute; empty is /
	User       User     // see LookupUser
	Umask      string   // octal; empty is 0022
	Terminal   bool
	TTYSize    TTYSize        // that it has when the process starts
	StopSignal syscall.Signal // recorded as an annotation; 0 is SIGTERM

	Mounts     []Mount       // see Mounts; volumes have their Source
	Made       []specs.Mount // more of them, as the runtime takes them
	Files      Files
	ShmSize    *int64 // bytes of /dev/shm; nil is 64 MiB, 0 no limit
	Init       string // path of catatonit, tini or the like on the host: it becomes PID 1
	Devices    []Device
	Systemd    bool     // the file systems that systemd wants are writable
	ChrootDirs []string // that get Files as well

	NetHost   bool   // the network namespace of the host
	NetNSPath string // an existing one; empty is a new one, made by the runtime
	NetShared bool   // the one at NetNSPath is another container's: it keeps its settings
	PID       Namespace
	IPC       Namespace
	UTS       Namespace
	CgroupNS  Namespace
	UserNS    UserNS

	NoCgroup   bool   // no cgroup can be had: no limits, no cgroup file system
	CgroupPath string // for the runtime; empty leaves the choice to it
	Resources  Resources
	// Controllers of the cgroup that the container will have; nil is all. Defaults that need another are dropped.
	Controllers []string
	DeviceRules []specs.LinuxDeviceCgroup // what the device cgroup allows besides Devices, see ParseDeviceRules
	Personality string                    // execution domain: LINUX, LINUX32; empty is the caller's
	RdtClass    string                    // class of Intel's RDT; empty is none

	Privileged  bool
	DefaultCaps []string // containers.conf's default_capabilities; nil is DefaultCapabilities
	CapAdd      []string // see ParseCaps
	CapDrop     []string
	Security    Security

	// SELinux's; empty is none.
	ProcessLabel string // of the processes
	MountLabel   string // of the file systems that the runtime mounts

	Sysctls map[string]string
	Ulimits []record.Ulimit // see ParseUlimits

	// What containers.conf adds to Sysctls and Ulimits. What the container's namespaces or the host cannot give is
	// dropped without a word.
	DefaultSysctls map[string]string
	DefaultUlimits []record.Ulimit

	OOMScoreAdj *int
	Annotations map[string]string

	Host Host // see ReadHost
}

// Files are files on the host that are bound over those of the image; empty ones are not.
type Files struct {
	Hosts        string // /etc/hosts
	ResolvConf   string // /etc/resolv.conf
	Hostname     string // /etc/hostname
	ContainerEnv string // /run/.containerenv
	Passwd       string // /etc/passwd
	Group        string // /etc/group
	Localtime    string // /etc/localtime
}

// check refuses what the flags' parsers cannot see.
func (o *Options) check() error {
	switch {
	case len(o.Args) == 0:
		return ErrNoCommand
	case o.NetHost && o.NetNSPath != "":
		return errors.New("the network namespace is both the host's and another's")
	case o.Init != "" && (o.PID.Host || o.PID.Path != ""):
		return field.Errorf("%s needs a PID namespace of its own: leave %s out", field.Name("init"), field.Name("pid"))
	}
	if o.Hostname != "" && !o.UTS.Host {
		if err := CheckHostname(o.Hostname); err != nil {
			return err
		}
	}
	for name := range o.Sysctls {
		if err := checkSysctl(name, o); err != nil {
			return field.Errorf("%s %s: %w", field.Name("sysctl"), name, err)
		}
	}
	return errors.Join(CheckWorkingDir(o.WorkingDir), o.Resources.Check(), checkStrings(o.Args, o.Env))
}

// CheckWorkingDir refuses what is not absolute, and the kernel's links to open files: by
// /proc/self/fd/N a directory of the host that the runtime has open could be entered (CVE-2024-21626).
func CheckWorkingDir(dir string) error {
	if dir == "" {
		return nil
	}
	if !path.IsAbs(dir) {
		return field.Errorf("%s %q: not an absolute path", field.Name("workdir"), dir)
	}
	parts := strings.Split(path.Clean(dir), "/")
	if len(parts) > 2 && parts[1] == "proc" {
		_, err := strconv.Atoi(parts[2])
		if err == nil || parts[2] == "self" || parts[2] == "thread-self" {
			return field.Errorf("%s %q: a process's directory in /proc cannot be the working directory", field.Name("workdir"), dir)
		}
	}
	if len(parts) > 2 && parts[1] == "dev" && parts[2] == "fd" {
		return field.Errorf("%s %q: an open file cannot be the working directory", field.Name("workdir"), dir)
	}
	return nil
}

func checkStrings(lists ...[]string) error {
	for _, l := range lists {
		for _, s := range l {
			if strings.ContainsRune(s, 0) {
				return fmt.Errorf("%q contains a NUL byte: it can stand neither in an argument nor in the environment", s)
			}
		}
	}
	return nil
}

// CheckUser makes sure that the user exists in the container's user namespace.
func (o *Options) CheckUser() error {
	uids, gids, err := o.UserNS.Mappings(o.Host)
	if err != nil {
		return err
	}
	return o.checkIDs(uids, gids)
}

// checkIDs makes sure that the user exists in the container's user namespace.
func (o *Options) checkIDs(uids, gids []specs.LinuxIDMapping) error {
	inside := func(id uint32, ranges []IDRange, nested []specs.LinuxIDMapping) bool {
		if !o.UserNS.Nested() {
			return len(ranges) == 0 || mapped(ranges, id)
		}
		_, ok := mapID(nested, id)
		return ok
	}
	what, id := "", uint32(0)
	if !inside(o.User.UID, o.Host.UIDMap, uids) {
		what, id = "user", o.User.UID
	} else if !inside(o.User.GID, o.Host.GIDMap, gids) {
		what, id = "group", o.User.GID
	}
	for _, g := range o.User.Added {
		if what == "" && (!inside(g, o.Host.GIDMap, gids) || o.Host.NoSetgroups) {
			what, id = "group", g
		}
	}
	if what != "" {
		return hint.Add(fmt.Errorf("%s %d does not exist in this user namespace", what, id),
			"give this account more subordinate IDs in /etc/subuid and /etc/subgid, or choose another %s", field.Name("user"))
	}
	var groups []uint32
	for _, g := range o.User.Groups {
		if inside(g, o.Host.GIDMap, gids) && !o.Host.NoSetgroups {
			groups = append(groups, g)
		}
	}
	o.User.Groups = groups
	return nil
}

// Warnings lists what of o will be done differently from what was asked, a sentence each. Those about a field are FieldErrors,
// to be worded as errors are.
func (o Options) Warnings() []error {
	var list []error
	switch limited := o.NoCgroup && o.Resources.Limited(); {
	case limited && o.Host.Rootless && !o.Host.CgroupV2:
		//lint:ignore ST1005 as podman
		list = append(list, errors.New("Resource limits are not supported and ignored on cgroups V1 rootless systems"))
	case limited:
		list = append(list, errors.New("no cgroup can be used here: the limits on memory, CPUs and processes are ignored"))
	}
	if !o.NoCgroup && o.Host.NoSwapLimit && o.Resources.MemorySwap > 0 {
		list = append(list, field.Errorf("this kernel does not account for swap: %s is ignored", field.Name("memory-swap")))
	}
	for _, u := range o.Ulimits {
		if c, lowered := clampUlimit(u, o.Host); lowered {
			name := strings.ToLower(strings.TrimPrefix(u.Name, "RLIMIT_"))
			list = append(list, field.Errorf("%s %s: lowered to the hard limit of this process, %d", field.Name("ulimit"), name, c.Hard))
		}
	}
	if o.OOMScoreAdj != nil && *o.OOMScoreAdj < o.Host.OOMScoreAdj && !o.Host.RaiseLimits {
		list = append(list, field.Errorf("%s: raised to that of this process, %d", field.Name("oom-score-adj"), o.Host.OOMScoreAdj))
	}
	return list
}
