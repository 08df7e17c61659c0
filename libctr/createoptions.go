// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"io"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/spec"
)

// CreateOptions say what a caller wants of a container, and nothing that he does not care about: a field that is left alone, a nil
// pointer, a nil list or an empty word, is decided by containers.conf, then by the image, then by Berth. Whatever else a field
// has is what the caller wants, also false, 0 and an empty list (docs/decisions/0033).
//
// Fields with a grammar are in the words of podman's flag of that name, which the engine parses and checks; package libctr/flags
// makes the options of a command line. What is wrong with a field is a FieldError.
type CreateOptions struct {
	Name     string // empty is a random one
	Image    string
	Rootfs   string            // in place of Image: DIRECTORY[:O|:idmap[=MAP]], the root file system itself
	Replace  bool              // a container with that Name is removed first, running or not
	Requires []string          // containers that are started before this one
	Args     []string          // replace the image's Cmd
	Pull     image.PullOptions // where the image is missing, or as Pull.Policy says

	// The process.
	Entrypoint  []string // nil is the image's; an empty list is none
	User        string   // USER[:GROUP]; empty is the image's
	GroupAdd    []string
	WorkingDir  string // empty is the image's
	Env         EnvOptions
	Umask       string // octal
	Terminal    bool
	TTYSize     spec.TTYSize // that the terminal begins with
	Interactive bool
	Init        *bool
	Systemd     string // true (or empty): where the command is systemd or an init; false; always
	InitPath    string
	Ulimits     []string // NAME=SOFT[:HARD], or host
	OOMScoreAdj *int
	HostUsers   []string    // users of the host, by name or number, that its /etc/passwd gets where it does not list them
	Entries     UserEntries // of the user in the container's /etc/passwd and /etc/group

	// Its files.
	Storage       string // memory[:size=SIZE]: what it writes is in memory, and ends with its run; empty is the disk
	ReadOnly      *bool
	ReadOnlyTmpfs *bool    // with ReadOnly, keep /run, /tmp and /var/tmp writable; nil is true
	Volumes       []string // [SOURCE:]DESTINATION[:OPTIONS]
	Mounts        []string // type=bind|volume|tmpfs|ramfs|devpts|image|glob,KEY=VALUE,…
	Tmpfs         []string // DESTINATION[:OPTIONS]
	VolumesFrom   []string // CONTAINER[:OPTIONS]
	ImageVolumes  string   // what becomes of the image's: anonymous, tmpfs, ignore
	ShmSize       *int64   // bytes of /dev/shm; 0 is no limit
	Secrets       []string // NAME[,type=mount|env][,target=…][,uid=N][,gid=N][,mode=OCTAL]
	Devices       []string // HOST[:PATH][:rwm]; HOST may be a pattern
	Timezone      string   // of /usr/share/zoneinfo, or local; empty is containers.conf's, then the image's
	ChrootDirs    []string // that get /etc/hosts, /etc/resolv.conf and the like as well

	// Its network and names.
	Hostname string // empty is the ID's first 12 digits
	// Network is none, host, container:NAME, private, ns:PATH, pasta[:OPTIONS], slirp4netns[:OPTIONS], bridge, or names of networks,
	// NAME[:OPTIONS]; none is containers.conf's, then private.
	Network    []string
	IPs        []string // static addresses, where one network is given by name
	MAC        string   // the same
	Aliases    []string // more names of the container in all of its networks
	Publish    []string // [[IP:][HOSTPORT]:]PORT[/tcp|udp]
	PublishAll bool     // publish what the image and Expose name
	Expose     []string
	DNS        []string // nil is containers.conf's, then the host's; an empty list is the host's
	DNSSearch  []string // as DNS
	DNSOptions []string // as DNS
	AddHosts   []string // NAME:IP
	NoHosts    *bool    // leave the image's /etc/hosts
	HostsFile  string   // that /etc/hosts begins with: a path, none, or image; empty is containers.conf's, then the host's
	NoHostname *bool    // leave the image's /etc/hostname

	// What confines it.
	PID, IPC, UTS, CgroupNS string   // private, host, container:NAME, ns:PATH
	UserNS                  string   // host, keep-id[:uid=N,gid=N,size=N], auto[:size=N,uidmapping=MAP,gidmapping=MAP], container:NAME, ns:PATH
	UIDMaps, GIDMaps        []string // in place of UserNS; see spec.IDMaps
	SubUIDName, SubGIDName  string   // in place of UIDMaps and GIDMaps: the ranges of that name in /etc/subuid and /etc/subgid
	Privileged              *bool
	CapAdd, CapDrop         []string
	SecurityOpt             []string
	SeccompPolicy           string   // default (or empty), or image: the profile that the image's label has
	Sysctls                 []string // NAME=VALUE
	Resources               spec.Resources
	DeviceRules             []string // of the device cgroup: TYPE MAJOR:MINOR ACCESS
	Cgroups                 string   // enabled, disabled, no-conmon, split
	CgroupParent            string
	Personality             string // LINUX, LINUX32
	RdtClass                string // class of Intel's RDT

	// Its life.
	AutoRemove  bool
	RemoveImage bool   // with the container, unless others use it
	Restart     string // no, always, on-failure[:N], unless-stopped
	StopSignal  string
	StopTimeout *uint // seconds
	Timeout     uint  // seconds the container may run; 0 is no limit
	Health      spec.HealthFlags
	SdNotify    string   // who tells systemd that it is ready: container (or empty), conmon, healthy, ignore
	LogDriver   string   // k8s-file, json-file, journald, passthrough, none
	LogOpts     []string // path=, max-size=, max-file=, tag=; of journald tag=, label=NAME=value, labels=, env=

	// What is recorded of it.
	Labels, Annotations     map[string]string
	CreateCommand           []string
	PidFile, MonitorPidFile string    // get the process IDs of the container's first process and of its monitor, at each start
	IDFile                  string    // gets the container's ID, and goes with the container; it must not exist
	Progress                io.Writer `json:"-"` // of a pull; nil is none

	unnamed map[string]string // volumes to take in place of new ones without a name, by where they are mounted

	// Of a container that is made again; empty is a new one, and the engine's choice.
	id, runtime string
}

// runWith is the command that runs such a container with another word for its command.
func (o *CreateOptions) runWith(word string) hint.Command {
	if o.Rootfs != "" {
		return hint.To(hint.RunRootfs, o.Rootfs, word)
	}
	return hint.To(hint.RunContainer, o.Image, word)
}

// EnvOptions say where a container's environment comes from, besides containers.conf and the image.
type EnvOptions struct {
	Vars      []string // NAME=VALUE; the last one of a name counts
	Host      *bool    // this process's whole environment
	HTTPProxy *bool    // this process's proxy variables
	Merge     []string // NAME=VALUE, in which $NAME and ${NAME} stand for the defaults' and the image's
	Unset     []string // names, of the defaults and the image
	UnsetAll  bool     // only Vars count
}

// UserEntries say how the container's user is listed in its /etc/passwd and /etc/group where the image does not list it.
type UserEntries struct {
	None          bool   // not at all
	Passwd, Group string // a whole line each, with $USERNAME, $UID, $GID, $NAME, $HOME, or $GROUPNAME, $GID, $USERLIST; empty is the default's
}
