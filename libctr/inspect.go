// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/network"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/image/v5/manifest"
	"golang.org/x/sys/unix"
)

// Inspect gathers what is known of a container. It enters no namespace and asks no other process.
func (e *Engine) Inspect(c *Container) (*InspectData, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	var oci specs.Spec
	data, err := os.ReadFile(filepath.Join(c.Dir, record.BundleDir, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, &oci)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	delete(oci.Annotations, spec.CompiledSeccomp)
	return e.inspect(c, cfg, &oci), nil
}

func (e *Engine) inspect(c *Container, cfg *record.Config, oci *specs.Spec) *InspectData {
	s := c.State
	d := &InspectData{
		ID: c.ID, Created: cfg.Created, Image: cfg.ImageID, ImageDigest: cfg.ImageDigest, ImageName: cfg.ImageName, Name: s.Name,
		Rootfs: given(cfg.Rootfs), ProcessLabel: cfg.ProcessLabel, MountLabel: cfg.MountLabel, StaticDir: c.Dir, OCIRuntime: cfg.Runtime.Name, OCIConfigPath: filepath.Join(c.Dir, record.BundleDir, "config.json"),
		ConmonPidFile: cfg.MonitorPidFile, PidFile: or(cfg.PidFile, filepath.Join(c.RunDir, record.PidFile)), LogPath: cfg.Log.Path, RestartCount: s.Restarts, Driver: e.storeOpts.GraphDriverName,
		Mounts: nonNil(cfg.Mounts), Dependencies: nonNil(cfg.Requires), ExecIDs: []string{},
		KubeExitCodePropagation: "invalid", // podman's word for a container that is no kube service's
		LockNumber:              inode(filepath.Join(c.RunDir, record.LockFile)), UseImageHosts: cfg.Given.NoHosts, UseImageHostname: cfg.Given.NoHostname,
		ResolvConfPath: existing(c.Dir, "resolv.conf"), HostsPath: existing(c.Dir, "hosts"), HostnamePath: existing(c.Dir, "hostname"),
	}
	if len(cfg.Command) > 0 {
		d.Path, d.Args = cfg.Command[0], cfg.Command[1:]
	}
	if p := oci.Process; p != nil {
		d.AppArmorProfile = p.ApparmorProfile
		if p.Capabilities != nil {
			d.EffectiveCaps, d.BoundingCaps = p.Capabilities.Effective, p.Capabilities.Bounding
		}
	}
	d.State = InspectState{
		OciVersion: oci.Version, Status: string(s.Status), Running: s.Status == record.Running, Restarting: c.Restarting(), Paused: s.Status == record.Paused, OOMKilled: s.OOMKilled,
		Pid: s.Pid, ConmonPid: s.Monitor, ExitCode: s.ExitCode, Error: s.Error, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt,
		Health: s.Health, StoppedByUser: s.StoppedBy == "user",
		Checkpointed: s.Checkpointed, CheckpointedAt: s.CheckpointedAt, CheckpointPath: s.CheckpointPath, CheckpointLog: s.CheckpointLog,
		Restored: s.Restored, RestoredAt: s.RestoredAt, RestoreLog: s.RestoreLog,
	}
	d.GraphDriver = e.inspectDriver(cfg)
	exposed := cfg.Exposed
	if kind, _, _ := strings.Cut(cfg.Network.Mode, ":"); kind == "host" || kind == "container" {
		exposed = nil // the ports are another's
	}
	d.NetworkSettings.Ports = network.PortMap(cfg.Network.Ports, exposed)
	d.NetworkSettings.inspectShared(cfg, s)
	if s.Pid > 0 {
		d.NetworkSettings.SandboxKey = filepath.Join("/proc", itoa(s.Pid), "ns/net")
		d.State.CgroupPath = cgroupPathOf(s.Pid, c.ID)
	}
	d.Config = inspectConfig(cfg, oci)
	if c.Active() {
		if to, err := os.ReadFile(filepath.Join(c.RunDir, record.NotifyToFile)); err == nil {
			d.Config.SdNotifySocket = string(to)
		}
	}
	d.HostConfig = inspectHost(cfg, oci)
	return d
}

func (e *Engine) inspectDriver(cfg *record.Config) InspectDriver {
	d := InspectDriver{Name: e.storeOpts.GraphDriverName, Data: map[string]string{}}
	switch cfg.Rootfs.Type {
	case "bind":
		d.Data["dir"] = cfg.Rootfs.Source
		return d
	case record.GivenRootfs:
		if o := cfg.Rootfs.Overlay; o != nil {
			d.Data["LowerDir"], d.Data["UpperDir"], d.Data["WorkDir"] = cfg.Rootfs.Source, o.Upper, o.Work
		}
		return d
	}
	for o := range strings.SplitSeq(cfg.Rootfs.Options, ",") {
		k, v, _ := strings.Cut(o, "=")
		name := map[string]string{"lowerdir": "LowerDir", "upperdir": "UpperDir", "workdir": "WorkDir"}[k]
		if name == "" {
			continue
		}
		var dirs []string
		for p := range strings.SplitSeq(v, ":") {
			dirs = append(dirs, withoutLink(cfg.Rootfs.Workdir, p))
		}
		d.Data[name] = strings.Join(dirs, ":")
	}
	return d
}

// inspectShared shows the networks that the container shares. The default one is shown on top as well.
func (n *InspectNetwork) inspectShared(cfg *record.Config, s *record.State) {
	for _, a := range cfg.Network.Attachments {
		if a.CNI == nil {
			continue
		}
		shown := &InspectAdditionalNetwork{NetworkID: a.Network, Aliases: a.CNI.Names}
		for _, j := range s.Networks {
			if j.Network == a.Network {
				shown.inspectAddresses(&j)
			}
		}
		if n.Networks == nil {
			n.Networks = map[string]*InspectAdditionalNetwork{}
		}
		n.Networks[a.Network] = shown
		if a.Network == network.DefaultNetwork {
			n.InspectBasicNetworkConfig = shown.InspectBasicNetworkConfig
		}
	}
}

func (b *InspectBasicNetworkConfig) inspectAddresses(j *record.Joined) {
	b.MacAddress = j.MAC
	for _, a := range j.Addresses {
		four := !strings.Contains(a.IP, ":")
		switch {
		case four && b.IPAddress == "":
			b.IPAddress, b.IPPrefixLen, b.Gateway = a.IP, a.Prefix, a.Gateway
		case four:
			b.SecondaryIPAddresses = append(b.SecondaryIPAddresses, InspectAddress{a.IP, a.Prefix})
		case b.GlobalIPv6Address == "":
			b.GlobalIPv6Address, b.GlobalIPv6PrefixLen, b.IPv6Gateway = a.IP, a.Prefix, a.Gateway
		default:
			b.SecondaryIPv6Addresses = append(b.SecondaryIPv6Addresses, InspectAddress{a.IP, a.Prefix})
		}
	}
}

func inspectConfig(cfg *record.Config, oci *specs.Spec) InspectConfig {
	i := InspectConfig{
		Hostname: cfg.Hostname, User: cfg.User, Tty: cfg.Terminal, OpenStdin: cfg.OpenStdin, StdinOnce: cfg.StdinOnce, Env: nonNil(cfg.Env), Cmd: nonNil(cfg.Cmd),
		Image: cfg.ImageName, WorkingDir: cfg.WorkingDir, Entrypoint: nonNil(cfg.Entrypoint), Labels: cfg.Labels, Annotations: oci.Annotations,
		StopSignal: signalName(cfg.StopSignal), CreateCommand: cfg.CreateCommand, Timeout: cfg.Timeout, StopTimeout: cfg.StopTimeout,
		Timezone: cfg.Given.Timezone, SystemdMode: cfg.Given.Systemd, ChrootDirs: cfg.Given.ChrootDirs, Passwd: !cfg.Given.NoPasswd,
		Secrets: secretsOf(cfg), SdNotifyMode: or(cfg.SdNotify, notifyByContainer),
	}
	i.inspectHealth(cfg.Health)
	if oci.Process != nil && oci.Process.User.Umask != nil {
		i.Umask = fmt.Sprintf("%04o", *oci.Process.User.Umask)
	}
	for port := range network.PortMap(cfg.Network.Ports, cfg.Exposed) {
		if i.ExposedPorts == nil {
			i.ExposedPorts = map[string]struct{}{}
		}
		i.ExposedPorts[port] = struct{}{}
	}
	return i
}

// inspectHealth shows a health check. What becomes of its results is shown where there is none, too.
func (i *InspectConfig) inspectHealth(h *record.Healthcheck) {
	i.HealthcheckOnFailureAction, i.HealthLogDestination = "none", "local"
	i.HealthMaxLogCount, i.HealthMaxLogSize = monitor.KeptProbes, monitor.KeptOutput
	if h == nil {
		return
	}
	bound := func(to *uint, n int) {
		if n != 0 {
			*to = uint(max(n, 0)) // -1 is none
		}
	}
	bound(&i.HealthMaxLogCount, h.LogCount)
	bound(&i.HealthMaxLogSize, h.LogSize)
	i.HealthcheckOnFailureAction, i.HealthLogDestination = or(h.OnFailure, i.HealthcheckOnFailureAction), or(h.LogTo, i.HealthLogDestination)
	i.Healthcheck = &manifest.Schema2HealthConfig{Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, StartInterval: h.StartInterval, Retries: h.Retries}
	if s := h.Startup; s != nil {
		i.StartupHealthCheck = &InspectStartupCheck{&manifest.Schema2HealthConfig{Test: s.Test, Interval: s.Interval, Timeout: s.Timeout, Retries: s.Retries}, s.Successes}
	}
}

func inspectHost(cfg *record.Config, oci *specs.Spec) InspectHostConfig {
	g := &cfg.Given
	h := InspectHostConfig{
		Binds: []string{}, NetworkMode: cfg.Network.Mode, PortBindings: network.PortMap(cfg.Network.Ports, nil), AutoRemove: cfg.AutoRemove,
		LogConfig:     InspectLog{Type: cfg.Log.Driver, Path: cfg.Log.Path, Tag: cfg.Log.Tag, Size: itoa(int(cfg.Log.MaxSize)) + "B"},
		RestartPolicy: InspectRestart{Name: or(cfg.Restart.Policy, "no"), MaximumRetryCount: cfg.Restart.MaxRetries},
		CapAdd:        nonNil(cfg.CapAdd), CapDrop: nonNil(cfg.CapDrop), SecurityOpt: nonNil(cfg.SecurityOpt), Dns: nonNil(g.DNS), DnsOptions: nonNil(g.DNSOptions), DnsSearch: nonNil(g.DNSSearch),
		ExtraHosts: nonNil(g.AddHosts), GroupAdd: nonNil(g.GroupAdd), HostsFile: g.HostsFile, VolumesFrom: g.VolumesFrom, PublishAllPorts: g.PublishAll,
		Privileged: cfg.Privileged, ReadonlyRootfs: cfg.ReadOnly, Runtime: "oci", AutoRemoveImage: cfg.RemoveImage, Annotations: oci.Annotations,
		Memory: cfg.Memory, MemorySwap: cfg.MemorySwap, NanoCpus: cfg.NanoCPUs, PidsLimit: cfg.PidsLimit, Ulimits: nonNil(cfg.Ulimits), Init: cfg.Init,
		IpcMode: sharingOf(cfg, oci, specs.IPCNamespace), PidMode: sharingOf(cfg, oci, specs.PIDNamespace), UTSMode: sharingOf(cfg, oci, specs.UTSNamespace),
		CgroupMode: sharingOf(cfg, oci, specs.CgroupNamespace), Tmpfs: map[string]string{}, Devices: []InspectDevice{},
		CgroupManager: cgroupManagerOf(cfg), Cgroups: "default", ContainerIDFile: cfg.IDFile,
	}
	if cfg.CgroupPath == "" {
		h.Cgroups = "disabled"
	} else if cfg.Cgroups != "" && cfg.Cgroups != cgroupsEnabled {
		h.Cgroups = cfg.Cgroups
	}
	for _, m := range cfg.Mounts {
		switch m.Type {
		case "tmpfs":
			h.Tmpfs[m.Destination] = strings.Join(m.Options, ",")
		default:
			opts := "rw"
			if !m.RW {
				opts = "ro"
			}
			h.Binds = append(h.Binds, or(m.Name, m.Source)+":"+m.Destination+":"+strings.Join(append([]string{opts}, m.Options...), ","))
		}
	}
	if h.IpcMode == "private" && !g.PrivateIPC {
		h.IpcMode = "shareable"
	}
	h.CgroupParent = cfg.CgroupParent
	h.inspectUserNS(cfg, oci)
	if oci.Linux != nil && !cfg.Privileged {
		for _, d := range oci.Linux.Devices {
			h.Devices = append(h.Devices, InspectDevice{PathOnHost: deviceOnHost(&d), PathInContainer: d.Path})
		}
	}
	if p := oci.Process; p != nil {
		h.OomScoreAdj = deref(p.OOMScoreAdj)
	}
	if oci.Linux != nil && oci.Linux.IntelRdt != nil {
		h.IntelRdtClosID = oci.Linux.IntelRdt.ClosID
	}
	if oci.Linux != nil && oci.Linux.Resources != nil {
		r := oci.Linux.Resources
		h.CgroupConf = r.Unified
		h.inspectBlockIO(r.BlockIO)
		if r.CPU != nil {
			h.CpuShares, h.CpuPeriod, h.CpuQuota = deref(r.CPU.Shares), deref(r.CPU.Period), deref(r.CPU.Quota)
			h.CpusetCpus, h.CpusetMems = r.CPU.Cpus, r.CPU.Mems
			h.CpuRealtimePeriod, h.CpuRealtimeRuntime = deref(r.CPU.RealtimePeriod), deref(r.CPU.RealtimeRuntime)
		}
		if r.Memory != nil {
			h.MemoryReservation = deref(r.Memory.Reservation)
			h.Memory, h.MemorySwap = deref(r.Memory.Limit), deref(r.Memory.Swap)
			if r.Memory.Swappiness != nil {
				h.MemorySwappiness = int64(*r.Memory.Swappiness)
			}
			h.OomKillDisable = deref(r.Memory.DisableOOMKiller)
		}
		if r.Pids != nil {
			h.PidsLimit = deref(r.Pids.Limit)
		}
	}
	if r := cfg.Rootfs.Memory; r != nil {
		if h.Storage = "memory"; r.Size > 0 {
			h.Storage += fmt.Sprintf(":size=%d", r.Size)
		}
	}
	for _, m := range oci.Mounts {
		if m.Destination == "/dev/shm" {
			for _, o := range m.Options {
				if v, ok := strings.CutPrefix(o, "size="); ok {
					h.ShmSize = atoi64(v)
				}
			}
		}
	}
	return h
}

// sharingOf is whose namespace of a kind the container is in, as podman says it.
func sharingOf(cfg *record.Config, oci *specs.Spec, kind specs.LinuxNamespaceType) string {
	if other := cfg.Joins[string(kind)]; other != "" {
		return "container:" + other
	}
	if oci.Linux != nil {
		for _, ns := range oci.Linux.Namespaces {
			switch {
			case ns.Type != kind:
			case ns.Path != "":
				return "ns:" + ns.Path
			default:
				return "private"
			}
		}
	}
	return "host"
}

func (h *InspectHostConfig) inspectUserNS(cfg *record.Config, oci *specs.Spec) {
	if h.UsernsMode = sharingOf(cfg, oci, specs.UserNamespace); h.UsernsMode == "host" {
		h.UsernsMode = "" // as podman says it of this one
		return
	}
	text := func(list []specs.LinuxIDMapping) (maps []string) {
		for _, m := range list {
			maps = append(maps, fmt.Sprintf("%d:%d:%d", m.ContainerID, m.HostID, m.Size))
		}
		return maps
	}
	if l := oci.Linux; l != nil && len(l.UIDMappings) > 0 {
		h.IDMappings = &InspectIDMappings{text(l.UIDMappings), text(l.GIDMappings)}
	}
}

// deviceOnHost finds a device by its number: in the place where the container has it, or else anywhere in /dev.
func deviceOnHost(d *specs.LinuxDevice) string {
	is := func(path string) bool {
		var st unix.Stat_t
		return unix.Lstat(path, &st) == nil && unix.Major(st.Rdev) == uint32(d.Major) && unix.Minor(st.Rdev) == uint32(d.Minor) && (st.Mode&unix.S_IFMT == unix.S_IFBLK) == (d.Type == "b")
	}
	if is(d.Path) {
		return d.Path
	}
	var found string
	_ = filepath.WalkDir("/dev", func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type()&os.ModeDevice != 0 && is(path) {
			found = path
			return fs.SkipAll
		}
		return nil // what cannot be read is not it
	})
	return found
}

// inode is the number of a file, or 0.
func inode(path string) uint64 {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return 0
	}
	return st.Ino
}

// inspectBlockIO names the devices as the kernel does, /dev/block/MAJOR:MINOR.
func (h *InspectHostConfig) inspectBlockIO(io *specs.LinuxBlockIO) {
	if io == nil {
		return
	}
	path := func(major, minor int64) string {
		p := fmt.Sprintf("/dev/block/%d:%d", major, minor)
		if target, err := filepath.EvalSymlinks(p); err == nil {
			return target
		}
		return p
	}
	h.BlkioWeight, h.BlkioWeightDevice = deref(io.Weight), []InspectWeight{}
	for _, d := range io.WeightDevice {
		h.BlkioWeightDevice = append(h.BlkioWeightDevice, InspectWeight{path(d.Major, d.Minor), deref(d.Weight)})
	}
	for _, l := range []struct {
		from []specs.LinuxThrottleDevice
		to   *[]InspectRate
	}{
		{io.ThrottleReadBpsDevice, &h.BlkioDeviceReadBps}, {io.ThrottleWriteBpsDevice, &h.BlkioDeviceWriteBps},
		{io.ThrottleReadIOPSDevice, &h.BlkioDeviceReadIOps}, {io.ThrottleWriteIOPSDevice, &h.BlkioDeviceWriteIOps},
	} {
		*l.to = []InspectRate{}
		for _, d := range l.from {
			*l.to = append(*l.to, InspectRate{path(d.Major, d.Minor), d.Rate})
		}
	}
}

func cgroupManagerOf(cfg *record.Config) string {
	for _, a := range cfg.Runtime.Args {
		if v, ok := strings.CutPrefix(a, "--cgroup-manager="); ok {
			return v
		}
		if a == "--systemd-cgroup" {
			return "systemd"
		}
	}
	return "cgroupfs"
}

func existing(dir, name string) string {
	p := filepath.Join(dir, name)
	if _, err := os.Lstat(p); err != nil {
		return ""
	}
	return p
}

func nonNil[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// signalName is what a signal is called; the kernel numbers those of real time only.
func signalName(n int) string {
	const rtMin = 34 // glibc's and musl's SIGRTMIN
	if n > rtMin {
		return "SIGRTMIN+" + itoa(n-rtMin)
	}
	return unix.SignalName(syscall.Signal(n))
}
