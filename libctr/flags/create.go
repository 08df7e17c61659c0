// SPDX-License-Identifier: Apache-2.0

// Package flags reads the flags of podman's command line into what the engine takes. It has no more to do with a command than
// that: it opens no engine, reads no configuration, and leaves out what was not given, so that unit files and manifests which hold
// such flags can use it too.
package flags

import (
	"errors"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/pflag"
)

// Create are the flags of create and run.
type Create struct {
	set *pflag.FlagSet // tells which were given

	name, hostname, user, workdir, umask, storage, cidfile string
	entrypoint, pull, platform, os, arch, variant          string
	interactive, tty, rm, readOnly, readOnlyTmpfs          bool
	init, privileged, publishAll, quiet, passwd            bool
	passwdEntry, groupEntry                                string
	noHosts, envHost, httpProxy, unsetenvAll               bool
	initPath, stopSignal, restart, logDriver, imageVolume  string
	stopTimeout, timeout                                   uint
	env, envFile, label, labelFile, annotation, unsetenv   []string
	volume, mount, tmpfs, publish, networks, expose        []string
	volumesFrom                                            []string
	dns, dnsSearch, dnsOption, addHost, groupAdd           []string
	ip, ip6, mac                                           string
	aliases                                                []string
	capAdd, capDrop, securityOpt, ulimit, logOpt           []string
	device, sysctl, secret                                 []string
	shmSize                                                string
	oomScoreAdj                                            int
	limits                                                 Limits
	deviceRules                                            []string
	cgroups, cgroupParent, personality, rdtClass           string
	oomKillDisable                                         bool
	cgroupConf                                             []string
	userns, pid, ipc, uts, cgroupns                        string
	health                                                 Health
	registry                                               Registry
	retry                                                  uint
	retryDelay, tz, hostsFile, systemd, seccompPolicy      string
	pidfile, conmonPidfile, sdnotify                       string
	replace, noHostname, trust, rootfs                     bool
	gpus, hostuser, uidmap, gidmap                         []string
	subuidname, subgidname                                 string
	requires, chrootdirs, envMerge, decryptionKey          []string
}

// Bind adds the flags to fs, which is to be parsed before Options is called.
func (f *Create) Bind(fs *pflag.FlagSet) {
	f.set = fs
	fs.SetInterspersed(false)
	fs.Bool("help", false, "show this help") // without its shorthand, which is --hostname's
	fs.StringVar(&f.name, "name", "", "assign a name to the container")
	fs.BoolVar(&f.replace, "replace", false, "remove a container of the same name first")
	fs.StringSliceVar(&f.requires, "requires", nil, "containers that are started before this one")
	fs.BoolVar(&f.noHostname, "no-hostname", false, "use the image's /etc/hostname")
	fs.StringVarP(&f.hostname, "hostname", "h", "", "set the container's host name (default the first 12 digits of its ID)")
	fs.StringVarP(&f.user, "user", "u", "", "run as USER[:GROUP], by name or number")
	fs.BoolVar(&f.passwd, "passwd", true, "add an entry for the user to the container's /etc/passwd and /etc/group if the image has none")
	fs.StringVar(&f.passwdEntry, "passwd-entry", "", "entry to add to /etc/passwd, with $USERNAME, $UID, $GID, $NAME, $HOME")
	fs.StringVar(&f.groupEntry, "group-entry", "", "entry to add to /etc/group, with $GROUPNAME, $GID, $USERLIST")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "working directory in the container")
	fs.StringVar(&f.umask, "umask", "", "set the container's umask, in octal (default 0022)")
	fs.StringVar(&f.cidfile, "cidfile", "", "write the container ID to a new file")
	fs.StringVar(&f.pidfile, "pidfile", "", "write the container's process ID to a file")
	fs.StringVar(&f.conmonPidfile, "conmon-pidfile", "", "write the process ID of the container's monitor to a file")
	fs.StringVar(&f.tz, "tz", "", "set the container's time zone, as Europe/Berlin, or local for the host's")
	fs.StringVar(&f.systemd, "systemd", "true", "prepare the container for systemd: true, if that is its command, false or always")
	fs.StringVar(&f.sdnotify, "sdnotify", "container", "who tells systemd that the service is ready: container, conmon, healthy or ignore")
	fs.StringArrayVar(&f.chrootdirs, "chrootdirs", nil, "directory in the container that gets /etc/hosts, /etc/resolv.conf and the like too (repeatable)")
	fs.StringVar(&f.entrypoint, "entrypoint", "", "overwrite the image's entrypoint: a program or a JSON array")
	fs.BoolVarP(&f.interactive, "interactive", "i", false, "keep standard input open")
	fs.BoolVarP(&f.tty, "tty", "t", false, "allocate a pseudo-TTY")
	fs.BoolVar(&f.rm, "rm", false, "remove the container and its anonymous volumes after it exits")
	fs.BoolVar(&f.readOnly, "read-only", false, "make the root file system read-only")
	fs.StringVar(&f.storage, "storage", "", "keep what the container writes in memory, until it ends: memory[:size=SIZE]")
	fs.BoolVar(&f.readOnlyTmpfs, "read-only-tmpfs", true, "with --read-only, keep /run, /tmp and /var/tmp writable")
	fs.BoolVar(&f.init, "init", false, "run an init program as PID 1 that forwards signals and reaps processes")
	fs.StringVar(&f.initPath, "init-path", "", "path of the init program (default catatonit or tini)")
	fs.BoolVar(&f.privileged, "privileged", false, "give extended privileges: all capabilities and devices that the user has")
	fs.StringVar(&f.restart, "restart", "no", "restart policy: no, always, on-failure[:N], unless-stopped")
	fs.StringVar(&f.stopSignal, "stop-signal", "", "signal to stop the container (default the image's, or SIGTERM)")
	fs.UintVar(&f.stopTimeout, "stop-timeout", 10, "seconds to wait after the stop signal before killing the container")
	fs.UintVar(&f.timeout, "timeout", 0, "seconds the container may run before it is stopped (default unlimited)")

	fs.StringArrayVarP(&f.env, "env", "e", nil, "set an environment variable: NAME=VALUE, or NAME or PREFIX* for the host's (repeatable)")
	fs.StringArrayVar(&f.envFile, "env-file", nil, "read environment variables from a file (repeatable)")
	fs.BoolVar(&f.envHost, "env-host", false, "use all environment variables of the host")
	fs.BoolVar(&f.httpProxy, "http-proxy", true, "pass on the host's proxy variables")
	fs.StringArrayVar(&f.envMerge, "env-merge", nil, "set an environment variable from the image's: PATH=${PATH}:/more (repeatable)")
	fs.StringArrayVar(&f.unsetenv, "unsetenv", nil, "unset a default environment variable (repeatable)")
	fs.BoolVar(&f.unsetenvAll, "unsetenv-all", false, "unset all default environment variables")
	fs.StringArrayVarP(&f.label, "label", "l", nil, "set a label: NAME=VALUE (repeatable)")
	fs.StringArrayVar(&f.labelFile, "label-file", nil, "read labels from a file (repeatable)")
	fs.StringArrayVar(&f.annotation, "annotation", nil, "add an OCI annotation: NAME=VALUE (repeatable)")

	fs.StringArrayVarP(&f.volume, "volume", "v", nil, "mount a volume or directory: [SOURCE:]DESTINATION[:OPTIONS] (repeatable)")
	fs.StringArrayVar(&f.mount, "mount", nil, "attach a mount: type=bind|volume|tmpfs|ramfs|devpts|image|glob,KEY=VALUE,… (repeatable)")
	fs.StringArrayVar(&f.tmpfs, "tmpfs", nil, "mount a tmpfs: DESTINATION[:OPTIONS] (repeatable)")
	fs.StringArrayVar(&f.volumesFrom, "volumes-from", nil, "mount the volumes of another container: CONTAINER[:OPTIONS] (repeatable)")
	fs.StringVar(&f.imageVolume, "image-volume", "anonymous", "how to handle the image's volumes: anonymous (or bind), tmpfs or ignore")
	fs.BoolVar(&f.rootfs, "rootfs", false, "run from a directory in place of an image: DIRECTORY, or DIRECTORY:O to leave it as it is")
	fs.StringVar(&f.shmSize, "shm-size", "", "size of /dev/shm (default 64m)")
	fs.StringArrayVar(&f.secret, "secret", nil, "give the container a secret: NAME[,type=mount|env][,target=…][,uid=N][,gid=N][,mode=OCTAL] (repeatable)")
	fs.StringArrayVar(&f.device, "device", nil, "add a host device: HOST[:PATH][:rwm], or a CDI device: VENDOR/CLASS=NAME (repeatable)")
	fs.StringSliceVar(&f.gpus, "gpus", nil, "add GPUs, by number, or all: CDI devices of nvidia.com/gpu")

	fs.StringArrayVar(&f.networks, "network", nil, "connect to a network: none, host, container:NAME, private, ns:PATH, pasta[:OPTIONS], slirp4netns[:OPTIONS], bridge[:OPTIONS] (or the NAME[:OPTIONS] of a network; repeatable)")
	alias(fs, "net", "network")
	fs.StringVar(&f.ip, "ip", "", "static IPv4 address in the network that the container is connected to")
	fs.StringVar(&f.ip6, "ip6", "", "static IPv6 address in the network that the container is connected to")
	fs.StringVar(&f.mac, "mac-address", "", "MAC address in the network that the container is connected to")
	fs.StringSliceVar(&f.aliases, "network-alias", nil, "add a name for the container in its networks (repeatable)")
	fs.StringArrayVarP(&f.publish, "publish", "p", nil, "publish a port to the host: [[IP:][HOSTPORT]:]PORT[/tcp|udp] (repeatable)")
	fs.BoolVarP(&f.publishAll, "publish-all", "P", false, "publish all exposed ports to random ports of the host")
	fs.StringArrayVar(&f.expose, "expose", nil, "expose a port or a range of ports (repeatable)")
	fs.StringArrayVar(&f.dns, "dns", nil, "set a DNS server, or none to leave resolv.conf alone (repeatable)")
	fs.StringArrayVar(&f.dnsSearch, "dns-search", nil, "set a DNS search domain (repeatable)")
	fs.StringArrayVar(&f.dnsOption, "dns-option", nil, "set a DNS option (repeatable)")
	alias(fs, "dns-opt", "dns-option")
	fs.StringArrayVar(&f.addHost, "add-host", nil, "add an entry to /etc/hosts: NAME:IP; host-gateway stands for the host (repeatable)")
	fs.StringVar(&f.hostsFile, "hosts-file", "", "begin /etc/hosts with this file, none, or the image's: image")
	fs.BoolVar(&f.noHosts, "no-hosts", false, "use the image's /etc/hosts")

	fs.StringArrayVar(&f.capAdd, "cap-add", nil, "add a capability (repeatable)")
	fs.StringArrayVar(&f.capDrop, "cap-drop", nil, "drop a capability (repeatable)")
	fs.StringArrayVar(&f.securityOpt, "security-opt", nil, "security option (repeatable)")
	fs.StringVar(&f.seccompPolicy, "seccomp-policy", "default", "where the seccomp profile comes from: default, or image for its label")
	fs.StringArrayVar(&f.groupAdd, "group-add", nil, "add a supplementary group (repeatable)")
	fs.StringArrayVar(&f.ulimit, "ulimit", nil, "set a ulimit: NAME=SOFT[:HARD], or host (repeatable)")
	fs.StringArrayVar(&f.sysctl, "sysctl", nil, "set a sysctl: NAME=VALUE (repeatable)")
	fs.StringVar(&f.userns, "userns", "", "user namespace: host, keep-id[:uid=N,gid=N,size=N], auto[:size=N], container:NAME, ns:PATH")
	fs.StringSliceVar(&f.hostuser, "hostuser", nil, "user of the host to list in the container's /etc/passwd (repeatable)")
	fs.StringSliceVar(&f.uidmap, "uidmap", nil, "map user IDs: CONTAINER_ID:FROM_ID[:AMOUNT] (repeatable)")
	fs.StringSliceVar(&f.gidmap, "gidmap", nil, "map group IDs: CONTAINER_ID:FROM_ID[:AMOUNT] (repeatable)")
	fs.StringVar(&f.subuidname, "subuidname", "", "map the ranges of this name in /etc/subuid")
	fs.StringVar(&f.subgidname, "subgidname", "", "map the ranges of this name in /etc/subgid")
	fs.StringVar(&f.pid, "pid", "", "PID namespace: private, host, container:NAME, ns:PATH")
	fs.StringVar(&f.ipc, "ipc", "", "IPC namespace: private, host, container:NAME, ns:PATH")
	fs.StringVar(&f.uts, "uts", "", "UTS namespace: private, host, container:NAME, ns:PATH")
	fs.StringVar(&f.cgroupns, "cgroupns", "", "cgroup namespace: private, host, container:NAME, ns:PATH")

	f.limits.Bind(fs)
	fs.BoolVar(&f.oomKillDisable, "oom-kill-disable", false, "do not kill processes for want of memory (cgroups v1 alone)")
	fs.StringArrayVar(&f.cgroupConf, "cgroup-conf", nil, "write VALUE into a file of the container's cgroup: FILE=VALUE (cgroup v2 alone, repeatable)")
	fs.StringArrayVar(&f.deviceRules, "device-cgroup-rule", nil, "allow devices: TYPE MAJOR:MINOR ACCESS, such as \"c 189:* rwm\" (repeatable)")
	fs.StringVar(&f.cgroups, "cgroups", "", "cgroup of the container: enabled, disabled, no-conmon or split (default enabled)")
	fs.StringVar(&f.cgroupParent, "cgroup-parent", "", "make the container's cgroup below this one")
	fs.StringVar(&f.personality, "personality", "", "execution domain: LINUX or LINUX32")
	fs.StringVar(&f.rdtClass, "rdt-class", "", "class of service of Intel RDT")
	fs.IntVar(&f.oomScoreAdj, "oom-score-adj", 0, "adjust the host's OOM preference, -1000 to 1000")

	fs.StringVar(&f.logDriver, "log-driver", "", "log driver: k8s-file, json-file, journald, passthrough or none (default k8s-file)")
	fs.StringArrayVar(&f.logOpt, "log-opt", nil, "log option: path=, max-size=, max-file= or tag=, and for journald label=, labels= or env= (repeatable)")
	f.health.Bind(fs)

	fs.StringVar(&f.pull, "pull", "missing", "pull policy: always, missing, never or newer")
	fs.StringVar(&f.platform, "platform", "", "pull the image for OS/ARCH[/VARIANT]")
	fs.StringVar(&f.os, "os", "", "use OS instead of this machine's for choosing an image")
	fs.StringVar(&f.arch, "arch", "", "use ARCH instead of this machine's for choosing an image")
	fs.StringVar(&f.variant, "variant", "", "use VARIANT of the architecture for choosing an image")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "do not show the progress of a pull")
	fs.UintVar(&f.retry, "retry", 3, "number of retries of a failed pull")
	fs.StringVar(&f.retryDelay, "retry-delay", "", "time before the first retry, doubled each time (for example 2s)")
	fs.StringArrayVar(&f.decryptionKey, "decryption-key", nil, "`KEY[:PASSPHRASE]` to decrypt the image's layers with (repeatable)")
	fs.BoolVar(&f.trust, "disable-content-trust", false, "no effect; accepted for compatibility")
	fs.Lookup("disable-content-trust").Hidden = true
	f.registry.Bind(fs)
}

// alias adds a hidden flag that is the same as another. They share a value: two lists in one variable would replace each other.
func alias(fs *pflag.FlagSet, name, of string) {
	fs.Var(fs.Lookup(of).Value, name, "the same as --"+of)
	fs.Lookup(name).Hidden = true
}

// ParseCreate reads the arguments of create: flags, an image, and the command to run.
func ParseCreate(args []string) (libctr.CreateOptions, error) {
	var f Create
	fs := pflag.NewFlagSet("create", pflag.ContinueOnError)
	f.Bind(fs)
	if err := fs.Parse(args); err != nil {
		return libctr.CreateOptions{}, err
	}
	if fs.NArg() == 0 {
		return libctr.CreateOptions{}, errors.New("an image is missing")
	}
	return f.Options(fs.Args())
}

// Quiet reports whether the progress of a pull is not to be shown.
func (f *Create) Quiet() bool { return f.quiet }

// Options are what the flags and args, an image and the command to run, say.
func (f *Create) Options(args []string) (o libctr.CreateOptions, err error) {
	o = libctr.CreateOptions{
		Name: f.name, Image: args[0], Args: args[1:], Replace: f.replace, Requires: f.requires,

		User: f.user, GroupAdd: f.groupAdd, WorkingDir: f.workdir, Umask: f.umask, Terminal: f.tty, Interactive: f.interactive,
		Init: given(f, "init", f.init), InitPath: f.initPath, Ulimits: f.ulimit, OOMScoreAdj: given(f, "oom-score-adj", f.oomScoreAdj),
		Entries: libctr.UserEntries{None: !f.passwd, Passwd: f.passwdEntry, Group: f.groupEntry},

		Storage: f.storage, ReadOnly: given(f, "read-only", f.readOnly), ReadOnlyTmpfs: given(f, "read-only-tmpfs", f.readOnlyTmpfs),
		Timezone: f.tz, ChrootDirs: f.chrootdirs, Volumes: f.volume, Mounts: f.mount, Tmpfs: f.tmpfs, VolumesFrom: f.volumesFrom, Devices: f.device, Secrets: f.secret,

		Hostname: f.hostname, Publish: f.publish, PublishAll: f.publishAll, Expose: f.expose,
		DNS: f.dns, DNSSearch: f.dnsSearch, DNSOptions: f.dnsOption, AddHosts: f.addHost, NoHosts: given(f, "no-hosts", f.noHosts),
		HostsFile: f.hostsFile, NoHostname: given(f, "no-hostname", f.noHostname), PidFile: f.pidfile, MonitorPidFile: f.conmonPidfile,

		PID: f.pid, IPC: f.ipc, UTS: f.uts, CgroupNS: f.cgroupns, UserNS: f.userns,
		HostUsers: f.hostuser, UIDMaps: f.uidmap, GIDMaps: f.gidmap, SubUIDName: f.subuidname, SubGIDName: f.subgidname,
		DeviceRules: f.deviceRules, Cgroups: f.cgroups, CgroupParent: f.cgroupParent, Personality: f.personality, RdtClass: f.rdtClass,
		Privileged: given(f, "privileged", f.privileged), CapAdd: f.capAdd, CapDrop: f.capDrop, SecurityOpt: f.securityOpt, Sysctls: f.sysctl,

		AutoRemove: f.rm, StopSignal: f.stopSignal, StopTimeout: given(f, "stop-timeout", f.stopTimeout), Timeout: f.timeout,
		LogDriver: f.logDriver, LogOpts: f.logOpt,
		Health: f.health.Flags(),

		IDFile: f.cidfile,
	}
	if f.rootfs {
		o.Image, o.Rootfs = "", args[0]
	}
	if f.set.Changed("entrypoint") {
		o.Entrypoint = spec.ParseEntrypoint(f.entrypoint)
	}
	if f.set.Changed("image-volume") {
		o.ImageVolumes = f.imageVolume
	}
	for _, gpu := range f.gpus {
		o.Devices = append(slices.Clip(o.Devices), "nvidia.com/gpu="+gpu)
	}
	if f.set.Changed("systemd") {
		o.Systemd = f.systemd
	}
	if f.set.Changed("sdnotify") {
		o.SdNotify = f.sdnotify
	}
	if f.set.Changed("seccomp-policy") {
		o.SeccompPolicy = f.seccompPolicy
	}
	if f.set.Changed("restart") {
		o.Restart = f.restart
	}
	for _, stage := range []func(*libctr.CreateOptions) error{f.network, f.pullOptions, f.environment, f.labels, f.resources} {
		if err := stage(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// given points to a flag's value, or is nil where the flag was not given.
func given[T any](f *Create, name string, value T) *T { return givenIn(f.set, name, value) }

func givenIn[T any](set *pflag.FlagSet, name string, value T) *T {
	if !set.Changed(name) {
		return nil
	}
	return &value
}

func (f *Create) pullOptions(o *libctr.CreateOptions) (err error) {
	if f.set.Changed("pull") {
		if o.Pull.Policy, err = image.ParsePolicy(f.pull); err != nil {
			return field.In("pull", err)
		}
	}
	if o.Pull.Platform, err = Platform(f.platform, f.os, f.arch, f.variant); err != nil {
		return err
	}
	o.Pull.Retries, o.Pull.DecryptionKeys = given(f, "retry", f.retry), f.decryptionKey
	if f.retryDelay != "" {
		if o.Pull.RetryDelay, err = time.ParseDuration(f.retryDelay); err != nil {
			return field.Errorf("%s %q: want a duration, as in 2s", field.Name("retry-delay"), f.retryDelay)
		}
	}
	o.Pull.RegistryOptions, err = f.registry.Options()
	return err
}

// environment reads files and the caller's variables: files first, so that --env overrides them.
func (f *Create) environment(o *libctr.CreateOptions) error {
	host := os.Environ()
	o.Env = libctr.EnvOptions{Host: given(f, "env-host", f.envHost), HTTPProxy: given(f, "http-proxy", f.httpProxy), Merge: f.envMerge, Unset: f.unsetenv, UnsetAll: f.unsetenvAll}
	for _, path := range f.envFile {
		vars, err := spec.ReadEnvFile(path, host)
		if err != nil {
			return err
		}
		o.Env.Vars = append(o.Env.Vars, vars...)
	}
	vars, err := spec.ParseEnv(f.env, host)
	o.Env.Vars = append(o.Env.Vars, vars...)
	return err
}

// labels reads files, and --label over them.
func (f *Create) labels(o *libctr.CreateOptions) (err error) {
	o.Labels = map[string]string{}
	for _, path := range f.labelFile {
		labels, err := spec.ReadLabelFile(path)
		if err != nil {
			return err
		}
		maps.Copy(o.Labels, labels)
	}
	labels, err := spec.ParseLabels("label", f.label)
	if err != nil {
		return err
	}
	maps.Copy(o.Labels, labels)
	o.Annotations, err = spec.ParseLabels("annotation", f.annotation)
	return err
}

func (f *Create) network(o *libctr.CreateOptions) error {
	for _, n := range f.networks {
		if n == "" {
			n = "private" // given, and so not what containers.conf says
		}
		o.Network = append(o.Network, n)
	}
	if a, err := netip.ParseAddr(f.ip); err == nil && !a.Is4() {
		return hint.Add(field.Errorf("%s: %s is not an IPv4 address: invalid argument", field.Name("ip"), f.ip), "say %s for it", field.Name("ip6"))
	}
	if a, err := netip.ParseAddr(f.ip6); err == nil && !a.Is6() {
		return hint.Add(field.Errorf("%s: %s is not an IPv6 address: invalid argument", field.Name("ip6"), f.ip6), "say %s for it", field.Name("ip"))
	}
	for _, ip := range []string{f.ip, f.ip6} {
		if ip != "" {
			o.IPs = append(o.IPs, ip) // who reads the option tells of what is no address
		}
	}
	o.MAC, o.Aliases = f.mac, f.aliases
	return nil
}

// resources reads sizes and numbers; what contradicts each other, the engine sees.
func (f *Create) resources(o *libctr.CreateOptions) (err error) {
	if o.Resources, err = f.limits.Resources(); err != nil {
		return err
	}
	o.Resources.NoOOMKill = f.oomKillDisable
	for _, v := range f.cgroupConf {
		file, value, found := strings.Cut(v, "=")
		if !found || file == "" || strings.Contains(file, "/") {
			return field.Errorf("%s %q: want FILE=VALUE, such as memory.high=1073741824", field.Name("cgroup-conf"), v)
		}
		if o.Resources.Unified == nil {
			o.Resources.Unified = map[string]string{}
		}
		o.Resources.Unified[file] = value
	}
	if f.shmSize != "" {
		size, err := spec.ParseSize("shm-size", f.shmSize)
		if err != nil {
			return err
		}
		o.ShmSize = &size
	}
	return nil
}

// Platform joins --platform and its parts, --os, --arch and --variant.
func Platform(whole, osName, arch, variant string) (p image.Platform, err error) {
	if whole == "" {
		return image.Platform{OS: osName, Architecture: arch, Variant: variant}, nil
	}
	if osName != "" || arch != "" || variant != "" {
		return p, field.Errorf("%s excludes %s, %s and %s", field.Name("platform"), field.Name("os"), field.Name("arch"), field.Name("variant"))
	}
	return image.ParsePlatform(whole)
}
