// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/version"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/rootless"
	selinux "github.com/opencontainers/selinux/go-selinux"
	"golang.org/x/sys/unix"
)

// Info describes the engine and its host. The fields and their names in JSON and YAML are podman's.
type Info struct {
	Host       HostInfo       `json:"host"`
	Store      StoreInfo      `json:"store"`
	Registries map[string]any `json:"registries"`
	Plugins    PluginInfo     `json:"plugins"`
	Config     ConfigInfo     `json:"config"` // podman has none
	Version    VersionInfo    `json:"version"`
}

// PluginInfo names the drivers that there are.
type PluginInfo struct {
	Volume        []string `json:"volume"`
	Network       []string `json:"network"`
	Log           []string `json:"log"`
	Authorization []string `json:"authorization"`
}

// NetworkBackend says what connects containers to networks.
type NetworkBackend struct {
	Backend        string     `json:"backend"`
	Version        string     `json:"version,omitempty"`
	Package        string     `json:"package,omitempty"`
	Path           string     `json:"path,omitempty"`
	DNS            DNSBackend `json:"dns"`
	DefaultNetwork string     `json:"defaultNetwork"`
}

// DNSBackend says what answers containers that ask for names.
type DNSBackend struct {
	Version string `json:"version,omitempty"`
	Package string `json:"package,omitempty"`
	Path    string `json:"path,omitempty"`
}

// RemoteSocket is where an API would be served.
type RemoteSocket struct {
	Path   string `json:"path,omitempty"`
	Exists bool   `json:"exists"`
}

// HostInfo is the host's part of Info.
type HostInfo struct {
	Arch              string       `json:"arch"`
	CgroupControllers []string     `json:"cgroupControllers"`
	CgroupManager     string       `json:"cgroupManager"`
	CgroupsVersion    string       `json:"cgroupVersion"`
	Conmon            ProgramInfo  `json:"conmon"` // berth-monitor
	CPUs              int          `json:"cpus"`
	DatabaseBackend   string       `json:"databaseBackend"`
	Distribution      Distribution `json:"distribution"`
	EventLogger       string       `json:"eventLogger"`
	Hostname          string       `json:"hostname"`
	IDMappings        IDMappings   `json:"idMappings"`
	Kernel            string       `json:"kernel"`
	LogDriver         string       `json:"logDriver"`
	MemFree           int64        `json:"memFree"`
	MemTotal          int64        `json:"memTotal"`
	NetworkBackend    string       `json:"networkBackend"`
	OCIRuntime        ProgramInfo  `json:"ociRuntime"`
	OS                string       `json:"os"`
	Pasta             ProgramInfo  `json:"pasta"`
	Security          SecurityInfo `json:"security"`
	ServiceIsRemote   bool         `json:"serviceIsRemote"`
	Slirp4NetNS       ProgramInfo  `json:"slirp4netns"`
	SwapFree          int64        `json:"swapFree"`
	SwapTotal         int64        `json:"swapTotal"`
	Uptime            string       `json:"uptime"`

	BuildahVersion        string          `json:"buildahVersion"`
	CPUUtilization        *CPUUtilization `json:"cpuUtilization,omitempty"`
	EmulatedArchitectures []string        `json:"emulatedArchitectures,omitempty"`
	FreeLocks             *uint32         `json:"freeLocks,omitempty"` // nil: they are not numbered
	Linkmode              string          `json:"linkmode"`
	NetworkBackendInfo    NetworkBackend  `json:"networkBackendInfo"`
	RemoteSocket          *RemoteSocket   `json:"remoteSocket,omitempty"`
	RootlessNetworkCmd    string          `json:"rootlessNetworkCmd"`
	RuntimeInfo           map[string]any  `json:"runtimeInfo,omitempty"`
	Variant               string          `json:"variant"`
}

// ProgramInfo names a program that Berth works with; empty where it is not installed.
type ProgramInfo struct {
	Name       string `json:"name,omitempty"`
	Executable string `json:"executable,omitempty"`
	Package    string `json:"package,omitempty"`
	Path       string `json:"path,omitempty"`
	Version    string `json:"version"`
}

// Distribution is from /etc/os-release.
type Distribution struct {
	Codename     string `json:"codename,omitempty"`
	Distribution string `json:"distribution"`
	Variant      string `json:"variant,omitempty"`
	Version      string `json:"version"`
}

// IDMappings are those of the user namespace; empty for root.
type IDMappings struct {
	GIDMap []IDMapping `json:"gidmap"`
	UIDMap []IDMapping `json:"uidmap"`
}

// IDMapping is one range.
type IDMapping struct {
	ContainerID uint32 `json:"container_id"`
	HostID      uint32 `json:"host_id"`
	Size        uint32 `json:"size"`
}

// SecurityInfo says what confines containers.
type SecurityInfo struct {
	AppArmorEnabled     bool   `json:"apparmorEnabled"`
	DefaultCapabilities string `json:"capabilities"`
	Rootless            bool   `json:"rootless"`
	SECCOMPEnabled      bool   `json:"seccompEnabled"`
	SECCOMPProfilePath  string `json:"seccompProfilePath"`
	SELinuxEnabled      bool   `json:"selinuxEnabled"`
}

// StoreInfo is the store's part of Info.
type StoreInfo struct {
	ConfigFile         string            `json:"configFile"`
	ContainerStore     ContainerCounts   `json:"containerStore"`
	GraphDriverName    string            `json:"graphDriverName"`
	GraphDriverReason  string            `json:"graphDriverReason,omitempty"` // who chose it
	GraphOptions       map[string]string `json:"graphOptions"`
	GraphRoot          string            `json:"graphRoot"`
	GraphRootReason    string            `json:"graphRootReason,omitempty"` // where it is not what storage.conf says
	GraphRootAllocated uint64            `json:"graphRootAllocated"`
	GraphRootUsed      uint64            `json:"graphRootUsed"`
	GraphStatus        map[string]string `json:"graphStatus"`
	ImageCopyTmpDir    string            `json:"imageCopyTmpDir"`
	ImageStore         Count             `json:"imageStore"`
	RunRoot            string            `json:"runRoot"`
	VolumePath         string            `json:"volumePath"`
	TransientStore     bool              `json:"transientStore"`
}

// Count is a number of things.
type Count struct {
	Number int `json:"number"`
}

// ContainerCounts are numbers of containers.
type ContainerCounts struct {
	Number  int `json:"number"`
	Paused  int `json:"paused"`
	Running int `json:"running"`
	Stopped int `json:"stopped"`
}

// VersionInfo is what this program was built from.
type VersionInfo struct {
	APIVersion string `json:"APIVersion"`
	Built      int64  `json:"Built"`
	BuiltTime  string `json:"BuiltTime"`
	GitCommit  string `json:"GitCommit"`
	GoVersion  string `json:"GoVersion"`
	OsArch     string `json:"OsArch"`
	Version    string `json:"Version"`

	Os          string `json:"Os"`
	BuildOrigin string `json:"BuildOrigin,omitempty"`
}

// Info gathers what there is to know of engine and host.
func (e *Engine) Info(ctx context.Context) (*Info, error) {
	store, err := e.storeInfo(ctx)
	if err != nil {
		return nil, err
	}
	host, err := e.hostInfo(ctx)
	if err != nil {
		return nil, err
	}
	conf, err := e.configInfo()
	if err != nil {
		return nil, err
	}
	return &Info{
		Host: *host, Store: *store, Config: *conf,
		Registries: e.registries(),
		Plugins:    PluginInfo{Log: []string{"k8s-file", "json-file", record.Journald, "none", "passthrough"}, Network: []string{"bridge", "macvlan", "ipvlan", "pasta", "slirp4netns"}, Volume: []string{"local"}, Authorization: []string{}},
		Version:    VersionInfo{APIVersion: version.Podman, Os: runtime.GOOS, BuildOrigin: "Berth " + version.Version, Version: version.Version, GitCommit: version.Commit, GoVersion: runtime.Version(), OsArch: runtime.GOOS + "/" + runtime.GOARCH},
	}, nil
}

func (e *Engine) hostInfo(ctx context.Context) (*HostInfo, error) {
	cg, err := e.cgroups()
	if err != nil {
		return nil, err
	}
	conf, err := e.conf()
	if err != nil {
		return nil, err
	}
	h := &HostInfo{
		Arch: runtime.GOARCH, OS: runtime.GOOS, CgroupManager: cg.manager, CgroupsVersion: "v1", CgroupControllers: cg.controllers(e.Rootless()), CPUs: runtime.NumCPU(),
		DatabaseBackend: "files", EventLogger: e.eventsBackend(), Kernel: KernelVersion(), LogDriver: e.defaultLogDriver(conf), NetworkBackend: "cni",
		Uptime: sinceBoot().Round(time.Second).String(), Distribution: distribution(),
	}
	if cg.v2 {
		h.CgroupsVersion = "v2"
	}
	if h.Hostname, err = os.Hostname(); err != nil {
		return nil, err
	}
	if p, err := monitorPath(e.opts.Program); err == nil {
		h.Conmon = ProgramInfo{Path: p, Version: version.Version}
	}
	if r, err := e.Runtime(ctx, ""); err == nil {
		h.OCIRuntime = ProgramInfo{Name: r.Name, Path: r.Path, Version: r.Version}
	}
	h.Pasta, h.Slirp4NetNS = programInfo(ctx, "pasta"), programInfo(ctx, "slirp4netns")
	h.BuildahVersion, h.CPUUtilization, h.EmulatedArchitectures, h.Linkmode = moduleVersion("go.podman.io/buildah"), cpuUtilization(), emulated(), "dynamic"
	h.RootlessNetworkCmd, h.RuntimeInfo, h.RemoteSocket = "pasta", map[string]any{}, &RemoteSocket{}
	if h.Pasta.Executable == "" && h.Slirp4NetNS.Executable != "" {
		h.RootlessNetworkCmd = "slirp4netns"
	}
	packages := packagesOf(ctx, h.Conmon.Path, h.OCIRuntime.Path, h.Pasta.Executable, h.Slirp4NetNS.Executable)
	for path, p := range map[string]*ProgramInfo{h.Conmon.Path: &h.Conmon, h.OCIRuntime.Path: &h.OCIRuntime, h.Pasta.Executable: &h.Pasta, h.Slirp4NetNS.Executable: &h.Slirp4NetNS} {
		p.Package = packages[path]
	}
	h.NetworkBackendInfo = NetworkBackend{Backend: h.NetworkBackend, DefaultNetwork: network.DefaultNetwork}
	if p, err := helperPath(e.opts.Program, "berth-net"); err == nil {
		h.NetworkBackendInfo.Path, h.NetworkBackendInfo.Version = p, version.Version
		h.NetworkBackendInfo.DNS = DNSBackend{Path: p, Version: version.Version}
	}
	if e.Rootless() {
		uids, gids, err := rootless.IDMaps()
		if err != nil {
			return nil, err
		}
		h.IDMappings = IDMappings{UIDMap: mappings(uids), GIDMap: mappings(gids)}
	}
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) == nil {
		u := int64(si.Unit)
		h.MemFree, h.MemTotal, h.SwapFree, h.SwapTotal = int64(si.Freeram)*u, int64(si.Totalram)*u, int64(si.Freeswap)*u, int64(si.Totalswap)*u
	}
	h.Security = SecurityInfo{
		Rootless: e.Rootless(), SECCOMPEnabled: true, SECCOMPProfilePath: conf.Containers.SeccompProfile,
		DefaultCapabilities: strings.Join(conf.Containers.DefaultCapabilities.Get(), ","),
		AppArmorEnabled:     appArmorOn(), SELinuxEnabled: selinux.GetEnabled(),
	}
	return h, nil
}

func mappings(maps []rootless.IDMap) []IDMapping {
	var list []IDMapping
	for _, m := range maps {
		list = append(list, IDMapping{ContainerID: m.Inside, HostID: m.Outside, Size: m.Size})
	}
	return list
}

func programInfo(ctx context.Context, name string) ProgramInfo {
	path, err := exec.LookPath(name)
	if err != nil {
		return ProgramInfo{}
	}
	out, _ := exec.CommandContext(ctx, path, "--version").Output() // what it is called matters more
	return ProgramInfo{Executable: path, Version: string(bytes.TrimSpace(out))}
}

func distribution() Distribution {
	d := Distribution{Distribution: "unknown", Version: "unknown"}
	data, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return d
	}
	for line := range strings.Lines(string(data)) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), "=")
		v = strings.Trim(v, `"'`)
		switch k {
		case "ID":
			d.Distribution = v
		case "VERSION_ID":
			d.Version = v
		case "VARIANT_ID":
			d.Variant = v
		case "VERSION_CODENAME":
			d.Codename = v
		}
	}
	return d
}

func fileSays(path, word string) bool {
	data, err := os.ReadFile(path)
	return err == nil && strings.HasPrefix(string(data), word)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (e *Engine) storeInfo(ctx context.Context) (*StoreInfo, error) {
	store, err := e.Store()
	if err != nil {
		return nil, err
	}
	status, err := store.Status()
	if err != nil {
		return nil, err
	}
	s := &StoreInfo{
		ConfigFile: storageConfFile(), GraphDriverName: e.storeOpts.GraphDriverName, GraphDriverReason: e.storeConf.driverReason, GraphRootReason: e.storeConf.rootReason, GraphOptions: map[string]string{}, GraphRoot: e.storeOpts.GraphRoot,
		GraphStatus: map[string]string{}, RunRoot: e.storeOpts.RunRoot, VolumePath: filepath.Join(e.data, "volumes"), ImageCopyTmpDir: or(os.Getenv("TMPDIR"), "/var/tmp"),
	}
	for _, kv := range status {
		s.GraphStatus[kv[0]] = kv[1]
	}
	for _, o := range e.storeOpts.GraphDriverOptions {
		k, v, _ := strings.Cut(o, "=")
		s.GraphOptions[k] = v
	}
	var fs unix.Statfs_t
	if unix.Statfs(e.storeOpts.GraphRoot, &fs) == nil {
		s.GraphRootAllocated = fs.Blocks * uint64(fs.Bsize)
		s.GraphRootUsed = (fs.Blocks - fs.Bfree) * uint64(fs.Bsize)
	}
	images, err := store.Images()
	if err != nil {
		return nil, err
	}
	s.ImageStore.Number = len(images)
	list, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	s.ContainerStore.Number = len(list)
	for _, c := range list {
		switch c.State.Status {
		case record.Running:
			s.ContainerStore.Running++
		case record.Paused:
			s.ContainerStore.Paused++
		default:
			s.ContainerStore.Stopped++
		}
	}
	return s, nil
}
