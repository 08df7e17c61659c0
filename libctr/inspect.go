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
	"time"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// InspectData is all that there is to know of a container. The fields and their names are podman's.
type InspectData struct {
	ID              string `json:"Id"`
	Created         time.Time
	Path            string
	Args            []string
	State           InspectState
	Image           string
	ImageDigest     string
	ImageName       string
	Rootfs          string
	Pod             string
	ResolvConfPath  string
	HostnamePath    string
	HostsPath       string
	StaticDir       string
	OCIConfigPath   string
	OCIRuntime      string
	ConmonPidFile   string
	PidFile         string
	LogPath         string
	Name            string
	RestartCount    uint
	Driver          string
	MountLabel      string
	ProcessLabel    string
	AppArmorProfile string
	EffectiveCaps   []string
	BoundingCaps    []string
	ExecIDs         []string
	GraphDriver     InspectDriver
	Mounts          []record.Mount
	Dependencies    []string
	NetworkSettings InspectNetwork
	Namespace       string
	IsInfra         bool
	SizeRw          *int64 `json:",omitempty"` // bytes, if they were asked for; see Engine.Size
	SizeRootFs      int64  `json:",omitempty"`
	Config          InspectConfig
	HostConfig      InspectHostConfig
}

// InspectState is the state of a container, as the kernel has it.
type InspectState struct {
	OciVersion   string
	Status       string
	Running      bool
	Paused       bool
	Restarting   bool
	OOMKilled    bool
	Dead         bool
	Pid          int
	ConmonPid    int // the monitor's
	ExitCode     int
	Error        string
	StartedAt    time.Time
	FinishedAt   time.Time
	Health       *record.Health `json:"Health,omitempty"`
	Healthcheck  *record.Health `json:"Healthcheck,omitempty"`
	Checkpointed bool           `json:",omitempty"`
	CgroupPath   string
	// The two times are zero, and not left out, where there was none.
	CheckpointedAt, RestoredAt                time.Time
	CheckpointLog, CheckpointPath, RestoreLog string `json:",omitempty"`
	Restored                                  bool   `json:",omitempty"`
	StoppedByUser                             bool
}

// InspectDriver names the storage driver and its directories.
type InspectDriver struct {
	Name string
	Data map[string]string
}

// InspectNetwork says how a container is connected.
type InspectNetwork struct {
	EndpointID, Gateway, IPAddress, GlobalIPv6Address, MacAddress, Bridge, SandboxID string
	IPPrefixLen                                                                      int
	HairpinMode                                                                      bool
	Ports                                                                            map[string][]network.HostPort
	SandboxKey                                                                       string
	Networks                                                                         map[string]any `json:",omitempty"`
}

// InspectConfig is what the container's process is given.
type InspectConfig struct {
	Hostname, Domainname, User              string
	AttachStdin, AttachStdout, AttachStderr bool
	Tty, OpenStdin, StdinOnce               bool
	Env, Cmd                                []string
	Image                                   string
	Volumes                                 map[string]struct{}
	WorkingDir                              string
	Entrypoint                              []string
	OnBuild                                 []string
	Labels, Annotations                     map[string]string
	StopSignal                              string
	Healthcheck                             *record.Healthcheck `json:",omitempty"`
	HealthcheckOnFailureAction              string              `json:",omitempty"`
	CreateCommand                           []string
	Umask                                   string
	Timeout                                 uint
	StopTimeout                             uint
	Passwd                                  bool
	SdNotifyMode                            string
	Secrets                                 []InspectSecret
}

// InspectHostConfig is how the host confines and serves the container.
type InspectHostConfig struct {
	Binds                                                             []string
	CgroupManager, CgroupMode, ContainerIDFile                        string
	LogConfig                                                         InspectLog
	NetworkMode                                                       string
	PortBindings                                                      map[string][]network.HostPort
	RestartPolicy                                                     InspectRestart
	AutoRemove                                                        bool
	VolumeDriver                                                      string
	VolumesFrom                                                       []string
	CapAdd, CapDrop, Dns, DnsOptions, DnsSearch, ExtraHosts, GroupAdd []string
	IpcMode, Cgroup, Cgroups                                          string
	OomScoreAdj                                                       int
	PidMode                                                           string
	Privileged, PublishAllPorts, ReadonlyRootfs                       bool
	SecurityOpt                                                       []string
	Tmpfs                                                             map[string]string
	UTSMode, UsernsMode                                               string
	ShmSize                                                           int64
	Runtime                                                           string
	Memory, NanoCpus                                                  int64
	CgroupParent                                                      string
	CpuShares                                                         uint64
	CpuPeriod                                                         uint64
	CpuQuota                                                          int64
	CpusetCpus, CpusetMems                                            string
	MemoryReservation, MemorySwap                                     int64
	MemorySwappiness                                                  int64
	OomKillDisable                                                    bool
	CpuRealtimePeriod                                                 uint64
	CpuRealtimeRuntime                                                int64
	BlkioWeight                                                       uint16
	BlkioWeightDevice                                                 []InspectWeight
	BlkioDeviceReadBps, BlkioDeviceWriteBps                           []InspectRate
	BlkioDeviceReadIOps, BlkioDeviceWriteIOps                         []InspectRate
	CgroupConf                                                        map[string]string
	IntelRdtClosID                                                    string
	PidsLimit                                                         int64
	Ulimits                                                           []record.Ulimit
	Init                                                              bool
}

// InspectWeight is the weight of a device's block I/O.
type InspectWeight struct {
	Path   string
	Weight uint16
}

// InspectRate is the limit of a device's block I/O.
type InspectRate struct {
	Path string
	Rate uint64
}

// InspectLog is where the output goes.
type InspectLog struct {
	Type   string
	Config map[string]string
	Path   string
	Tag    string
	Size   string
}

// InspectRestart is the restart policy.
type InspectRestart struct {
	Name              string
	MaximumRetryCount uint
}

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
	s := c.State
	d := &InspectData{
		ID: c.ID, Created: cfg.Created, Image: cfg.ImageID, ImageDigest: cfg.ImageDigest, ImageName: cfg.ImageName, Name: s.Name,
		Rootfs: given(cfg.Rootfs), ProcessLabel: cfg.ProcessLabel, MountLabel: cfg.MountLabel, StaticDir: c.Dir, OCIRuntime: cfg.Runtime.Name, OCIConfigPath: filepath.Join(c.Dir, record.BundleDir, "config.json"),
		ConmonPidFile: cfg.MonitorPidFile, PidFile: or(cfg.PidFile, filepath.Join(c.RunDir, record.PidFile)), LogPath: cfg.Log.Path, RestartCount: s.Restarts, Driver: e.storeOpts.GraphDriverName,
		Mounts: nonNil(cfg.Mounts), Dependencies: nonNil(cfg.Requires), ExecIDs: []string{},
		ResolvConfPath: existing(c.Dir, "resolv.conf"), HostsPath: existing(c.Dir, "hosts"), HostnamePath: existing(c.Dir, "hostname"),
	}
	if len(cfg.Command) > 0 {
		d.Path, d.Args = cfg.Command[0], cfg.Command[1:]
	}
	if oci.Process != nil && oci.Process.Capabilities != nil {
		d.EffectiveCaps, d.BoundingCaps = oci.Process.Capabilities.Effective, oci.Process.Capabilities.Bounding
		d.AppArmorProfile = oci.Process.ApparmorProfile
	}
	d.State = InspectState{
		OciVersion: oci.Version, Status: string(s.Status), Running: s.Status == record.Running, Restarting: c.Restarting(), Paused: s.Status == record.Paused, OOMKilled: s.OOMKilled,
		Pid: s.Pid, ConmonPid: s.Monitor, ExitCode: s.ExitCode, Error: s.Error, StartedAt: s.StartedAt, FinishedAt: s.FinishedAt, CgroupPath: cfg.CgroupPath,
		Health: s.Health, Healthcheck: s.Health, StoppedByUser: s.StoppedBy == "user",
		Checkpointed: s.Checkpointed, CheckpointedAt: s.CheckpointedAt, CheckpointPath: s.CheckpointPath, CheckpointLog: s.CheckpointLog,
		Restored: s.Restored, RestoredAt: s.RestoredAt, RestoreLog: s.RestoreLog,
	}
	d.GraphDriver = e.inspectDriver(cfg)
	d.NetworkSettings = InspectNetwork{Ports: network.PortMap(cfg.Network.Ports, nil)}
	if s.Pid > 0 {
		d.NetworkSettings.SandboxKey = filepath.Join("/proc", itoa(s.Pid), "ns/net")
	}
	d.Config = inspectConfig(cfg, oci.Process)
	d.HostConfig = inspectHost(cfg, &oci)
	return d, nil
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

func inspectConfig(cfg *record.Config, p *specs.Process) InspectConfig {
	i := InspectConfig{
		Hostname: cfg.Hostname, User: cfg.User, Tty: cfg.Terminal, OpenStdin: cfg.OpenStdin, StdinOnce: cfg.StdinOnce, Env: nonNil(cfg.Env), Cmd: nonNil(cfg.Cmd),
		Image: cfg.ImageName, WorkingDir: cfg.WorkingDir, Entrypoint: nonNil(cfg.Entrypoint), Labels: cfg.Labels, Annotations: cfg.Annotations,
		StopSignal: signalName(cfg.StopSignal), Healthcheck: cfg.Health, CreateCommand: cfg.CreateCommand, Timeout: cfg.Timeout, StopTimeout: cfg.StopTimeout,
		Secrets: secretsOf(cfg), SdNotifyMode: or(cfg.SdNotify, notifyByContainer),
	}
	if cfg.Health != nil {
		i.HealthcheckOnFailureAction = or(cfg.Health.OnFailure, "none")
	}
	if p != nil && p.User.Umask != nil {
		i.Umask = "0" + octal(*p.User.Umask)
	}
	return i
}

func inspectHost(cfg *record.Config, oci *specs.Spec) InspectHostConfig {
	h := InspectHostConfig{
		Binds: []string{}, NetworkMode: cfg.Network.Mode, PortBindings: network.PortMap(cfg.Network.Ports, nil), AutoRemove: cfg.AutoRemove,
		LogConfig:     InspectLog{Type: cfg.Log.Driver, Path: cfg.Log.Path, Tag: cfg.Log.Tag, Config: map[string]string{}, Size: itoa(int(cfg.Log.MaxSize)) + "B"},
		RestartPolicy: InspectRestart{Name: or(cfg.Restart.Policy, "no"), MaximumRetryCount: cfg.Restart.MaxRetries},
		CapAdd:        nonNil(cfg.CapAdd), CapDrop: nonNil(cfg.CapDrop), SecurityOpt: nonNil(cfg.SecurityOpt), Dns: []string{}, DnsOptions: []string{}, DnsSearch: []string{},
		ExtraHosts: []string{}, GroupAdd: []string{}, Privileged: cfg.Privileged, ReadonlyRootfs: cfg.ReadOnly, UsernsMode: cfg.UserNS, Runtime: cfg.Runtime.Name,
		Memory: cfg.Memory, MemorySwap: cfg.MemorySwap, NanoCpus: cfg.NanoCPUs, PidsLimit: cfg.PidsLimit, Ulimits: nonNil(cfg.Ulimits), Init: cfg.Init,
		IpcMode: "private", PidMode: "private", UTSMode: "private", Tmpfs: map[string]string{}, CgroupMode: "private",
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
	h.CgroupParent, h.BlkioWeightDevice = cfg.CgroupParent, []InspectWeight{}
	h.BlkioDeviceReadBps, h.BlkioDeviceWriteBps, h.BlkioDeviceReadIOps, h.BlkioDeviceWriteIOps = []InspectRate{}, []InspectRate{}, []InspectRate{}, []InspectRate{}
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
	h.BlkioWeight = deref(io.Weight)
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
