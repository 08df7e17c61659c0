// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/berth-containers/berth/internal/field"
)

// Generate returns the runtime specification of the container. It is pure: it reads
// and changes nothing outside o, and the same o gives the same specification.
// What of o it could follow only in part is told by o.Warnings.
func Generate(o Options) (*specs.Spec, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	s := &specs.Spec{
		Version:     or(o.OCIVersion, "1.0.2"),
		Root:        &specs.Root{Path: or(o.Rootfs, "rootfs"), Readonly: o.ReadOnly},
		Annotations: annotations(&o),
		Linux:       &specs.Linux{CgroupsPath: o.CgroupPath, MountLabel: o.MountLabel},
	}
	if !o.UTS.Host && o.UTS.Path == "" && !o.Host.NoHostname {
		s.Hostname = o.Hostname
	}
	var err error
	if s.Linux.UIDMappings, s.Linux.GIDMappings, err = o.UserNS.Mappings(o.Host); err != nil {
		return nil, err
	}
	s.Linux.UIDMappings, s.Linux.GIDMappings = split(s.Linux.UIDMappings, o.Host.UIDMap), split(s.Linux.GIDMappings, o.Host.GIDMap)
	if err := o.checkIDs(s.Linux.UIDMappings, s.Linux.GIDMappings); err != nil {
		return nil, err
	}
	if s.Process, err = process(&o); err != nil {
		return nil, err
	}
	if o.NoCgroup {
		s.Linux.CgroupsPath = ""
	} else {
		s.Linux.Resources = o.Resources.oci(o.Host.NoSwapLimit, o.Controllers)
		if !o.Host.Rootless { // a device cgroup is for the first user namespace only
			s.Linux.Resources.Devices = []specs.LinuxDeviceCgroup{{Allow: o.Privileged, Access: "rwm"}}
			s.Linux.Resources.Devices = append(s.Linux.Resources.Devices, o.DeviceRules...)
		}
	}
	if o.Personality != "" {
		s.Linux.Personality = &specs.LinuxPersonality{Domain: specs.LinuxPersonalityDomain(o.Personality)}
	}
	if o.RdtClass != "" {
		s.Linux.IntelRdt = &specs.LinuxIntelRdt{ClosID: o.RdtClass}
	}
	s.Linux.Namespaces = namespaces(&o)
	s.Linux.Sysctl = sysctls(&o, s.Linux.GIDMappings)
	if o.Privileged {
		s.Linux.MaskedPaths = o.Security.addMasks(nil)
	} else {
		s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = o.Security.Paths(o.Host)
	}
	if s.Mounts, err = mounts(s, &o); err != nil {
		return nil, err
	}
	s.Linux.RootfsPropagation = propagation(s.Mounts)
	// The last step: which system calls pass depends on the capabilities.
	s.Linux.Seccomp, err = seccompFilter(o.Security, o.Privileged, s)
	return s, err
}

func process(o *Options) (*specs.Process, error) {
	mask, err := ParseUmask(or(o.Umask, "0022"))
	if err != nil {
		return nil, err
	}
	p := &specs.Process{
		Terminal:        o.Terminal,
		User:            specs.User{UID: o.User.UID, GID: o.User.GID, Umask: &mask},
		Args:            o.Args,
		Env:             o.Env,
		Cwd:             or(o.WorkingDir, "/"),
		NoNewPrivileges: o.Security.NoNewPrivileges,
		SelinuxLabel:    o.ProcessLabel,
	}
	if o.Terminal {
		p.ConsoleSize = o.TTYSize.box()
	}
	p.User.AdditionalGids = processGroups(o)
	if o.Init != "" {
		p.Args = append([]string{initPath, "--"}, o.Args...)
	}
	if o.Security.AppArmor != "unconfined" {
		p.ApparmorProfile = o.Security.AppArmor
	}
	if p.Capabilities, err = processCaps(o); err != nil {
		return nil, err
	}
	for _, u := range o.AllUlimits() {
		p.Rlimits = append(p.Rlimits, specs.POSIXRlimit{Type: u.Name, Soft: uint64(u.Soft), Hard: uint64(u.Hard)})
	}
	if o.OOMScoreAdj != nil {
		score := *o.OOMScoreAdj
		if score < -1000 || score > 1000 {
			return nil, field.Errorf("%s %d: want -1000 to 1000", field.Name("oom-score-adj"), score)
		}
		if !o.Host.RaiseLimits { // proc(5): lowering it needs CAP_SYS_RESOURCE
			score = max(score, o.Host.OOMScoreAdj)
		}
		p.OOMScoreAdj = &score
	}
	return p, nil
}

// ParseUmask reads a umask, in octal.
func ParseUmask(value string) (uint32, error) {
	mask, err := strconv.ParseUint(value, 8, 9)
	if err != nil {
		return 0, field.Errorf("%s %q: not an octal number up to 777", field.Name("umask"), value)
	}
	return uint32(mask), nil
}

// processGroups are the supplementary groups. The user's own group is among them, so that
// a setgid program does not lose it, and with it what that group is forbidden (CVE-2022-2989).
func processGroups(o *Options) []uint32 {
	if o.User.KeepGroups || o.Host.NoSetgroups {
		return nil
	}
	groups := slices.Concat([]uint32{o.User.GID}, o.User.Groups, o.User.Added)
	slices.Sort(groups)
	return slices.Compact(groups)
}

func namespaces(o *Options) []specs.LinuxNamespace {
	list := []specs.LinuxNamespace{{Type: specs.MountNamespace}}
	list = o.PID.oci(list, specs.PIDNamespace)
	list = o.IPC.oci(list, specs.IPCNamespace)
	list = o.UTS.oci(list, specs.UTSNamespace)
	list = Namespace{Host: o.NetHost, Path: o.NetNSPath}.oci(list, specs.NetworkNamespace)
	if o.UserNS.Nested() {
		list = append(list, specs.LinuxNamespace{Type: specs.UserNamespace, Path: o.UserNS.Path})
	}
	// On cgroup v1 the default is the host's, as in podman: there is no single root to hide behind.
	if o.Host.CgroupV2 || o.CgroupNS.Path != "" {
		list = o.CgroupNS.oci(list, specs.CgroupNamespace)
	}
	return list
}

func sysctls(o *Options, gids []specs.LinuxIDMapping) map[string]string {
	set := map[string]string{}
	// Lets programs without capabilities ping; podman's default. Group 0 has to exist in the
	// user namespace that owns the network namespace.
	ownNet := !o.NetHost && !o.NetShared
	if o.UserNS.Nested() {
		ownNet = ownNet && o.NetNSPath == "" && slices.ContainsFunc(gids, func(m specs.LinuxIDMapping) bool { return m.ContainerID == 0 })
	}
	if ownNet && !o.Host.NoSysctls {
		set["net.ipv4.ping_group_range"] = "0 0"
	}
	for k, v := range o.DefaultSysctls {
		var own bool
		switch {
		case strings.HasPrefix(k, "net."):
			own = ownNet
		case k == "kernel.domainname": // only root of the first user namespace may write it
			own = o.UTS.Path == "" && !o.Host.Rootless && !o.UserNS.Nested()
		default:
			own = o.IPC.Path == ""
		}
		if own && !o.Host.NoSysctls && checkSysctl(k, o) == nil {
			set[k] = v
		}
	}
	for k, v := range o.Sysctls {
		set[k] = v
	}
	if len(set) == 0 {
		return nil
	}
	return set
}

func annotations(o *Options) map[string]string {
	signal := o.StopSignal
	if signal == 0 {
		signal = 15
	}
	a := map[string]string{
		"io.container.manager":                "berth",
		"org.opencontainers.image.stopSignal": strconv.Itoa(int(signal)),
	}
	if o.User.KeepGroups {
		a["run.oci.keep_original_groups"] = "1"
	}
	for k, v := range o.Annotations {
		a[k] = v
	}
	return a
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}
