// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"slices"
	"strings"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/image/v5/manifest"
)

// SpecGenerator describes a container in the words of podman's API, which makes one of such a description
// (libpod, POST /containers/create). A field that is left alone is the engine's choice.
type SpecGenerator struct {
	Name              string            `json:"name,omitempty"`
	Entrypoint        []string          `json:"entrypoint,omitempty"`
	Command           []string          `json:"command,omitempty"`
	Env               map[string]string `json:"env,omitempty"`
	Terminal          bool              `json:"terminal,omitempty"`
	Stdin             bool              `json:"stdin,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	Annotations       map[string]string `json:"annotations,omitempty"`
	StopSignal        int               `json:"stop_signal,omitempty"`
	StopTimeout       uint              `json:"stop_timeout"`      // seconds
	Timeout           uint              `json:"timeout,omitempty"` // seconds
	LogConfiguration  *SpecLog          `json:"log_configuration,omitempty"`
	ConmonPidFile     string            `json:"conmon_pid_file,omitempty"`
	PidFile           string            `json:"pidfile,omitempty"`
	RestartPolicy     string            `json:"restart_policy,omitempty"`
	RestartRetries    *uint             `json:"restart_tries,omitempty"`
	OCIRuntime        string            `json:"oci_runtime,omitempty"`
	Systemd           string            `json:"systemd,omitempty"`
	SdNotifyMode      string            `json:"sdnotifyMode,omitempty"`
	PidNS             SpecNamespace     `json:"pidns"`
	UtsNS             SpecNamespace     `json:"utsns"`
	Hostname          string            `json:"hostname,omitempty"`
	Sysctl            map[string]string `json:"sysctl,omitempty"`
	Remove            bool              `json:"remove,omitempty"`
	RemoveImage       bool              `json:"removeImage,omitempty"`
	CreateCommand     []string          `json:"containerCreateCommand,omitempty"`
	Timezone          string            `json:"timezone,omitempty"`
	DependencyCtrs    []string          `json:"dependencyContainers,omitempty"`
	InitContainerType string            `json:"init_container_type"`

	Image             string            `json:"image,omitempty"`
	Rootfs            string            `json:"rootfs,omitempty"`
	RootfsOverlay     bool              `json:"rootfs_overlay,omitempty"`
	VolumesFrom       []string          `json:"volumes_from,omitempty"`
	Init              bool              `json:"init,omitempty"`
	Mounts            []specs.Mount     `json:"mounts,omitempty"`
	Volumes           []SpecVolume      `json:"volumes,omitempty"`
	ImageVolumes      []SpecImageVolume `json:"image_volumes,omitempty"`
	HostDevices       []SpecDevice      `json:"host_device_list,omitempty"`
	IpcNS             SpecNamespace     `json:"ipcns"`
	ShmSize           *int64            `json:"shm_size,omitempty"` // bytes
	WorkDir           string            `json:"work_dir,omitempty"`
	Secrets           []SpecSecret      `json:"secrets,omitempty"`
	EnvSecrets        map[string]string `json:"secret_env,omitempty"`
	ChrootDirectories []string          `json:"chroot_directories,omitempty"`

	Privileged         bool            `json:"privileged,omitempty"`
	User               string          `json:"user,omitempty"`
	Groups             []string        `json:"groups,omitempty"`
	CapAdd             []string        `json:"cap_add,omitempty"`
	CapDrop            []string        `json:"cap_drop,omitempty"`
	SelinuxOpts        []string        `json:"selinux_opts,omitempty"`
	ApparmorProfile    string          `json:"apparmor_profile,omitempty"`
	SeccompProfilePath string          `json:"seccomp_profile_path,omitempty"`
	NoNewPrivileges    bool            `json:"no_new_privileges,omitempty"`
	UserNS             SpecNamespace   `json:"userns"`
	IDMappings         *SpecIDMappings `json:"idmappings,omitempty"`
	Umask              string          `json:"umask,omitempty"`
	ReadOnlyFilesystem bool            `json:"read_only_filesystem,omitempty"`
	Mask               []string        `json:"mask,omitempty"`
	Unmask             []string        `json:"unmask,omitempty"`

	CgroupNS     SpecNamespace `json:"cgroupns"`
	CgroupsMode  string        `json:"cgroups_mode,omitempty"`
	CgroupParent string        `json:"cgroup_parent,omitempty"`

	NetNS             SpecNamespace     `json:"netns"`
	PortMappings      []SpecPort        `json:"portmappings,omitempty"`
	PublishImagePorts bool              `json:"publish_image_ports,omitempty"`
	Expose            map[string]string `json:"expose,omitempty"` // port: protocol
	Networks          map[string]any    `json:"Networks"`         // none yet
	DNSServers        []string          `json:"dns_server,omitempty"`
	DNSSearch         []string          `json:"dns_search,omitempty"`
	DNSOptions        []string          `json:"dns_option,omitempty"`
	UseImageHosts     bool              `json:"use_image_hosts"`
	UseImageHostname  bool              `json:"use_image_hostname,omitempty"`
	BaseHostsFile     string            `json:"base_hosts_file,omitempty"`
	HostAdd           []string          `json:"hostadd,omitempty"`

	ResourceLimits *specs.LinuxResources `json:"resource_limits,omitempty"`
	Rlimits        []specs.POSIXRlimit   `json:"r_limits,omitempty"`
	OOMScoreAdj    *int                  `json:"oom_score_adj,omitempty"`
	IntelRdt       *specs.LinuxIntelRdt  `json:"intelRdt,omitempty"`

	HealthConfig        *manifest.Schema2HealthConfig `json:"healthconfig,omitempty"`
	HealthOnFailure     string                        `json:"health_check_on_failure_action,omitempty"`
	StartupHealthConfig *InspectStartupCheck          `json:"startupHealthConfig,omitempty"`
}

// SpecNamespace is whose namespace a container is in: NSMode is private, host, container (Value is its ID), path (Value), or the name of
// a network mode.
type SpecNamespace struct {
	NSMode string `json:"nsmode,omitempty"`
	Value  string `json:"value,omitempty"`
}

// SpecLog is where the output goes.
type SpecLog struct {
	Driver  string            `json:"driver,omitempty"`
	Path    string            `json:"path,omitempty"`
	Size    int64             `json:"size,omitempty"` // bytes
	Options map[string]string `json:"options,omitempty"`
}

// SpecVolume is a volume with a name. The words are podman's.
type SpecVolume struct {
	Name        string
	Dest        string
	Options     []string
	IsAnonymous bool
	SubPath     string
}

// SpecImageVolume is an image that is mounted.
type SpecImageVolume struct {
	Source      string
	Destination string
	ReadWrite   bool
}

// SpecDevice is a device of the host's, HOST[:PATH][:rwm].
type SpecDevice struct {
	Path string `json:"path"`
}

// SpecSecret is one that the container has as a file.
type SpecSecret struct {
	Source string
	Target string
	UID    uint32
	GID    uint32
	Mode   uint32
}

// SpecPort is a published port.
type SpecPort struct {
	HostIP        string `json:"host_ip"`
	ContainerPort uint16 `json:"container_port"`
	HostPort      uint16 `json:"host_port"`
	Range         uint16 `json:"range"`
	Protocol      string `json:"protocol"`
}

// SpecIDMappings are those of the container's user namespace.
type SpecIDMappings struct {
	HostUIDMapping, HostGIDMapping bool
	UIDMap, GIDMap                 []SpecIDMap
}

// SpecIDMap is a range of one.
type SpecIDMap struct {
	ContainerID uint32 `json:"container_id"`
	HostID      uint32 `json:"host_id"`
	Size        uint32 `json:"size"`
}

// SpecGenerator describes the container such that podman's API makes another one like it: of the same name, or, with rename, called as a clone of
// it would be. Its volumes are the container's own. Of a network mode the options are left out, and of a secret all but its name.
func (e *Engine) SpecGenerator(ctx context.Context, c *Container, rename bool) (*SpecGenerator, error) {
	s, err := e.specGenerator(c)
	if err == nil && rename {
		s.Name, err = e.cloneName(ctx, c.State.Name)
	}
	return s, about("describe", c, err)
}

func (e *Engine) specGenerator(c *Container) (*SpecGenerator, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	oci, err := readSpec(c.Dir)
	if err != nil {
		return nil, err
	}
	asked, err := askedOf(cfg)
	if err != nil {
		return nil, err
	}
	h, g := inspectHost(cfg, oci), &cfg.Given
	s := &SpecGenerator{
		Name: c.State.Name, Entrypoint: cfg.Entrypoint, Command: cfg.Cmd, Env: envOf(cfg), Terminal: cfg.Terminal, Stdin: cfg.OpenStdin,
		Labels: cfg.Labels, Annotations: asked.Annotations, StopSignal: cfg.StopSignal, StopTimeout: cfg.StopTimeout, Timeout: cfg.Timeout,
		ConmonPidFile: cfg.MonitorPidFile, PidFile: cfg.PidFile, RestartPolicy: cfg.Restart.Policy, OCIRuntime: cfg.Runtime.Name,
		Systemd: asked.Systemd, SdNotifyMode: or(cfg.SdNotify, notifyByContainer), Hostname: asked.Hostname, Remove: cfg.AutoRemove, RemoveImage: cfg.RemoveImage,
		CreateCommand: cfg.CreateCommand, Timezone: g.Timezone, DependencyCtrs: cfg.Requires,
		PidNS: specNamespace(h.PidMode), UtsNS: specNamespace(h.UTSMode), IpcNS: specNamespace(h.IpcMode), CgroupNS: specNamespace(h.CgroupMode),
		UserNS: specNamespace(cfg.UserNS), NetNS: specNamespace(cfg.Network.Mode),

		VolumesFrom: g.VolumesFrom, Init: cfg.Init, WorkDir: cfg.WorkingDir, ChrootDirectories: g.ChrootDirs,
		Privileged: cfg.Privileged, User: cfg.User, Groups: g.GroupAdd, CapAdd: cfg.CapAdd, CapDrop: cfg.CapDrop, ApparmorProfile: cfg.AppArmor,
		ReadOnlyFilesystem: cfg.ReadOnly, CgroupsMode: cfg.Cgroups, CgroupParent: cfg.CgroupParent,
		PublishImagePorts: g.PublishAll, DNSServers: g.DNS, DNSSearch: g.DNSSearch, DNSOptions: g.DNSOptions,
		UseImageHosts: g.NoHosts, UseImageHostname: g.NoHostname, BaseHostsFile: g.HostsFile, HostAdd: g.AddHosts,
		OOMScoreAdj: asked.OOMScoreAdj, Image: cfg.ImageName,
	}
	if s.Systemd == "" {
		s.Systemd = "true"
	}
	if cfg.Restart.MaxRetries > 0 {
		s.RestartRetries = &cfg.Restart.MaxRetries
	}
	if cfg.Rootfs.Type == record.GivenRootfs {
		s.Image, s.Rootfs, s.RootfsOverlay = "", cfg.Rootfs.Source, cfg.Rootfs.Overlay != nil
	}
	if h.ShmSize != 0 && h.IpcMode != "host" && !strings.HasPrefix(h.IpcMode, "container:") {
		s.ShmSize = &h.ShmSize
	}
	s.LogConfiguration = &SpecLog{Driver: cfg.Log.Driver, Size: cfg.Log.MaxSize}
	if cfg.Log.Tag != "" {
		s.LogConfiguration.Options = map[string]string{"tag": cfg.Log.Tag}
	}
	s.setMounts(cfg)
	s.setSecurity(asked.SecurityOpt)
	s.setHealth(cfg)
	if s.Secrets, s.EnvSecrets, err = specSecrets(asked.Secrets); err != nil {
		return nil, err
	}
	for _, d := range asked.Devices {
		s.HostDevices = append(s.HostDevices, SpecDevice{Path: d})
	}
	for _, p := range cfg.Network.Ports {
		s.PortMappings = append(s.PortMappings, SpecPort{p.HostIP, p.ContainerPort, p.HostPort, 1, p.Protocol})
	}
	for port, protocols := range network.ExposedByNumber(asked.Expose) {
		if s.Expose == nil {
			s.Expose = map[string]string{}
		}
		s.Expose[itoa(int(port))] = strings.Join(protocols, ",")
	}
	for _, u := range cfg.Ulimits {
		s.Rlimits = append(s.Rlimits, specs.POSIXRlimit{Type: u.Name, Hard: uint64(u.Hard), Soft: uint64(u.Soft)})
	}
	s.Umask = asked.Umask
	if l := oci.Linux; l != nil {
		s.ResourceLimits, s.IntelRdt = l.Resources, l.IntelRdt
		if l.Resources != nil { // what devices it may use follows from those that it has
			limits := *l.Resources
			limits.Devices = nil
			s.ResourceLimits = &limits
		}
		for _, sysctl := range asked.Sysctls {
			key, value, _ := strings.Cut(sysctl, "=")
			if s.Sysctl == nil {
				s.Sysctl = map[string]string{}
			}
			s.Sysctl[key] = value
		}
		s.IDMappings = specIDMappings(l)
	}
	return s, nil
}

// specNamespace reads how inspect shows a namespace.
func specNamespace(mode string) SpecNamespace {
	kind, value, _ := strings.Cut(mode, ":")
	switch kind {
	case "":
		return SpecNamespace{NSMode: "default"}
	case "ns":
		return SpecNamespace{NSMode: "path", Value: value}
	case "container", "keep-id", "auto":
		return SpecNamespace{NSMode: kind, Value: value}
	}
	return SpecNamespace{NSMode: kind}
}

// envOf are a container's variables, without those that the engine sets for each.
func envOf(cfg *record.Config) map[string]string {
	env := map[string]string{}
	for _, kv := range cfg.Env {
		if k, v, _ := strings.Cut(kv, "="); k != "HOSTNAME" {
			env[k] = v
		}
	}
	return env
}

func (s *SpecGenerator) setMounts(cfg *record.Config) {
	for _, m := range cfg.Mounts {
		options := slices.Clone(m.Options)
		if !m.RW && !slices.Contains(options, "ro") {
			options = append(options, "ro")
		}
		switch m.Type {
		case "volume":
			s.Volumes = append(s.Volumes, SpecVolume{Name: m.Name, Dest: m.Destination, Options: nonNil(options), SubPath: m.SubPath})
		case "image":
			s.ImageVolumes = append(s.ImageVolumes, SpecImageVolume{Source: or(m.Name, m.Source), Destination: m.Destination, ReadWrite: m.RW})
		default:
			s.Mounts = append(s.Mounts, specs.Mount{Type: m.Type, Source: or(m.Source, m.Type), Destination: m.Destination, Options: options})
		}
	}
}

// setSecurity reads values of --security-opt.
func (s *SpecGenerator) setSecurity(values []string) {
	for _, v := range values {
		key, value, _ := strings.Cut(strings.Replace(v, ":", "=", 1), "=")
		switch key {
		case "seccomp":
			s.SeccompProfilePath = value
		case "label":
			s.SelinuxOpts = append(s.SelinuxOpts, value)
		case "no-new-privileges":
			s.NoNewPrivileges = value != "false"
		case "mask":
			s.Mask = strings.Split(value, ":")
		case "unmask":
			s.Unmask = strings.Split(value, ":")
		}
	}
}

func (s *SpecGenerator) setHealth(cfg *record.Config) {
	if cfg.Health == nil {
		return
	}
	var i InspectConfig
	i.inspectHealth(cfg.Health)
	s.HealthConfig, s.StartupHealthConfig, s.HealthOnFailure = i.Healthcheck, i.StartupHealthCheck, i.HealthcheckOnFailureAction
}

// specSecrets reads values of --secret. Only their names are in a description.
func specSecrets(values []string) (files []SpecSecret, env map[string]string, err error) {
	list, err := parseSecrets(values)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range list {
		if w.Env == "" {
			files = append(files, SpecSecret{Source: w.Source, Target: w.Target, UID: w.UID, GID: w.GID, Mode: w.Mode})
			continue
		}
		if env == nil {
			env = map[string]string{}
		}
		env[w.Env] = w.Source
	}
	return files, env, nil
}

func specIDMappings(l *specs.Linux) *SpecIDMappings {
	if len(l.UIDMappings) == 0 {
		return nil
	}
	of := func(list []specs.LinuxIDMapping) (maps []SpecIDMap) {
		for _, m := range list {
			maps = append(maps, SpecIDMap{m.ContainerID, m.HostID, m.Size})
		}
		return maps
	}
	return &SpecIDMappings{UIDMap: of(l.UIDMappings), GIDMap: of(l.GIDMappings)}
}
