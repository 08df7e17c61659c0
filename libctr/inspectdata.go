// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"time"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	"go.podman.io/image/v5/manifest"
)

// The types of this file are podman's, in names, order and what is left out where it is empty: scripts read them. What podman has for Docker's sake
// alone, and never fills in, is a field that stays as it is made; each is marked "unused".

// InspectData is all that there is to know of a container.
type InspectData struct {
	ID                      string `json:"Id"`
	Created                 time.Time
	Path                    string
	Args                    []string
	State                   InspectState
	Image                   string
	ImageDigest             string
	ImageName               string
	Rootfs                  string
	Pod                     string
	ResolvConfPath          string
	HostnamePath            string
	HostsPath               string
	StaticDir               string
	OCIConfigPath           string `json:",omitempty"`
	OCIRuntime              string `json:",omitempty"`
	ConmonPidFile           string
	PidFile                 string
	LogPath                 string // Docker's
	Name                    string
	RestartCount            uint
	Driver                  string
	MountLabel              string
	ProcessLabel            string
	AppArmorProfile         string
	EffectiveCaps           []string
	BoundingCaps            []string
	ExecIDs                 []string
	GraphDriver             InspectDriver
	SizeRw                  *int64 `json:",omitempty"` // bytes, if they were asked for; see Engine.Size
	SizeRootFs              int64  `json:",omitempty"`
	Mounts                  []record.Mount
	Dependencies            []string
	NetworkSettings         InspectNetwork
	Namespace               string
	IsInfra                 bool
	IsService               bool
	KubeExitCodePropagation string
	LockNumber              uint64 `json:"lockNumber"` // inode of the container's lock, as /proc/locks has it; 0 is a container that had none since the host's start
	Config                  InspectConfig
	HostConfig              InspectHostConfig
	UseImageHosts           bool // its /etc/hosts is the image's
	UseImageHostname        bool // the same for /etc/hostname
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
	ConmonPid    int `json:",omitempty"` // the monitor's
	ExitCode     int
	Error        string
	StartedAt    time.Time
	FinishedAt   time.Time
	Health       *record.Health `json:",omitempty"`
	Checkpointed bool           `json:",omitempty"`
	CgroupPath   string         `json:",omitempty"`
	// The two times are zero, and not left out, where there was none.
	CheckpointedAt time.Time
	RestoredAt     time.Time
	CheckpointLog  string `json:",omitempty"`
	CheckpointPath string `json:",omitempty"`
	RestoreLog     string `json:",omitempty"`
	Restored       bool   `json:",omitempty"`
	StoppedByUser  bool   `json:",omitempty"`
}

// Healthcheck is Health, by the name that it had in podman's templates before.
func (s InspectState) Healthcheck() *record.Health { return s.Health }

// InspectDriver names the storage driver and its directories.
type InspectDriver struct {
	Name string
	Data map[string]string
}

// InspectBasicNetworkConfig are a container's addresses in one network. Those of pasta and slirp4netns are the host's, and not listed.
type InspectBasicNetworkConfig struct {
	EndpointID             string // unused
	Gateway                string
	IPAddress              string
	IPPrefixLen            int
	SecondaryIPAddresses   []InspectAddress `json:",omitempty"`
	IPv6Gateway            string
	GlobalIPv6Address      string
	GlobalIPv6PrefixLen    int
	SecondaryIPv6Addresses []InspectAddress `json:",omitempty"`
	MacAddress             string
	AdditionalMacAddresses []string `json:"AdditionalMACAddresses,omitempty"`
}

// InspectAddress is an IP address in a network.
type InspectAddress struct {
	Addr         string
	PrefixLength int
}

// InspectNetwork says how a container is connected.
type InspectNetwork struct {
	InspectBasicNetworkConfig

	Bridge                 string // unused
	SandboxID              string // unused
	HairpinMode            bool   // unused
	LinkLocalIPv6Address   string // unused
	LinkLocalIPv6PrefixLen int    // unused
	Ports                  map[string][]network.HostPort
	SandboxKey             string
	// Networks are those that the container shares with others, by name.
	Networks map[string]*InspectAdditionalNetwork `json:",omitempty"`
}

// InspectAdditionalNetwork is the container's part of a network that it shares; without addresses where it does not run.
type InspectAdditionalNetwork struct {
	InspectBasicNetworkConfig

	NetworkID  string            `json:"NetworkID,omitempty"` // its name, as podman has it
	DriverOpts map[string]string // unused
	IPAMConfig map[string]string // unused
	Links      []string          // unused
	Aliases    []string          `json:",omitempty"` // names that the container has there
}

// InspectConfig is what the container's process is given.
type InspectConfig struct {
	Hostname                   string
	DomainName                 string `json:"Domainname"` // unused
	User                       string
	AttachStdin                bool // unused, as the next two
	AttachStdout               bool
	AttachStderr               bool
	Tty                        bool
	OpenStdin                  bool
	StdinOnce                  bool
	Env                        []string
	Cmd                        []string
	Image                      string
	Volumes                    map[string]struct{} // unused
	WorkingDir                 string
	Entrypoint                 []string
	OnBuild                    *string // unused
	Labels                     map[string]string
	Annotations                map[string]string
	StopSignal                 string
	StartupHealthCheck         *InspectStartupCheck          `json:",omitempty"`
	Healthcheck                *manifest.Schema2HealthConfig `json:",omitempty"`
	HealthcheckOnFailureAction string                        `json:",omitempty"`
	HealthLogDestination       string                        `json:",omitempty"`                       // local, events_logger, or a directory
	HealthMaxLogCount          uint                          `json:"HealthcheckMaxLogCount,omitempty"` // 0 is no bound
	HealthMaxLogSize           uint                          `json:"HealthcheckMaxLogSize,omitempty"`  // bytes; 0 is no bound
	CreateCommand              []string                      `json:",omitempty"`
	Timezone                   string                        `json:",omitempty"`
	SystemdMode                bool                          `json:",omitempty"`
	Umask                      string                        `json:",omitempty"`
	Secrets                    []InspectSecret               `json:",omitempty"`
	Timeout                    uint
	StopTimeout                uint
	Passwd                     bool                // its user is listed in /etc/passwd
	ChrootDirs                 []string            `json:",omitempty"`
	SdNotifyMode               string              `json:"sdNotifyMode,omitempty"`
	SdNotifySocket             string              `json:"sdNotifySocket,omitempty"` // where the messages of a container that runs go
	ExposedPorts               map[string]struct{} `json:",omitempty"`               // published or not
}

// InspectStartupCheck is the health check of a container that is still starting.
type InspectStartupCheck struct {
	*manifest.Schema2HealthConfig
	Successes int `json:",omitempty"` // that it takes
}

// InspectIDMappings are the IDs of a container's user namespace: CONTAINER:HOST:SIZE.
type InspectIDMappings struct {
	UIDMap []string `json:"UidMap"`
	GIDMap []string `json:"GidMap"`
}

// InspectHostConfig is how the host confines and serves the container.
type InspectHostConfig struct {
	Binds                []string
	CgroupManager        string `json:",omitempty"`
	CgroupMode           string
	ContainerIDFile      string
	LogConfig            InspectLog
	NetworkMode          string
	PortBindings         map[string][]network.HostPort
	RestartPolicy        InspectRestart
	AutoRemove           bool
	AutoRemoveImage      bool
	Annotations          map[string]string
	VolumeDriver         string // unused
	VolumesFrom          []string
	CapAdd               []string
	CapDrop              []string
	Dns                  []string
	DnsOptions           []string
	DnsSearch            []string
	ExtraHosts           []string
	HostsFile            string // that /etc/hosts was to begin with
	GroupAdd             []string
	IpcMode              string
	Cgroup               string // unused
	Cgroups              string
	Links                []string // unused
	OomScoreAdj          int
	PidMode              string
	Privileged           bool
	PublishAllPorts      bool
	ReadonlyRootfs       bool
	SecurityOpt          []string
	Tmpfs                map[string]string
	UTSMode              string
	UsernsMode           string
	IDMappings           *InspectIDMappings `json:",omitempty"`
	ShmSize              int64
	Storage              string  `json:",omitempty"` // memory[:size=BYTES]: where the layer is in memory
	Runtime              string  // unused: always oci; see InspectData.OCIRuntime
	ConsoleSize          [2]uint // unused
	Isolation            string  // unused
	CpuShares            uint64
	Memory               int64
	NanoCpus             int64
	CgroupParent         string
	BlkioWeight          uint16
	BlkioWeightDevice    []InspectWeight
	BlkioDeviceReadBps   []InspectRate
	BlkioDeviceWriteBps  []InspectRate
	BlkioDeviceReadIOps  []InspectRate
	BlkioDeviceWriteIOps []InspectRate
	CpuPeriod            uint64
	CpuQuota             int64
	CpuRealtimePeriod    uint64
	CpuRealtimeRuntime   int64
	CpusetCpus           string
	CpusetMems           string
	Devices              []InspectDevice // as root: without, they are bound, and privileged containers have all of them
	DiskQuota            uint64          // unused
	KernelMemory         int64           // unused
	MemoryReservation    int64
	MemorySwap           int64
	MemorySwappiness     int64
	OomKillDisable       bool
	Init                 bool `json:",omitempty"`
	PidsLimit            int64
	Ulimits              []record.Ulimit
	CpuCount             uint64 // unused, as the next three: Windows has them
	CpuPercent           uint64
	IOMaximumIOps        uint64
	IOMaximumBandwidth   uint64
	CgroupConf           map[string]string
	IntelRdtClosID       string `json:",omitempty"`
}

// InspectDevice is a device that a container was given.
type InspectDevice struct {
	PathOnHost        string
	PathInContainer   string
	CgroupPermissions string // unused
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
	Config map[string]string // unused
	Path   string
	Tag    string
	Size   string
}

// InspectRestart is the restart policy.
type InspectRestart struct {
	Name              string
	MaximumRetryCount uint
}
