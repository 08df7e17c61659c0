// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"io"

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
	Name  string // empty is a random one
	Image string
	Args  []string          // replace the image's Cmd
	Pull  image.PullOptions // where the image is missing, or as Pull.Policy says

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
	InitPath    string
	Ulimits     []string // NAME=SOFT[:HARD], or host
	OOMScoreAdj *int
	Entries     UserEntries // of the user in the container's /etc/passwd and /etc/group

	// Its files.
	ReadOnly      *bool
	ReadOnlyTmpfs *bool    // with ReadOnly, keep /run, /tmp and /var/tmp writable; nil is true
	Volumes       []string // [SOURCE:]DESTINATION[:OPTIONS]
	Mounts        []string // type=bind|volume|tmpfs,KEY=VALUE,…
	Tmpfs         []string // DESTINATION[:OPTIONS]
	ImageVolumes  string   // what becomes of the image's: anonymous, tmpfs, ignore
	ShmSize       *int64   // bytes of /dev/shm; 0 is no limit
	Devices       []string // HOST[:PATH][:rwm]

	// Its network and names.
	Hostname   string   // empty is the ID's first 12 digits
	Network    string   // none, host, container:NAME, private, ns:PATH, pasta[:OPTIONS], slirp4netns[:OPTIONS]
	Publish    []string // [[IP:][HOSTPORT]:]PORT[/tcp|udp]
	PublishAll bool     // publish what the image and Expose name
	Expose     []string
	DNS        []string // nil is containers.conf's, then the host's; an empty list is the host's
	DNSSearch  []string // as DNS
	DNSOptions []string // as DNS
	AddHosts   []string // NAME:IP
	NoHosts    *bool    // leave the image's /etc/hosts

	// What confines it.
	PID, IPC, UTS, CgroupNS string // private, host, container:NAME, ns:PATH
	UserNS                  string // host, keep-id[:uid=N,gid=N]
	Privileged              *bool
	CapAdd, CapDrop         []string
	SecurityOpt             []string
	Sysctls                 []string // NAME=VALUE
	Resources               spec.Resources

	// Its life.
	AutoRemove  bool
	Restart     string // no, always, on-failure[:N], unless-stopped
	StopSignal  string
	StopTimeout *uint // seconds
	Timeout     uint  // seconds the container may run; 0 is no limit
	Health      spec.HealthFlags
	LogDriver   string   // k8s-file, json-file, passthrough, none
	LogOpts     []string // path=, max-size=, max-file=, tag=

	// What is recorded of it.
	Labels, Annotations map[string]string
	CreateCommand       []string
	IDFile              string    // gets the container's ID; it must not exist
	Progress            io.Writer // of a pull; nil is none
}

// EnvOptions say where a container's environment comes from, besides containers.conf and the image.
type EnvOptions struct {
	Vars      []string // NAME=VALUE; the last one of a name counts
	Host      *bool    // this process's whole environment
	HTTPProxy *bool    // this process's proxy variables
	Unset     []string // names, of the defaults and the image
	UnsetAll  bool     // only Vars count
}

// UserEntries say how the container's user is listed in its /etc/passwd and /etc/group where the image does not list it.
type UserEntries struct {
	None          bool   // not at all
	Passwd, Group string // a whole line each, with $USERNAME, $UID, $GID, $NAME, $HOME, or $GROUPNAME, $GID, $USERLIST; empty is the default's
}
