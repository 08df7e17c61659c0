// SPDX-License-Identifier: Apache-2.0

// Package record defines what Berth keeps of a container on disk, and where.
//
// A container has two directories, named after its 64-digit ID:
//
//	Dir     what lasts: config.json, state.json, bundle/, hosts, resolv.conf, …
//	RunDir  what ends with the boot: lock, ctl.sock, FIFOs, pid files
//
// For a container made with --rm both are the same directory below the
// runtime directory, so that a reboot removes it whole.
//
// The package is linked into the monitor: it imports the standard library's
// leanest parts only.
package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/held"
	"github.com/berth-containers/berth/libctr/volplugin"
	"github.com/berth-containers/berth/network/attach"
	"golang.org/x/sys/unix"
)

// Version is written into every record. Readers accept it and the two before it.
//
//	2	a container has a list of attachments and of network helpers, instead of one
const Version = 2

// Names of the files in a container's directories.
const (
	ConfigFile   = "config.json" // Dir: Config; replaced only by rename
	StateFile    = "state.json"  // Dir: State; replaced by the lock's holder
	BundleDir    = "bundle"      // Dir: OCI bundle (config.json, rootfs mount point)
	LockFile     = "lock"        // RunDir: flock(2), held by the monitor while it lives
	SocketFile   = "ctl.sock"    // RunDir: the monitor's socket, see package ctl
	PidFile      = "pid"         // RunDir: written by the OCI runtime
	NetNSFile    = "netns"       // RunDir: see Config.NetNSPath
	SecretsDir   = "secrets"     // Dir: the files of Supervised.Secrets, by their number
	NotifyDir    = "notify"      // RunDir: the container's /run/notify, with a socket for its messages to systemd
	NotifyToFile = "notify-to"   // RunDir: where those go
	LogPosFile   = "log.pos"     // RunDir: where the log's current file begins, see package logfile
)

// Names in Dir's BundleDir of what CRIU writes. Podman has the same.
const (
	CheckpointDir    = "checkpoint"     // the last complete checkpoint
	PreCheckpointDir = "pre-checkpoint" // memory, for one that has only what has changed since
	DumpLog          = "dump.log"
	RestoreLog       = "restore.log"
	DumpStats        = "stats-dump"
	RestoreStats     = "stats-restore"
)

// Config is everything about a container that its creation decided.
type Config struct {
	Supervised

	// What inspect shows and restart needs.
	Annotations   map[string]string `json:"annotations,omitempty"`
	Entrypoint    []string          `json:"entrypoint,omitempty"` // as in the image or --entrypoint
	Cmd           []string          `json:"cmd,omitempty"`
	CreateCommand []string          `json:"createCommand,omitempty"` // argv of the CLI
	Hostname      string            `json:"hostname,omitempty"`
	User          string            `json:"user,omitempty"`
	WorkingDir    string            `json:"workingDir,omitempty"`
	Env           []string          `json:"env,omitempty"`
	SecretEnv     []string          `json:"secretEnv,omitempty"` // names of variables that are secrets: only the OCI spec has their values
	Mounts        []Mount           `json:"mounts,omitempty"`
	CapAdd        []string          `json:"capAdd,omitempty"`
	CapDrop       []string          `json:"capDrop,omitempty"`
	SecurityOpt   []string          `json:"securityOpt,omitempty"`
	AppArmor      string            `json:"appArmor,omitempty"`     // profile; empty is none
	ProcessLabel  string            `json:"processLabel,omitempty"` // SELinux's; empty is none
	MountLabel    string            `json:"mountLabel,omitempty"`   // of its files
	Ulimits       []Ulimit          `json:"ulimits,omitempty"`
	ReadOnly      bool              `json:"readOnly,omitempty"`
	Privileged    bool              `json:"privileged,omitempty"`
	Init          bool              `json:"init,omitempty"`
	Memory        int64             `json:"memory,omitempty"`     // bytes; 0 is no limit
	MemorySwap    int64             `json:"memorySwap,omitempty"` // bytes of memory and swap; 0 is unset
	NanoCPUs      int64             `json:"nanoCPUs,omitempty"`   // 1e9 is one CPU
	PidsLimit     int64             `json:"pidsLimit,omitempty"`  // as asked for: 0 is nothing, -1 no limit
	UserNS        string            `json:"userns,omitempty"`     // --userns as given
	LimitsIgnored bool              `json:"limitsIgnored,omitempty"`
	Cgroups       string            `json:"cgroups,omitempty"`      // --cgroups as given
	CgroupParent  string            `json:"cgroupParent,omitempty"` // --cgroup-parent as given
	Requires      []string          `json:"requires,omitempty"`     // IDs of containers that are started first
	RemoveImage   bool              `json:"removeImage,omitempty"`
	SdNotify      string            `json:"sdNotify,omitempty"` // --sdnotify: container (or empty), conmon, healthy, ignore
	IDFile        string            `json:"idFile,omitempty"`   // --cidfile, an absolute path
	Exposed       []string          `json:"exposed,omitempty"`  // PORT/PROTOCOL of the image and --expose, published or not
	Given         Given             `json:"given,omitzero"`
	Asked         json.RawMessage   `json:"asked,omitempty"` // libctr.CreateOptions, as far as another container can be made with them
}

// Given is what was asked for when the container was made, and became files, mounts and namespaces of it: inspect shows it.
type Given struct {
	DNS         []string `json:"dns,omitempty"`
	DNSSearch   []string `json:"dnsSearch,omitempty"`
	DNSOptions  []string `json:"dnsOptions,omitempty"`
	AddHosts    []string `json:"addHosts,omitempty"`
	HostsFile   string   `json:"hostsFile,omitempty"`
	NoHosts     bool     `json:"noHosts,omitempty"`
	NoHostname  bool     `json:"noHostname,omitempty"`
	PublishAll  bool     `json:"publishAll,omitempty"`
	GroupAdd    []string `json:"groupAdd,omitempty"`
	NoPasswd    bool     `json:"noPasswd,omitempty"`
	VolumesFrom []string `json:"volumesFrom,omitempty"`
	Timezone    string   `json:"timezone,omitempty"`
	ChrootDirs  []string `json:"chrootDirs,omitempty"`
	Systemd     bool     `json:"systemd,omitempty"`    // it was prepared for systemd, asked for or not
	PrivateIPC  bool     `json:"privateIPC,omitempty"` // --ipc private, not shareable
}

// Supervised is what the monitor reads of a Config. The rest costs each monitor 45 KiB: encoding/json
// prepares all of a type that it decodes.
type Supervised struct {
	Version int       `json:"version"`
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	Created time.Time `json:"created"`

	ImageName   string `json:"imageName,omitempty"`   // as resolved: docker.io/library/nginx:latest
	ImageID     string `json:"imageID,omitempty"`     // hex digest of the image's config
	ImageDigest string `json:"imageDigest,omitempty"` // of its manifest

	Dir    string `json:"dir"`    // see the package comment
	RunDir string `json:"runDir"` // see the package comment
	Data   string `json:"data"`   // GRAPHROOT/berth: containers/ID there is the Dir of other containers

	Rootfs  Rootfs  `json:"rootfs"`
	Stage   string  `json:"stage,omitempty"`  // directory of the host's below which the monitor mounts it, in its own mount namespace; empty is the bundle
	Passwd  string  `json:"passwd,omitempty"` // lines that its /etc/passwd gets where it lists no such user
	Group   string  `json:"group,omitempty"`  // the same for /etc/group
	Runtime Runtime `json:"runtime"`

	Binds   []Bind   `json:"binds,omitempty"`   // of the user's paths
	Secrets *Secrets `json:"secrets,omitempty"` // nil is none that are files
	Volumes []Volume `json:"volumes,omitempty"` // that are mounts
	MakeDir *MakeDir `json:"makeDir,omitempty"` // nil is none, or one that the runtime makes
	NeedDir *NeedDir `json:"needDir,omitempty"` // without which the container does not start; nil is none

	Terminal   bool `json:"terminal,omitempty"`
	OpenStdin  bool `json:"openStdin,omitempty"` // -i: keep stdin open although nobody is attached
	StdinOnce  bool `json:"stdinOnce,omitempty"` // close stdin when the first client that gave it leaves
	AutoRemove bool `json:"autoRemove,omitempty"`

	Log         Log               `json:"log"`
	Restart     Restart           `json:"restart"`
	StopSignal  int               `json:"stopSignal"`            // zero is SIGTERM
	StopTimeout uint              `json:"stopTimeout"`           // seconds before SIGKILL
	Timeout     uint              `json:"timeout,omitempty"`     // seconds the container may run; zero is no limit
	Health      *Healthcheck      `json:"healthcheck,omitempty"` // nil is none
	Network     Network           `json:"network"`
	Joins       map[string]string `json:"joins,omitempty"`      // kinds of namespaces (as in /proc/PID/ns) that are another container's, with its ID; see JoinPath
	CgroupPath  string            `json:"cgroupPath,omitempty"` // as asked of the runtime; empty where no cgroup is made
	Cleanup     []string          `json:"cleanup"`              // argv with which the monitor has a --rm container removed
	EventsLog   string            `json:"eventsLog,omitempty"`  // file to append events to; empty is none

	PidFile        string `json:"pidFile,omitempty"`        // --pidfile, an absolute path
	MonitorPidFile string `json:"monitorPidFile,omitempty"` // --conmon-pidfile

	Labels  map[string]string `json:"labels,omitempty"`
	Command []string          `json:"command"` // entrypoint and arguments as run
}

// JoinPath is the link that leads, while the container runs, to a namespace of Joins. The monitor makes it at each start.
func JoinPath(runDir, kind string) string { return filepath.Join(runDir, "ns-"+kind) }

// NetNSPath is the file on which the monitor mounts the container's network namespace, for
// itself and its children only. It holds RunDir, and is there while the monitor is.
func (c *Supervised) NetNSPath() string {
	if c.Network.Path != "" {
		return c.Network.Path
	}
	return filepath.Join(c.RunDir, NetNSFile)
}

// Rootfs says how the monitor makes the container's root file system appear at
// Dir/bundle/rootfs, in its own mount namespace.
type Rootfs struct {
	// Type is "overlay" (kernel), "fuse" (Program mounts it), "bind" (Source, e.g. a vfs layer) or GivenRootfs.
	Type    string `json:"type"`
	Source  string `json:"source,omitempty"`  // bind and given: the directory
	Workdir string `json:"workdir,omitempty"` // overlay: directory that relative paths in Options start from
	Options string `json:"options,omitempty"` // overlay and fuse: mount data (lowerdir=l/…,upperdir=…)
	Program string `json:"program,omitempty"` // fuse: e.g. /usr/bin/fuse-overlayfs
	Layer   string `json:"layer,omitempty"`   // ID of the container's layer where containers/storage has made it
	// Writable is the directory of the container's layer where Berth has made it (package writable): diff is overlay's upperdir. A container that
	// writes to a directory of the user's has one without that.
	Writable   string         `json:"writable,omitempty"`
	Links      bool           `json:"links,omitempty"`   // given: as Bind.Links
	Overlay    *Overlay       `json:"overlay,omitempty"` // given: as Bind.Overlay, with directories in Writable
	UIDs, GIDs []held.IDRange `json:",omitempty"`        // given: the owners of files, where they are mapped
	Memory     *Memory        `json:"memory,omitempty"`  // overlay and fuse: where what is written is kept in memory
}

// Memory is a tmpfs that is mounted with an overlay, and has its upperdir and workdir.
type Memory struct {
	At   string `json:"at"`             // where it is mounted, beside the upperdir that the overlay would have on the disk
	Size int64  `json:"size,omitempty"` // in bytes; 0 is tmpfs's own, half of the host's memory
}

// GivenRootfs is the type of a root file system that is a directory of the user's, and no image's. The engine never removes anything of it.
const GivenRootfs = "given"

// Bind is a path of the host's, or an image, that the container has mounted. The monitor mounts it at At in its own mount namespace while the runtime
// makes the container, and the OCI spec has At as the source.
type Bind struct {
	Source string `json:"source"`           // absolute and clean
	At     string `json:"at"`               // below no directory that is ever removed with what is in it
	Links  bool   `json:"links,omitempty"`  // it led through symbolic links when the container was made, and may do so
	Volume string `json:"volume,omitempty"` // which has the source as its device: it is that one's making that counts

	Image   *Rootfs  `json:"image,omitempty"`   // in place of Source
	Subpath string   `json:"subpath,omitempty"` // what of it is mounted; empty is all
	Overlay *Overlay `json:"overlay,omitempty"` // nil: the container writes to the source itself
}

// Overlay is where a container writes in place of the source of a bind.
type Overlay struct {
	Dir         string `json:"dir,omitempty"` // on a disk; gets the two below, which are empty at each start
	Upper, Work string // given by the user: absolute and clean
	Program     string `json:"program,omitempty"` // fuse-overlayfs in place of the kernel
	UserXattr   bool   `json:"userxattr,omitempty"`
}

// Volume is one that is a mount of its own, not a directory. The monitor mounts it at At in its own mount namespace while the runtime makes the
// container, unless another container that runs has it: then it is that one's.
type Volume struct {
	Name        string            `json:"name"`
	At          string            `json:"at"`               // as Bind.At
	Destination string            `json:"destination"`      // in the container; empty where it has only a part of it or an overlay on it, which are Binds of At
	Args        []string          `json:"args"`             // mount(8) and its arguments but for the last
	Plugin      *volplugin.Client `json:"plugin,omitempty"` // mounts it, in place of Args
	Users       string            `json:"users"`            // directory with a file of each container that runs and has it

	From    string `json:"from,omitempty"`    // directory in the container of whose files it takes copies, where it is mounted and empty
	Until   string `json:"until,omitempty"`   // file that is there until it has; empty: as often as it is mounted
	Furnish bool   `json:"furnish,omitempty"` // it takes that directory's owner and mode too
	GiveTo  *Owner `json:"giveTo,omitempty"`  // whom all of it is given to
}

// Owner is a user and a group, as the monitor's user namespace has them.
type Owner struct{ UID, GID uint32 }

// Secrets are those that the container has as files. The monitor copies them from Dir/secrets into a tmpfs while the runtime makes the container,
// and the OCI spec has the files there as sources, by their number.
type Secrets struct {
	At      string   `json:"at"`      // of the tmpfs, as Bind.At
	Options string   `json:"options"` // mount data
	Files   []Secret `json:"files"`
}

// Secret is one of them.
type Secret struct {
	Name    string `json:"name"`
	ID      string `json:"id"`
	UID     uint32 `json:"uid,omitempty"` // as the container sees it
	GID     uint32 `json:"gid,omitempty"`
	Mode    uint32 `json:"mode"`
	HostUID uint32 `json:"hostUID,omitempty"` // as the monitor sees it
	HostGID uint32 `json:"hostGID,omitempty"`
}

// MakeDir is the image's working directory, which is made where the image lacks it: the container's user owns it, and
// its root the directories above. The IDs are those of the namespace that the monitor runs in.
type MakeDir struct {
	Path    string `json:"path"`
	UID     uint32 `json:"uid"`
	GID     uint32 `json:"gid"`
	RootUID uint32 `json:"rootUID,omitempty"`
	RootGID uint32 `json:"rootGID,omitempty"`
}

// NeedDir is a directory in the container: what the user gave as --workdir. An OCI runtime would make it.
type NeedDir struct {
	Path string `json:"path"`
	// Root is where the mount at At begins on the host, if the directory is below one; empty is the root file system.
	Root string `json:"root,omitempty"`
	At   string `json:"at,omitempty"`
}

// Runtime is the OCI runtime a container runs under.
type Runtime struct {
	Name string   `json:"name"` // as asked for: crun
	Path string   `json:"path"` // absolute
	Args []string `json:"args"` // global arguments, in front of the verb: --root DIR …
	// RunArgs are those of the verbs run and create: --no-pivot
	RunArgs []string `json:"runArgs,omitempty"`
	// HideUnified is set for a crun that refuses hybrid cgroups: the monitor hides
	// /sys/fs/cgroup/unified in its own mount namespace before it calls the runtime.
	HideUnified bool `json:"hideUnified,omitempty"`
	// Checkpoints is set where it can write the container down, if there is a CRIU. The container has pipes then, no FIFOs.
	Checkpoints bool `json:"checkpoints,omitempty"`
}

// MaxEventsLog is the size in bytes above which the events log is rotated, by whoever wrote last to it.
const MaxEventsLog = 10 << 20

// Log is where the container's output goes.
type Log struct {
	Driver  string `json:"driver"`            // k8s-file, json-file, journald, none, passthrough
	Path    string `json:"path,omitempty"`    // absolute
	MaxSize int64  `json:"maxSize,omitempty"` // bytes per file; 0 is no limit
	MaxFile int    `json:"maxFile,omitempty"` // files kept, the current one included; 0 is 1
	Tag     string `json:"tag,omitempty"`     // as it was asked for, perhaps a template

	// Fields are what journald's entries have besides those of every container, each NAME=value. With a Tag
	// CONTAINER_TAG and SYSLOG_IDENTIFIER are among them.
	Fields []string `json:"fields,omitempty"`
}

// Journald is the Driver that has no file.
const Journald = "journald"

// Restart is the restart policy.
type Restart struct {
	Policy     string `json:"policy"` // no (or empty), always, on-failure, unless-stopped
	MaxRetries uint   `json:"maxRetries,omitempty"`
}

// Healthcheck follows the image's HEALTHCHECK and --health-*. Durations are nanoseconds in JSON.
type Healthcheck struct {
	Test        []string      `json:"test"` // CMD arg…, or CMD-SHELL string
	Interval    time.Duration `json:"interval"`
	Timeout     time.Duration `json:"timeout"`
	StartPeriod time.Duration `json:"startPeriod"`
	// StartInterval is Interval while the StartPeriod lasts and no check has succeeded; 0 is Interval.
	StartInterval time.Duration `json:"startInterval,omitempty"`
	Retries       int           `json:"retries"`
	OnFailure     string        `json:"onFailure,omitempty"` // none (or empty), kill, restart, stop

	Startup *StartupCheck `json:"startup,omitempty"` // runs in its place until it has succeeded; nil is none
	// LogTo is where results go besides State: a directory, for a file named ID-healthcheck.log, or events_logger; empty is nowhere.
	LogTo    string `json:"logTo,omitempty"`
	LogCount int    `json:"logCount,omitempty"` // results kept; 0 is 5, -1 all
	LogSize  int    `json:"logSize,omitempty"`  // bytes of output kept of each; 0 is 500, -1 all
}

// StartupCheck is the check of a container that is still starting.
type StartupCheck struct {
	Test      []string      `json:"test"`
	Interval  time.Duration `json:"interval"`
	Timeout   time.Duration `json:"timeout"`
	Retries   int           `json:"retries,omitempty"`   // failures until the container is restarted; 0 is no bound
	Successes int           `json:"successes,omitempty"` // that it takes; 0 is one
}

// Network is how the container is connected: the monitor makes the network namespace, and attaches it.
type Network = attach.Network

// Joined is what it has of a network that it shares.
type Joined = attach.Joined

// PortMapping is one published port.
type PortMapping = attach.PortMapping

// Mount is a mount that the user asked for, as inspect shows it.
type Mount struct {
	Type        string   `json:"Type"` // bind, volume, tmpfs, ramfs, devpts, image
	Name        string   `json:"Name,omitempty"`
	Source      string   `json:"Source"`
	Destination string   `json:"Destination"`
	Driver      string   `json:"Driver,omitempty"`
	Mode        string   `json:"Mode"`
	Options     []string `json:"Options"`
	RW          bool     `json:"RW"`
	Propagation string   `json:"Propagation"`
	SubPath     string   `json:"SubPath,omitempty"`
}

// Ulimit is a resource limit, as inspect shows it.
type Ulimit struct {
	Name string `json:"Name"` // RLIMIT_NOFILE
	Soft int64  `json:"Soft"`
	Hard int64  `json:"Hard"`
}

// Status is where a container is in its life. The words are podman's.
type Status string

// The statuses that a State file can hold.
const (
	Created     Status = "created"     // never started
	Initialized Status = "initialized" // the OCI runtime has made it, and its command is still to be started
	Running     Status = "running"
	Paused      Status = "paused"
	Stopping    Status = "stopping" // it runs, and was asked to stop
	Exited      Status = "exited"
)

// Who may have stopped a container, as StoppedBy has it.
const (
	ByUser   = "user"
	BySystem = "system"
)

// HasProcess reports whether a container of this status has a process, be it one of the OCI runtime's that waits to execute the command.
func (s Status) HasProcess() bool { return s == Initialized || s.Runs() }

// Runs reports whether the command of a container of this status has been started and has not ended.
func (s Status) Runs() bool { return s == Running || s == Paused || s == Stopping }

// State is the snapshot that every reader gets. It repeats the few fields of
// Config that ps shows, so that ps reads one small file a container.
type State struct {
	Version int    `json:"version"`
	ID      string `json:"id"`
	Name    string `json:"name"`

	ImageName  string            `json:"image,omitempty"`
	ImageID    string            `json:"imageID,omitempty"`
	Command    []string          `json:"command,omitempty"`
	Created    time.Time         `json:"created"`
	Labels     map[string]string `json:"labels,omitempty"`
	Ports      []PortMapping     `json:"ports,omitempty"`
	Network    string            `json:"network,omitempty"`
	AutoRemove bool              `json:"autoRemove,omitempty"`

	Status     Status    `json:"status"`
	BootID     string    `json:"bootID,omitempty"` // /proc/sys/kernel/random/boot_id of the last start
	Pid        int       `json:"pid,omitempty"`    // init, in the PID namespace of Berth; 0 unless there is one (HasProcess)
	PidStart   uint64    `json:"pidStart,omitempty"`
	Monitor    int       `json:"monitor,omitempty"` // pid of the monitor
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	ExitCode   int       `json:"exitCode,omitempty"`
	OOMKilled  bool      `json:"oomKilled,omitempty"`
	Error      string    `json:"error,omitempty"`      // why the last start failed
	Restarts   uint      `json:"restarts,omitempty"`   // by the restart policy, since the user's last start
	StoppedBy  string    `json:"stoppedBy,omitempty"`  // ByUser after stop or kill, BySystem at the host's end, health, timeout: the restart policy is off
	NetHelpers []int     `json:"netHelpers,omitempty"` // pids of what attaches it, in the order of Network.Attachments
	// Networks is what the container has of the networks that it shares, since it was attached.
	Networks []Joined `json:"networks,omitempty"`
	Health   *Health  `json:"health,omitempty"`

	// The last checkpoint of the container and the last start from one, since its last start from its image.
	Checkpointed   bool      `json:"checkpointed,omitempty"` // it is not running because of it
	CheckpointedAt time.Time `json:"checkpointedAt,omitzero"`
	CheckpointPath string    `json:"checkpointPath,omitempty"` // directory with the images of its processes
	CheckpointLog  string    `json:"checkpointLog,omitempty"`  // CRIU's file, if it was kept
	Restored       bool      `json:"restored,omitempty"`
	RestoredAt     time.Time `json:"restoredAt,omitzero"`
	RestoreLog     string    `json:"restoreLog,omitempty"` // as CheckpointLog
}

// Health is the result of the health checks so far.
type Health struct {
	Status        string        `json:"Status"` // starting, healthy, unhealthy
	FailingStreak int           `json:"FailingStreak"`
	Log           []HealthProbe `json:"Log"` // the last ones, see Healthcheck.LogCount
}

// HealthProbe is one run of a health check.
type HealthProbe struct {
	Start    time.Time `json:"Start"`
	End      time.Time `json:"End"`
	ExitCode int       `json:"ExitCode"`
	Output   string    `json:"Output"` // see Healthcheck.LogSize
}

// ReadConfig reads DIR/config.json. The error is fs.ErrNotExist where there is none.
func ReadConfig(dir string) (*Config, error) {
	c := new(Config)
	if err := read(filepath.Join(dir, ConfigFile), c, &c.Version, c.upgrade); err != nil {
		return nil, err
	}
	return c, nil
}

// ReadSupervised is ReadConfig for the monitor.
func ReadSupervised(dir string) (*Supervised, error) {
	c := new(Supervised)
	if err := read(filepath.Join(dir, ConfigFile), c, &c.Version, c.upgrade); err != nil {
		return nil, err
	}
	return c, nil
}

// ReadState reads DIR/state.json. The error is fs.ErrNotExist where there is none.
// It returns what the file says; whether the process still lives is for the caller to ask.
func ReadState(dir string) (*State, error) {
	s := new(State)
	if err := read(filepath.Join(dir, StateFile), s, &s.Version, s.upgrade); err != nil {
		return nil, err
	}
	return s, nil
}

// Write replaces the record's file in dir; it is on the disk on return if durable is set.
func (c *Config) Write(dir string, durable bool) error {
	c.Version = Version
	return write(filepath.Join(dir, ConfigFile), c, durable)
}

// Write replaces the record's file in dir; it is on the disk on return if durable is set.
func (s *State) Write(dir string, durable bool) error {
	s.Version = Version
	return write(filepath.Join(dir, StateFile), s, durable)
}

// buffers are what records have been read into: listing containers would touch new memory for each.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 2048)
	return &b
}}

// read fills in v, of which version is a field, and has what an older Berth has written upgraded.
func read(path string, v any, version *int, upgrade func(data []byte) error) error {
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	data, err := readFile(path, (*b)[:0])
	if err != nil {
		return err
	}
	*b = data
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if is := *version; is > Version || is < Version-2 || is < 1 {
		return fmt.Errorf("%s has version %d, this Berth reads %d to %d", path, is, max(1, Version-2), Version)
	}
	return upgrade(data)
}

// readFile appends a file to data. It is os.ReadFile with 4 system calls for a small file instead of 11: os asks the poller, which takes
// no regular files. Listing containers is mostly this.
func readFile(path string, data []byte) ([]byte, error) {
	fd, err := ignoringEINTR(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	for {
		n, err := ignoringEINTR(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if n == 0 {
			return data, nil
		}
		data = data[:len(data)+n]
		if len(data) == cap(data) {
			data = slices.Grow(data, cap(data))
		}
	}
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}

func write(path string, v any, durable bool) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o600, durable)
}

// ErrGone is returned where a container was removed while it was looked at.
var ErrGone = fmt.Errorf("container was removed: %w", fs.ErrNotExist)

// IsNotExist reports whether err says that a record is not there (any more).
func IsNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
