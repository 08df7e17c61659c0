// SPDX-License-Identifier: Apache-2.0

// Package flags reads the flags of podman's command line into what the engine takes. It has no more to do with a command than
// that: it opens no engine, reads no configuration, and leaves out what was not given, so that unit files and manifests which hold
// such flags can use it too.
package flags

import (
	"errors"
	"maps"
	"os"

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

	name, hostname, user, workdir, umask, cidfile         string
	entrypoint, pull, platform, os, arch, variant         string
	interactive, tty, rm, readOnly, readOnlyTmpfs         bool
	init, privileged, publishAll, quiet, passwd           bool
	passwdEntry, groupEntry                               string
	noHealth, noHosts, envHost, httpProxy, unsetenvAll    bool
	initPath, stopSignal, restart, logDriver, imageVolume string
	stopTimeout, timeout                                  uint
	env, envFile, label, labelFile, annotation, unsetenv  []string
	volume, mount, tmpfs, publish, networks, expose       []string
	dns, dnsSearch, dnsOption, addHost, groupAdd          []string
	capAdd, capDrop, securityOpt, ulimit, logOpt          []string
	device, sysctl                                        []string
	memory, memorySwap, memoryReservation, cpus, shmSize  string
	cpusetCpus, cpusetMems                                string
	cpuShares, cpuPeriod                                  uint64
	cpuQuota, pidsLimit                                   int64
	oomScoreAdj                                           int
	userns, pid, ipc, uts, cgroupns                       string
	healthCmd, healthInterval, healthTimeout, healthStart string
	healthRetries                                         int
	healthOnFailure                                       string
	registry                                              Registry
	retry                                                 uint
}

// Bind adds the flags to fs, which is to be parsed before Options is called.
func (f *Create) Bind(fs *pflag.FlagSet) {
	f.set = fs
	fs.SetInterspersed(false)
	fs.Bool("help", false, "show this help") // without its shorthand, which is --hostname's
	fs.StringVar(&f.name, "name", "", "name of the container")
	fs.StringVarP(&f.hostname, "hostname", "h", "", "host name inside (default the ID's first 12 digits)")
	fs.StringVarP(&f.user, "user", "u", "", "USER[:GROUP] to run as, names or numbers")
	fs.BoolVar(&f.passwd, "passwd", true, "list the user in the container's /etc/passwd and /etc/group, where the image does not")
	fs.StringVar(&f.passwdEntry, "passwd-entry", "", "that line of /etc/passwd, with $USERNAME, $UID, $GID, $NAME, $HOME")
	fs.StringVar(&f.groupEntry, "group-entry", "", "that line of /etc/group, with $GROUPNAME, $GID, $USERLIST")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "working directory inside")
	fs.StringVar(&f.umask, "umask", "", "umask inside, octal (default 0022)")
	fs.StringVar(&f.cidfile, "cidfile", "", "write the container's ID to this new file")
	fs.StringVar(&f.entrypoint, "entrypoint", "", "replace the image's entrypoint: a program or a JSON array")
	fs.BoolVarP(&f.interactive, "interactive", "i", false, "keep standard input open")
	fs.BoolVarP(&f.tty, "tty", "t", false, "give it a terminal")
	fs.BoolVar(&f.rm, "rm", false, "remove the container when it ends")
	fs.BoolVar(&f.readOnly, "read-only", false, "make its root file system read-only")
	fs.BoolVar(&f.readOnlyTmpfs, "read-only-tmpfs", true, "with --read-only, keep /run, /tmp and /var/tmp writable")
	fs.BoolVar(&f.init, "init", false, "run an init program as PID 1 that forwards signals and reaps processes")
	fs.StringVar(&f.initPath, "init-path", "", "that program (default catatonit or tini)")
	fs.BoolVar(&f.privileged, "privileged", false, "drop the confinement: all capabilities and devices that the user has")
	fs.StringVar(&f.restart, "restart", "no", "restart policy: no, always, on-failure[:N], unless-stopped")
	fs.StringVar(&f.stopSignal, "stop-signal", "", "signal that stops it (default the image's, or SIGTERM)")
	fs.UintVar(&f.stopTimeout, "stop-timeout", 10, "seconds between that signal and SIGKILL")
	fs.UintVar(&f.timeout, "timeout", 0, "seconds after which it is stopped (default never)")

	fs.StringArrayVarP(&f.env, "env", "e", nil, "NAME=VALUE, NAME or PREFIX* of the host's environment (repeatable)")
	fs.StringArrayVar(&f.envFile, "env-file", nil, "file with a variable a line (repeatable)")
	fs.BoolVar(&f.envHost, "env-host", false, "take the host's whole environment")
	fs.BoolVar(&f.httpProxy, "http-proxy", true, "pass the host's proxy variables on")
	fs.StringArrayVar(&f.unsetenv, "unsetenv", nil, "variable to leave out (repeatable)")
	fs.BoolVar(&f.unsetenvAll, "unsetenv-all", false, "leave out every default and image variable")
	fs.StringArrayVarP(&f.label, "label", "l", nil, "label NAME=VALUE (repeatable)")
	fs.StringArrayVar(&f.labelFile, "label-file", nil, "file with a label a line (repeatable)")
	fs.StringArrayVar(&f.annotation, "annotation", nil, "OCI annotation NAME=VALUE (repeatable)")

	fs.StringArrayVarP(&f.volume, "volume", "v", nil, "[SOURCE:]DESTINATION[:OPTIONS] (repeatable)")
	fs.StringArrayVar(&f.mount, "mount", nil, "type=bind|volume|tmpfs,KEY=VALUE,… (repeatable)")
	fs.StringArrayVar(&f.tmpfs, "tmpfs", nil, "DESTINATION[:OPTIONS] (repeatable)")
	fs.StringVar(&f.imageVolume, "image-volume", "anonymous", "what becomes of the image's volumes: anonymous, tmpfs, ignore")
	fs.StringVar(&f.shmSize, "shm-size", "", "size of /dev/shm (default 64m)")
	fs.StringArrayVar(&f.device, "device", nil, "HOST[:PATH][:rwm] (repeatable)")

	fs.StringArrayVar(&f.networks, "network", nil, "none, host, container:NAME, private, ns:PATH, pasta[:OPTIONS], slirp4netns[:OPTIONS]")
	alias(fs, "net", "network")
	fs.StringArrayVarP(&f.publish, "publish", "p", nil, "[[IP:][HOSTPORT]:]PORT[/tcp|udp] (repeatable)")
	fs.BoolVarP(&f.publishAll, "publish-all", "P", false, "publish every port that the image exposes")
	fs.StringArrayVar(&f.expose, "expose", nil, "port or range that --publish-all publishes too (repeatable)")
	fs.StringArrayVar(&f.dns, "dns", nil, "DNS server, or none to leave resolv.conf alone (repeatable)")
	fs.StringArrayVar(&f.dnsSearch, "dns-search", nil, "DNS search domain (repeatable)")
	fs.StringArrayVar(&f.dnsOption, "dns-option", nil, "option in resolv.conf (repeatable)")
	alias(fs, "dns-opt", "dns-option")
	fs.StringArrayVar(&f.addHost, "add-host", nil, "NAME:IP for /etc/hosts; host-gateway stands for the host (repeatable)")
	fs.BoolVar(&f.noHosts, "no-hosts", false, "leave the image's /etc/hosts alone")

	fs.StringArrayVar(&f.capAdd, "cap-add", nil, "capability to add (repeatable)")
	fs.StringArrayVar(&f.capDrop, "cap-drop", nil, "capability to drop (repeatable)")
	fs.StringArrayVar(&f.securityOpt, "security-opt", nil, "security option (repeatable)")
	fs.StringArrayVar(&f.groupAdd, "group-add", nil, "supplementary group (repeatable)")
	fs.StringArrayVar(&f.ulimit, "ulimit", nil, "NAME=SOFT[:HARD], or host (repeatable)")
	fs.StringArrayVar(&f.sysctl, "sysctl", nil, "NAME=VALUE (repeatable)")
	fs.StringVar(&f.userns, "userns", "", "user namespace: host, keep-id[:uid=N,gid=N]")
	fs.StringVar(&f.pid, "pid", "", "PID namespace: private, host, container:NAME, ns:PATH")
	fs.StringVar(&f.ipc, "ipc", "", "IPC namespace: private, host, container:NAME, ns:PATH")
	fs.StringVar(&f.uts, "uts", "", "UTS namespace: private, host, container:NAME, ns:PATH")
	fs.StringVar(&f.cgroupns, "cgroupns", "", "cgroup namespace: private, host, container:NAME, ns:PATH")

	fs.StringVarP(&f.memory, "memory", "m", "", "limit of memory: 512m")
	fs.StringVar(&f.memorySwap, "memory-swap", "", "limit of memory and swap, -1 for none (default twice --memory)")
	fs.StringVar(&f.memoryReservation, "memory-reservation", "", "soft limit of memory")
	fs.StringVar(&f.cpus, "cpus", "", "number of CPUs: 1.5")
	fs.Uint64VarP(&f.cpuShares, "cpu-shares", "c", 0, "CPU weight against other containers")
	fs.Uint64Var(&f.cpuPeriod, "cpu-period", 0, "CFS period, microseconds")
	fs.Int64Var(&f.cpuQuota, "cpu-quota", 0, "CFS quota, microseconds")
	fs.StringVar(&f.cpusetCpus, "cpuset-cpus", "", "CPUs it may use: 0-2,4")
	fs.StringVar(&f.cpusetMems, "cpuset-mems", "", "memory nodes it may use")
	fs.Int64Var(&f.pidsLimit, "pids-limit", 0, "limit of processes, -1 for none (default 2048)")
	fs.IntVar(&f.oomScoreAdj, "oom-score-adj", 0, "how readily the kernel kills it for memory, -1000 to 1000")

	fs.StringVar(&f.logDriver, "log-driver", "", "k8s-file, json-file, passthrough or none (default k8s-file)")
	fs.StringArrayVar(&f.logOpt, "log-opt", nil, "path=, max-size=, max-file= or tag= (repeatable)")
	fs.StringVar(&f.healthCmd, "health-cmd", "", "command that tells whether it is well, or none")
	fs.StringVar(&f.healthInterval, "health-interval", "", "time between checks, or disable (default 30s)")
	fs.StringVar(&f.healthTimeout, "health-timeout", "", "time a check may take (default 30s)")
	fs.StringVar(&f.healthStart, "health-start-period", "", "time in which failed checks do not count")
	fs.IntVar(&f.healthRetries, "health-retries", 3, "failed checks in a row that make it unhealthy")
	fs.StringVar(&f.healthOnFailure, "health-on-failure", "", "what then happens: none, kill, restart, stop")
	fs.BoolVar(&f.noHealth, "no-healthcheck", false, "run no health check")

	fs.StringVar(&f.pull, "pull", "missing", "when to pull the image: always, missing, never, newer")
	fs.StringVar(&f.platform, "platform", "", "OS/ARCH[/VARIANT] of the image")
	fs.StringVar(&f.os, "os", "", "operating system of the image")
	fs.StringVar(&f.arch, "arch", "", "architecture of the image")
	fs.StringVar(&f.variant, "variant", "", "variant of the architecture")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "do not show the progress of a pull")
	fs.UintVar(&f.retry, "retry", 3, "times to try a failed pull again")
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
		Name: f.name, Image: args[0], Args: args[1:],

		User: f.user, GroupAdd: f.groupAdd, WorkingDir: f.workdir, Umask: f.umask, Terminal: f.tty, Interactive: f.interactive,
		Init: given(f, "init", f.init), InitPath: f.initPath, Ulimits: f.ulimit, OOMScoreAdj: given(f, "oom-score-adj", f.oomScoreAdj),
		Entries: libctr.UserEntries{None: !f.passwd, Passwd: f.passwdEntry, Group: f.groupEntry},

		ReadOnly: given(f, "read-only", f.readOnly), ReadOnlyTmpfs: given(f, "read-only-tmpfs", f.readOnlyTmpfs),
		Volumes: f.volume, Mounts: f.mount, Tmpfs: f.tmpfs, Devices: f.device,

		Hostname: f.hostname, Publish: f.publish, PublishAll: f.publishAll, Expose: f.expose,
		DNS: f.dns, DNSSearch: f.dnsSearch, DNSOptions: f.dnsOption, AddHosts: f.addHost, NoHosts: given(f, "no-hosts", f.noHosts),

		PID: f.pid, IPC: f.ipc, UTS: f.uts, CgroupNS: f.cgroupns, UserNS: f.userns,
		Privileged: given(f, "privileged", f.privileged), CapAdd: f.capAdd, CapDrop: f.capDrop, SecurityOpt: f.securityOpt, Sysctls: f.sysctl,

		AutoRemove: f.rm, StopSignal: f.stopSignal, StopTimeout: given(f, "stop-timeout", f.stopTimeout), Timeout: f.timeout,
		LogDriver: f.logDriver, LogOpts: f.logOpt,
		Health: spec.HealthFlags{
			None: f.noHealth, Cmd: given(f, "health-cmd", f.healthCmd), Interval: f.healthInterval, Timeout: f.healthTimeout,
			StartPeriod: f.healthStart, Retries: given(f, "health-retries", f.healthRetries), OnFailure: f.healthOnFailure,
		},

		IDFile: f.cidfile,
	}
	if f.set.Changed("entrypoint") {
		o.Entrypoint = spec.ParseEntrypoint(f.entrypoint)
	}
	if f.set.Changed("image-volume") {
		o.ImageVolumes = f.imageVolume
	}
	if f.set.Changed("restart") {
		o.Restart = f.restart
	}
	for _, stage := range []func(*libctr.CreateOptions) error{f.pullOptions, f.environment, f.labels, f.network, f.resources} {
		if err := stage(&o); err != nil {
			return o, err
		}
	}
	return o, nil
}

// given points to a flag's value, or is nil where the flag was not given.
func given[T any](f *Create, name string, value T) *T {
	if !f.set.Changed(name) {
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
	o.Pull.Retries = given(f, "retry", f.retry)
	o.Pull.RegistryOptions, err = f.registry.Options()
	return err
}

// environment reads files and the caller's variables: files first, so that --env overrides them.
func (f *Create) environment(o *libctr.CreateOptions) error {
	host := os.Environ()
	o.Env = libctr.EnvOptions{Host: given(f, "env-host", f.envHost), HTTPProxy: given(f, "http-proxy", f.httpProxy), Unset: f.unsetenv, UnsetAll: f.unsetenvAll}
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
	switch len(f.networks) {
	case 0:
	case 1:
		if o.Network = f.networks[0]; o.Network == "" {
			o.Network = "private" // given, and so not what containers.conf says
		}
	default:
		err := field.Errorf("%s was given twice: several networks need bridge networks, which this version does not have", field.Name("network"))
		return hint.Add(err, "give one --network")
	}
	return nil
}

// resources reads sizes and numbers; what contradicts each other, the engine sees.
func (f *Create) resources(o *libctr.CreateOptions) (err error) {
	r := &o.Resources
	for _, v := range []struct {
		name  field.Name
		value string
		to    *int64
	}{{"memory", f.memory, &r.Memory}, {"memory-reservation", f.memoryReservation, &r.MemoryReservation}} {
		if v.value == "" {
			continue
		}
		if *v.to, err = spec.ParseSize(v.name, v.value); err != nil {
			return err
		}
	}
	if f.memorySwap != "" {
		if r.MemorySwap, err = spec.ParseMemorySwap(f.memorySwap); err != nil {
			return err
		}
	}
	if f.cpus != "" {
		if r.NanoCPUs, err = spec.ParseCPUs(f.cpus); err != nil {
			return err
		}
	}
	r.CpusetCpus, r.CpusetMems = f.cpusetCpus, f.cpusetMems
	r.CPUShares, r.CPUPeriod, r.CPUQuota = f.cpuShares, f.cpuPeriod, f.cpuQuota
	r.PidsLimit = given(f, "pids-limit", f.pidsLimit)
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
