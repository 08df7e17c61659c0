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
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
	"golang.org/x/sys/unix"
)

// Version is written into every record. Readers accept it and the two before it.
const Version = 1

// Names of the files in a container's directories.
const (
	ConfigFile = "config.json" // Dir: Config; replaced only by rename
	StateFile  = "state.json"  // Dir: State; replaced by the lock's holder
	BundleDir  = "bundle"      // Dir: OCI bundle (config.json, rootfs mount point)
	LockFile   = "lock"        // RunDir: flock(2), held by the monitor while it lives
	SocketFile = "ctl.sock"    // RunDir: the monitor's socket, see package ctl
	PidFile    = "pid"         // RunDir: written by the OCI runtime
	NetNSFile  = "netns"       // RunDir: see Config.NetNSPath
	LogPosFile = "log.pos"     // RunDir: where the log's current file begins, see package logfile
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
	IDFile        string            `json:"idFile,omitempty"`  // --cidfile, an absolute path
	Exposed       []string          `json:"exposed,omitempty"` // PORT/PROTOCOL of the image and --expose, published or not
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
	Passwd  string  `json:"passwd,omitempty"` // lines that its /etc/passwd gets where it lists no such user
	Group   string  `json:"group,omitempty"`  // the same for /etc/group
	Runtime Runtime `json:"runtime"`

	Binds   []Bind   `json:"binds,omitempty"`   // of the user's paths
	MakeDir *MakeDir `json:"makeDir,omitempty"` // nil is none, or one that the runtime makes
	NeedDir *NeedDir `json:"needDir,omitempty"` // without which the container does not start; nil is none

	Terminal   bool `json:"terminal,omitempty"`
	OpenStdin  bool `json:"openStdin,omitempty"` // -i: keep stdin open although nobody is attached
	StdinOnce  bool `json:"stdinOnce,omitempty"` // close stdin when the first client that gave it leaves
	AutoRemove bool `json:"autoRemove,omitempty"`

	Log         Log          `json:"log"`
	Restart     Restart      `json:"restart"`
	StopSignal  int          `json:"stopSignal"`            // zero is SIGTERM
	StopTimeout uint         `json:"stopTimeout"`           // seconds before SIGKILL
	Timeout     uint         `json:"timeout,omitempty"`     // seconds the container may run; zero is no limit
	Health      *Healthcheck `json:"healthcheck,omitempty"` // nil is none
	Network     Network      `json:"network"`
	CgroupPath  string       `json:"cgroupPath,omitempty"` // as asked of the runtime; empty where no cgroup is made
	Cleanup     []string     `json:"cleanup"`              // argv with which the monitor has a --rm container removed
	EventsLog   string       `json:"eventsLog,omitempty"`  // file to append events to; empty is none

	Labels  map[string]string `json:"labels,omitempty"`
	Command []string          `json:"command"` // entrypoint and arguments as run
}

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
	// Type is "overlay" (kernel), "fuse" (Program mounts it) or "bind" (Source, e.g. a vfs layer).
	Type    string `json:"type"`
	Source  string `json:"source,omitempty"`  // bind: the directory
	Workdir string `json:"workdir,omitempty"` // overlay: directory that relative paths in Options start from
	Options string `json:"options,omitempty"` // overlay and fuse: mount data (lowerdir=l/…,upperdir=…)
	Program string `json:"program,omitempty"` // fuse: e.g. /usr/bin/fuse-overlayfs
	Layer   string `json:"layer,omitempty"`   // containers/storage layer ID
}

// Bind is a path of the host's that the container has mounted. The monitor mounts it at At in its own mount namespace while the runtime
// makes the container, and the OCI spec has At as the source.
type Bind struct {
	Source string `json:"source"`          // absolute and clean
	At     string `json:"at"`              // below no directory that is ever removed with what is in it
	Links  bool   `json:"links,omitempty"` // it led through symbolic links when the container was made, and may do so
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
}

// MaxEventsLog is the size in bytes above which the events log is rotated, by whoever wrote last to it.
const MaxEventsLog = 10 << 20

// Log is where the container's output goes.
type Log struct {
	Driver  string `json:"driver"`            // k8s-file, json-file, none, passthrough
	Path    string `json:"path,omitempty"`    // absolute
	MaxSize int64  `json:"maxSize,omitempty"` // bytes per file; 0 is no limit
	MaxFile int    `json:"maxFile,omitempty"` // files kept, the current one included; 0 is 1
	Tag     string `json:"tag,omitempty"`
}

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
	Retries     int           `json:"retries"`
	OnFailure   string        `json:"onFailure,omitempty"` // none (or empty), kill, restart, stop
}

// Network is what the monitor does for the container's network namespace.
type Network struct {
	// Mode is none, host, container:ID, pasta, slirp4netns, private, ns:PATH.
	Mode string `json:"mode"`
	// NetNS is "new" when the monitor makes the network namespace (and mounts it at
	// Config.NetNSPath, which the OCI spec names), "runtime" when the runtime makes it
	// (a container with a user namespace of its own), and empty when there is nothing to do.
	NetNS string `json:"netns,omitempty"`
	// Path is where the namespace is mounted, if not in RunDir: see Config.NetNSPath.
	Path string `json:"path,omitempty"`
	// Helper is the program that connects the namespace; nil for none.
	Helper *NetHelper    `json:"helper,omitempty"`
	Ports  []PortMapping `json:"ports,omitempty"`
}

// NetHelper is a program that serves one network namespace, pasta or slirp4netns.
// In Args the words {netns}, {pid}, {pidfile}, {apisock}, {ready} and {exit} are
// replaced: the namespace's path, the container's pid, a pid file in RunDir (which nobody
// needs, and older records ask for), a socket path in RunDir, and the numbers of two pipe ends.
type NetHelper struct {
	Path string   `json:"path"`
	Args []string `json:"args"`
	// Daemonizes is set when the program forks and its first process exits with 0
	// once the network is up (pasta); otherwise it writes "1" to {ready} (slirp4netns).
	Daemonizes bool `json:"daemonizes,omitempty"`
	// HostFwd are JSON requests for {apisock}, one a published port.
	HostFwd []json.RawMessage `json:"hostFwd,omitempty"`
	// UDPRelay is what the monitor has relayed besides, because the helper cannot: the arguments of
	// `berth-monitor --udp-relay NETNS`, see package network/udprelay. Empty is nothing.
	UDPRelay []string `json:"udpRelay,omitempty"`
	// Hint is what the user can do if the program fails; empty where nothing is known.
	Hint string `json:"hint,omitempty"`
}

// PortMapping is one published port. Ranges are written out, one mapping a port.
type PortMapping struct {
	HostIP        string `json:"host_ip"` // empty is every address
	ContainerPort uint16 `json:"container_port"`
	HostPort      uint16 `json:"host_port"`
	Protocol      string `json:"protocol"` // tcp, udp
}

// Mount is a mount that the user asked for, as inspect shows it.
type Mount struct {
	Type        string   `json:"Type"` // bind, volume, tmpfs
	Name        string   `json:"Name,omitempty"`
	Source      string   `json:"Source"`
	Destination string   `json:"Destination"`
	Driver      string   `json:"Driver,omitempty"`
	Mode        string   `json:"Mode"`
	Options     []string `json:"Options"`
	RW          bool     `json:"RW"`
	Propagation string   `json:"Propagation"`
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
	Created Status = "created" // never started
	Running Status = "running"
	Paused  Status = "paused"
	Exited  Status = "exited"
)

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
	Pid        int       `json:"pid,omitempty"`    // init, in the PID namespace of Berth; 0 unless running or paused
	PidStart   uint64    `json:"pidStart,omitempty"`
	Monitor    int       `json:"monitor,omitempty"` // pid of the monitor
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	ExitCode   int       `json:"exitCode,omitempty"`
	OOMKilled  bool      `json:"oomKilled,omitempty"`
	Error      string    `json:"error,omitempty"`     // why the last start failed
	Restarts   uint      `json:"restarts,omitempty"`  // by the restart policy, since the user's last start
	StoppedBy  string    `json:"stoppedBy,omitempty"` // "user" after stop or kill: the restart policy is off
	NetHelper  int       `json:"netHelper,omitempty"` // pid of pasta or slirp4netns
	Health     *Health   `json:"health,omitempty"`
}

// Health is the result of the health checks so far.
type Health struct {
	Status        string        `json:"Status"` // starting, healthy, unhealthy
	FailingStreak int           `json:"FailingStreak"`
	Log           []HealthProbe `json:"Log"` // the last five
}

// HealthProbe is one run of a health check.
type HealthProbe struct {
	Start    time.Time `json:"Start"`
	End      time.Time `json:"End"`
	ExitCode int       `json:"ExitCode"`
	Output   string    `json:"Output"` // at most 500 bytes
}

// ReadConfig reads DIR/config.json. The error is fs.ErrNotExist where there is none.
func ReadConfig(dir string) (*Config, error) {
	c := new(Config)
	if err := read(filepath.Join(dir, ConfigFile), c); err != nil {
		return nil, err
	}
	return c, checkVersion(filepath.Join(dir, ConfigFile), c.Version)
}

// ReadSupervised is ReadConfig for the monitor.
func ReadSupervised(dir string) (*Supervised, error) {
	c := new(Supervised)
	if err := read(filepath.Join(dir, ConfigFile), c); err != nil {
		return nil, err
	}
	return c, checkVersion(filepath.Join(dir, ConfigFile), c.Version)
}

// ReadState reads DIR/state.json. The error is fs.ErrNotExist where there is none.
// It returns what the file says; whether the process still lives is for the caller to ask.
func ReadState(dir string) (*State, error) {
	s := new(State)
	if err := read(filepath.Join(dir, StateFile), s); err != nil {
		return nil, err
	}
	return s, checkVersion(filepath.Join(dir, StateFile), s.Version)
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

func checkVersion(path string, v int) error {
	if v > Version || v < Version-2 || v < 1 {
		return fmt.Errorf("%s has version %d, this Berth reads %d to %d", path, v, max(1, Version-2), Version)
	}
	return nil
}

func read(path string, v any) error {
	data, err := readFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// readFile is os.ReadFile with 4 system calls for a small file instead of 11: os asks the poller, which takes
// no regular files. Listing containers is mostly this.
func readFile(path string) ([]byte, error) {
	fd, err := ignoringEINTR(func() (int, error) { return unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	data := make([]byte, 0, 2048)
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

// IsNotExist tells whether err says that a record is not there (any more).
func IsNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }
