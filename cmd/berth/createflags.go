package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/etcfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/network"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.podman.io/common/pkg/config"
)

// createFlags are the flags of create and run, as they were given; options turns them into what the engine takes.
type createFlags struct {
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
	registry                                              registryFlags
	retry                                                 uint
}

// bind adds the flags that create and run share; names and meanings are podman's.
func (f *createFlags) bind(fs *pflag.FlagSet) {
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
	fs.StringArrayVar(&f.networks, "net", nil, "the same as --network")
	_ = fs.MarkHidden("net")
	fs.StringArrayVarP(&f.publish, "publish", "p", nil, "[[IP:][HOSTPORT]:]PORT[/tcp|udp] (repeatable)")
	fs.BoolVarP(&f.publishAll, "publish-all", "P", false, "publish every port that the image exposes")
	fs.StringArrayVar(&f.expose, "expose", nil, "port or range that --publish-all publishes too (repeatable)")
	fs.StringArrayVar(&f.dns, "dns", nil, "DNS server, or none to leave resolv.conf alone (repeatable)")
	fs.StringArrayVar(&f.dnsSearch, "dns-search", nil, "DNS search domain (repeatable)")
	fs.StringArrayVar(&f.dnsOption, "dns-option", nil, "option in resolv.conf (repeatable)")
	fs.StringArrayVar(&f.dnsOption, "dns-opt", nil, "the same as --dns-option")
	_ = fs.MarkHidden("dns-opt")
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
	f.registry.bind(fs)
}

// options checks the flags and turns them into the engine's.
func (f *createFlags) options(cmd *cobra.Command, e *libctr.Engine, args []string) (o libctr.CreateOptions, err error) {
	conf, err := e.Config()
	if err != nil {
		return o, err
	}
	given := cmd.Flags().Changed
	o = libctr.CreateOptions{
		Name: f.name, Image: args[0], Args: args[1:], User: f.user, GroupAdd: f.groupAdd, Interactive: f.interactive, AutoRemove: f.rm,
		Init: f.init || conf.Containers.Init, InitPath: f.initPath, Timeout: f.timeout, UserNS: f.userns, IDFile: f.cidfile, Secure: f.securityOpt,
	}
	if !given("privileged") {
		f.privileged = conf.Containers.Privileged
	}
	if !given("image-volume") && conf.Engine.ImageVolumeMode != "" {
		f.imageVolume = conf.Engine.ImageVolumeMode
	}
	if !given("pull") && conf.Engine.PullPolicy != "" {
		f.pull = conf.Engine.PullPolicy
	}
	for name, line := range map[field.Name]string{"passwd-entry": f.passwdEntry, "group-entry": f.groupEntry} {
		if err := etcfile.OneLine(line); err != nil {
			return o, field.Errorf("%s %q: %w", name, line, err)
		}
	}
	o.Entries = libctr.UserEntries{None: !f.passwd, Passwd: f.passwdEntry, Group: f.groupEntry}
	if o.Spec, err = e.ConfSpec(); err != nil {
		return o, err
	}
	o.Spec.ReadOnly, o.Spec.Terminal, o.Spec.Privileged = f.readOnly || conf.Containers.ReadOnly, f.tty, f.privileged
	o.NameAsHostname = conf.Containers.ContainerNameAsHostName
	o.Spec.Hostname, o.Spec.WorkingDir = f.hostname, f.workdir
	if size, ok := terminalSize(); ok && f.tty {
		o.Spec.TTYSize = spec.TTYSize{Rows: uint(size.Rows), Cols: uint(size.Cols)}
	}
	if f.rm && f.restart != "no" && f.restart != "" {
		return o, errors.New("--rm and --restart exclude each other")
	}
	if given("entrypoint") {
		o.Entrypoint = spec.ParseEntrypoint(f.entrypoint)
	}
	if o.Spec.Security, err = e.Security(f.securityOpt, f.privileged); err != nil {
		return o, err
	}
	for _, stage := range []func(*cobra.Command, *config.Config, *libctr.CreateOptions) error{
		f.pullOptions, f.environment, f.storage, f.network, f.security, f.resources, f.life,
	} {
		if err := stage(cmd, conf, &o); err != nil {
			return o, err
		}
	}
	return o, nil
}

func (f *createFlags) pullOptions(cmd *cobra.Command, _ *config.Config, o *libctr.CreateOptions) (err error) {
	if o.Pull.Policy, err = image.ParsePolicy(f.pull); err != nil {
		return err
	}
	if o.Pull.Platform, err = platform(f.platform, f.os, f.arch, f.variant); err != nil {
		return err
	}
	if cmd.Flags().Changed("retry") {
		o.Pull.Retries = &f.retry
	}
	o.Pull.RegistryOptions, err = f.registry.options(cmd)
	o.Progress = progress(f.quiet)
	return err
}

func (f *createFlags) environment(_ *cobra.Command, conf *config.Config, o *libctr.CreateOptions) (err error) {
	host := os.Environ()
	o.Env = spec.EnvOptions{Defaults: conf.Containers.Env.Get(), Unset: f.unsetenv, UnsetAll: f.unsetenvAll}
	switch {
	case f.envHost || conf.Containers.EnvHost:
		o.Env.Host = host
	case f.httpProxy && conf.Containers.HTTPProxy:
		o.Env.Host = spec.ProxyEnv(host)
	}
	for _, path := range f.envFile {
		vars, err := spec.ReadEnvFile(path, host)
		if err != nil {
			return err
		}
		o.Env.Files = append(o.Env.Files, vars...)
	}
	if o.Env.Flags, err = spec.ParseEnv(f.env, host); err != nil {
		return err
	}
	o.Labels = map[string]string{}
	for _, path := range f.labelFile {
		labels, err := spec.ReadLabelFile(path)
		if err != nil {
			return err
		}
		for k, v := range labels {
			o.Labels[k] = v
		}
	}
	labels, err := spec.ParseLabels("label", f.label)
	if err != nil {
		return err
	}
	for k, v := range labels {
		o.Labels[k] = v
	}
	o.Spec.Annotations, err = spec.ParseLabels("annotation", append(conf.Containers.Annotations.Get(), f.annotation...))
	return err
}

func (f *createFlags) storage(_ *cobra.Command, conf *config.Config, o *libctr.CreateOptions) (err error) {
	o.Mounts = spec.MountOptions{
		Volumes: f.volume, Mounts: f.mount, Tmpfs: f.tmpfs, ConfVolumes: conf.Volumes(), ConfMounts: conf.Mounts(), ImagePolicy: f.imageVolume,
		ReadOnlyTmpfs: o.Spec.ReadOnly && f.readOnlyTmpfs,
	}
	if size := f.shmSize; size != "" {
		if o.Spec.ShmSize, err = spec.ParseSize("shm-size", size); err != nil {
			return err
		}
	}
	for i, v := range slices.Concat(conf.Containers.Devices.Get(), f.device) {
		d, err := spec.ParseDevice(v)
		if err != nil {
			return err
		}
		found, err := spec.StatDevice(d)
		if errors.Is(err, fs.ErrNotExist) && i < len(conf.Containers.Devices.Get()) {
			continue // a default that this host does not have
		}
		if err != nil {
			return err
		}
		o.Spec.Devices = append(o.Spec.Devices, found...)
	}
	if f.privileged {
		all, err := spec.ListDevices()
		if err != nil {
			return err
		}
		o.Spec.Devices = append(all, o.Spec.Devices...)
	}
	return nil
}

func (f *createFlags) network(_ *cobra.Command, conf *config.Config, o *libctr.CreateOptions) error {
	if len(f.networks) > 1 {
		return hint.Add(errors.New("--network was given twice: several networks need bridge networks, which this version does not have"), "give one --network")
	}
	word := ""
	if len(f.networks) == 1 {
		word = f.networks[0]
	} else if n := conf.Containers.NetNS; n != "private" && n != "bridge" {
		word = n
	}
	mode, err := network.ParseMode(word)
	if err != nil {
		return fmt.Errorf("--network: %w", err)
	}
	ports, err := network.ParsePublish(f.publish)
	if err != nil {
		return err
	}
	if ports, err = network.BindTo(ports, conf.Network.DefaultHostIPs.Get()); err != nil {
		return fmt.Errorf("default_host_ips of containers.conf: %w", err)
	}
	o.PublishAll, o.Expose, o.NoHosts = f.publishAll, f.expose, f.noHosts || conf.Containers.NoHosts
	if o.NoHosts && len(f.addHost) > 0 {
		return errors.New("--no-hosts and --add-host exclude each other")
	}
	if _, err := network.ParseExposed(f.expose); err != nil {
		return err
	}
	o.Network = network.Options{Mode: mode, Ports: ports, DNS: f.dns, DNSSearch: f.dnsSearch, DNSOptions: f.dnsOption, AddHosts: f.addHost}
	for _, d := range []struct {
		to   *[]string
		conf []string
	}{
		{&o.Network.DNS, conf.Containers.DNSServers.Get()}, {&o.Network.DNSSearch, conf.Containers.DNSSearches.Get()}, {&o.Network.DNSOptions, conf.Containers.DNSOptions.Get()},
	} {
		if len(*d.to) == 0 {
			*d.to = d.conf
		}
	}
	return nil
}

func (f *createFlags) security(cmd *cobra.Command, conf *config.Config, o *libctr.CreateOptions) (err error) {
	s := &o.Spec
	if f.umask != "" {
		s.Umask = f.umask
	}
	if s.CapAdd, err = spec.ParseCaps("cap-add", f.capAdd); err != nil {
		return err
	}
	if s.CapDrop, err = spec.ParseCaps("cap-drop", f.capDrop); err != nil {
		return err
	}
	if s.Ulimits, err = spec.ParseUlimits(f.ulimit, s.Host); err != nil {
		return err
	}
	if s.Sysctls, err = spec.ParseSysctls(f.sysctl); err != nil {
		return err
	}
	if s.UserNS, err = spec.ParseUserNS(orConf(f.userns, conf.Containers.UserNS)); err != nil {
		return fromConf(f.userns, "userns", err)
	}
	if f.userns == "" && !s.Host.Rootless && s.UserNS.Nested() {
		s.UserNS = spec.UserNS{} // a default that is for users other than root
	}
	if o.UserNS = f.userns; s.UserNS.Nested() {
		o.UserNS = orConf(f.userns, conf.Containers.UserNS)
	}
	if s.UserNS.Mode == "nomap" {
		return hint.Add(errors.New("--userns nomap is not supported: the container's users could not reach its root file system"), "use --userns keep-id, or host")
	}
	for _, ns := range []struct {
		name        field.Name
		value, conf string
		to          *spec.Namespace
	}{
		{"pid", f.pid, conf.Containers.PidNS, &s.PID}, {"ipc", f.ipc, conf.Containers.IPCNS, &s.IPC},
		{"uts", f.uts, conf.Containers.UTSNS, &s.UTS}, {"cgroupns", f.cgroupns, conf.Containers.CgroupNS, &s.CgroupNS},
	} {
		if *ns.to, err = spec.ParseNamespace(ns.name, orConf(ns.value, ns.conf)); err != nil {
			return fromConf(ns.value, strings.TrimSuffix(string(ns.name), "ns")+"ns", err)
		}
	}
	if cmd.Flags().Changed("oom-score-adj") {
		if f.oomScoreAdj < -1000 || f.oomScoreAdj > 1000 {
			return fmt.Errorf("--oom-score-adj %d: must be from -1000 to 1000", f.oomScoreAdj)
		}
		s.OOMScoreAdj = &f.oomScoreAdj
	}
	return nil
}

// orConf is the flag's value, or that of containers.conf where the flag was not given.
func orConf(flag, conf string) string {
	if flag != "" {
		return flag
	}
	return conf
}

// fromConf says where a wrong value comes from: the error names the flag, which may not have been given.
func fromConf(flag, key string, err error) error {
	if flag != "" {
		return err
	}
	return fmt.Errorf("%s of containers.conf: %w", key, err)
}

func (f *createFlags) resources(cmd *cobra.Command, conf *config.Config, o *libctr.CreateOptions) (err error) {
	r := &o.Spec.Resources
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
	for _, v := range []struct {
		name  field.Name
		value string
		to    *string
	}{{"cpuset-cpus", f.cpusetCpus, &r.CpusetCpus}, {"cpuset-mems", f.cpusetMems, &r.CpusetMems}} {
		if v.value == "" {
			continue
		}
		if *v.to, err = spec.ParseCPUSet(v.name, v.value); err != nil {
			return err
		}
	}
	r.CPUShares, r.CPUPeriod, r.CPUQuota = f.cpuShares, f.cpuPeriod, f.cpuQuota
	if cmd.Flags().Changed("pids-limit") {
		if r.PidsLimit = f.pidsLimit; r.PidsLimit == 0 {
			r.PidsLimit = -1 // podman-run(1): 0 is no limit
		}
	}
	return nil
}

// life is what happens while the container runs and when it ends.
func (f *createFlags) life(cmd *cobra.Command, conf *config.Config, o *libctr.CreateOptions) (err error) {
	if o.Restart, err = spec.ParseRestart(f.restart); err != nil {
		return err
	}
	if f.stopSignal != "" {
		if o.StopSignal, err = spec.ParseSignal(f.stopSignal); err != nil {
			return fmt.Errorf("--stop-signal: %w", err)
		}
	}
	if cmd.Flags().Changed("stop-timeout") {
		o.StopTimeout = &f.stopTimeout
	}
	driver := f.logDriver
	if driver == "" && conf.Containers.LogDriver != "journald" { // the default of a build for systemd; Berth's is k8s-file
		driver = conf.Containers.LogDriver
	}
	opts := f.logOpt
	if conf.Containers.LogTag != "" && !slices.ContainsFunc(opts, func(o string) bool { return strings.HasPrefix(o, "tag=") }) {
		opts = append([]string{"tag=" + conf.Containers.LogTag}, opts...)
	}
	if o.Log, err = spec.ParseLog(driver, opts); err != nil {
		return err
	}
	o.Health = spec.HealthFlags{None: f.noHealth, Interval: f.healthInterval, Timeout: f.healthTimeout, StartPeriod: f.healthStart, OnFailure: f.healthOnFailure}
	if cmd.Flags().Changed("health-cmd") {
		o.Health.Cmd = &f.healthCmd
	}
	if cmd.Flags().Changed("health-retries") {
		o.Health.Retries = &f.healthRetries
	}
	return nil
}

// platform joins --platform and its parts.
func platform(whole, osName, arch, variant string) (p image.Platform, err error) {
	if whole != "" {
		if osName != "" || arch != "" || variant != "" {
			return p, errors.New("--platform excludes --os, --arch and --variant")
		}
		return image.ParsePlatform(whole)
	}
	return image.Platform{OS: osName, Architecture: arch, Variant: variant}, nil
}
