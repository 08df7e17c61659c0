// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/etcfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/journald"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/network"
	"go.podman.io/common/pkg/config"
)

// settled is what a caller's options and containers.conf together come to. Only the image, and what there is on this host, can
// still add to it.
type settled struct {
	spec     spec.Options
	env      spec.EnvOptions
	mountsOf spec.MountOptions
	secrets  []spec.Secret
	net      network.Options
	log      spec.Log
	restart  record.Restart
	memory   *record.Memory // in which the layer is; nil is the disk

	pullPolicy     image.Policy
	stopSignal     syscall.Signal // 0 is the image's
	stopTimeout    uint
	sdNotify       string
	init           bool
	noHosts        bool
	noHostname     bool
	privateIPC     bool // not shareable
	timezone       string
	cdi, cdiDirs   []string // devices that files describe, and where these are
	nameAsHostname bool
	userns         string // as it was asked for, or containers.conf's where it makes a namespace
}

// settle is the one place where options and containers.conf come together. What is wrong with either is an error here, before
// anything of the container exists.
func (e *Engine) settle(o *CreateOptions) (s settled, err error) {
	conf, err := e.conf()
	if err != nil {
		return s, err
	}
	if s.spec, err = e.ConfSpec(); err != nil {
		return s, err
	}
	for _, stage := range []func(*CreateOptions, *config.Config) error{s.image, s.process, s.files, s.network, s.namespaces, s.limits, s.life} {
		if err := stage(o, conf); err != nil {
			return s, err
		}
	}
	if err := e.settleLog(&s, o, conf); err != nil {
		return s, err
	}
	if s.memory, err = parseStorage(o.Storage); err == nil && s.memory != nil {
		err = e.canBeInMemory(o)
	}
	if err != nil {
		return s, err
	}
	if err := s.checkIDMaps(); err != nil {
		return s, err
	}
	s.spec.Security, err = e.Security(o.SecurityOpt, s.spec.Privileged)
	return s, err
}

// said is what the caller wants, or, where he has not said, what the configuration does.
func said[T any](want *T, conf T) T {
	if want != nil {
		return *want
	}
	return conf
}

// saidList is said for lists.
func saidList(want, conf []string) []string {
	if want != nil {
		return want
	}
	return conf
}

// fromConf says where a wrong value comes from if it is not the caller's, whose field the error names.
func fromConf(want, key string, err error) error {
	if err == nil || want != "" {
		return err
	}
	return fmt.Errorf("%s of containers.conf: %w", key, err)
}

func (s *settled) image(o *CreateOptions, conf *config.Config) (err error) {
	want := string(o.Pull.Policy)
	if s.pullPolicy, err = image.ParsePolicy(cmp.Or(want, conf.Engine.PullPolicy)); err != nil {
		return field.In("pull", fromConf(want, "pull_policy", err))
	}
	return nil
}

func (s *settled) process(o *CreateOptions, conf *config.Config) error {
	c := &conf.Containers
	p := &s.spec
	p.Terminal, p.TTYSize, p.WorkingDir, p.Hostname = o.Terminal, o.TTYSize, o.WorkingDir, o.Hostname
	if err := spec.CheckWorkingDir(p.WorkingDir); err != nil {
		return err
	}
	if p.Hostname != "" { // in every UTS namespace: it stands in /etc/hosts and /etc/hostname
		if err := spec.CheckHostname(p.Hostname); err != nil {
			return err
		}
	}
	if p.Umask = cmp.Or(o.Umask, p.Umask); p.Umask != "" {
		if _, err := spec.ParseUmask(p.Umask); err != nil {
			return fromConf(o.Umask, "umask", err)
		}
	}
	s.init = said(o.Init, c.Init)
	if score := o.OOMScoreAdj; score != nil {
		if *score < -1000 || *score > 1000 {
			return field.Errorf("%s %d: must be from -1000 to 1000", field.Name("oom-score-adj"), *score)
		}
		p.OOMScoreAdj = score
	}

	s.env = spec.EnvOptions{Defaults: c.Env.Get(), Merge: o.Env.Merge, Flags: o.Env.Vars, Unset: o.Env.Unset, UnsetAll: o.Env.UnsetAll}
	switch {
	case said(o.Env.Host, c.EnvHost):
		s.env.Host = os.Environ()
	case said(o.Env.HTTPProxy, c.HTTPProxy):
		s.env.Host = spec.ProxyEnv(os.Environ())
	}

	annotations, err := spec.ParseLabels("annotation", c.Annotations.Get())
	if err != nil {
		return fromConf("", "annotations", err)
	}
	maps.Copy(annotations, o.Annotations)
	p.Annotations = annotations

	for name, line := range map[field.Name]string{"passwd-entry": o.Entries.Passwd, "group-entry": o.Entries.Group} {
		if err := etcfile.OneLine(line); err != nil {
			return field.Errorf("%s %q: %w", name, line, err)
		}
	}
	return nil
}

func (s *settled) files(o *CreateOptions, conf *config.Config) (err error) {
	c := &conf.Containers
	s.spec.ReadOnly, s.spec.Privileged = said(o.ReadOnly, c.ReadOnly), said(o.Privileged, c.Privileged)
	s.mountsOf = spec.MountOptions{
		Volumes: o.Volumes, Mounts: o.Mounts, Tmpfs: o.Tmpfs, ConfVolumes: conf.Volumes(), ConfMounts: conf.Mounts(),
		ImagePolicy:   cmp.Or(o.ImageVolumes, conf.Engine.ImageVolumeMode),
		ReadOnlyTmpfs: s.spec.ReadOnly && said(o.ReadOnlyTmpfs, true),
	}
	if _, err := spec.Mounts(s.mountsOf); err != nil { // before there is an image, whose volumes will be among them
		return err
	}
	if s.secrets, err = parseSecrets(o.Secrets); err != nil {
		return err
	}
	if s.timezone = cmp.Or(o.Timezone, c.TZ); s.timezone != "" {
		if _, err := readTimezone(s.timezone); err != nil {
			return fromConf(o.Timezone, "tz", field.Errorf("%s %q: %w", field.Name("tz"), s.timezone, err))
		}
	}
	for _, dir := range o.ChrootDirs {
		if !filepath.IsAbs(dir) {
			return field.Errorf("%s %q: want an absolute path", field.Name("chrootdirs"), dir)
		}
		s.spec.ChrootDirs = append(s.spec.ChrootDirs, filepath.Clean(dir))
	}
	switch o.Systemd {
	case "", "true", "false", "always":
	default:
		return field.Errorf("%s %q: want true, false or always", field.Name("systemd"), o.Systemd)
	}
	switch o.SeccompPolicy {
	case "", "default", "image":
	default:
		return field.Errorf("%s %q: want default or image", field.Name("seccomp-policy"), o.SeccompPolicy)
	}
	if o.ShmSize != nil {
		s.spec.ShmSize = o.ShmSize
	}

	if s.spec.Privileged {
		if s.spec.Devices, err = spec.ListDevices(); err != nil {
			return err
		}
	}
	for _, v := range c.Devices.Get() {
		found, err := findDevice(v)
		if errors.Is(err, fs.ErrNotExist) {
			continue // a default that this host does not have: decisions/0010
		}
		if err != nil {
			return fromConf("", "devices", err)
		}
		s.spec.Devices = append(s.spec.Devices, found...)
	}
	s.cdiDirs = conf.Engine.CdiSpecDirs.Get()
	for _, v := range o.Devices {
		if isCDI(v) {
			s.cdi = append(s.cdi, v)
			continue
		}
		found, err := findDevice(v)
		if err != nil {
			return err
		}
		s.spec.Devices = append(s.spec.Devices, found...)
	}
	return nil
}

// checkIDMaps refuses what the kernel cannot do: mount_setattr(2) wants the privileges of the file system's own user namespace.
func (s *settled) checkIDMaps() error {
	mounts, err := spec.Mounts(s.mountsOf)
	if err != nil {
		return err
	}
	for _, m := range mounts {
		switch {
		case !m.MapsIDs():
		case s.spec.Host.Rootless:
			return hint.Add(fmt.Errorf("mount %s: option idmap: the kernel lets only root map the IDs of a mount", m.Destination), "use the option U, or %s keep-id", field.Name("userns"))
		case !s.spec.UserNS.Nested():
			return fmt.Errorf("mount %s: option idmap needs a user namespace: give %s", m.Destination, field.Name("userns"))
		}
	}
	return nil
}

func findDevice(value string) ([]spec.Device, error) {
	d, err := spec.ParseDevice(value)
	if err != nil {
		return nil, err
	}
	return spec.FindDevices(d)
}

func (s *settled) network(o *CreateOptions, conf *config.Config) error {
	c := &conf.Containers
	words := o.Network
	if n := c.NetNS; len(words) == 0 && n != "" {
		words = []string{n}
	}
	mode, err := network.ParseModes(words)
	if err == nil {
		err = mode.SetEach(o.IPs, o.MAC, o.Aliases)
	}
	if err != nil {
		return fromConf(strings.Join(o.Network, ","), "netns", field.Errorf("%s: %w", field.Name("network"), err))
	}
	ports, err := network.ParsePublish(o.Publish)
	if err != nil {
		return field.In("publish", err)
	}
	if ports, err = network.BindTo(ports, conf.Network.DefaultHostIPs.Get()); err != nil {
		return fmt.Errorf("default_host_ips of containers.conf: %w", err)
	}
	if _, err := network.ParseExposed(o.Expose); err != nil {
		return field.In("expose", err)
	}
	if s.noHosts = said(o.NoHosts, c.NoHosts); s.noHosts && len(o.AddHosts) > 0 {
		return field.Errorf("%s and %s exclude each other", field.Name("no-hosts"), field.Name("add-host"))
	}
	if err := network.CheckDNS(o.DNS, o.DNSSearch, o.DNSOptions); err != nil {
		return err
	}
	if s.noHosts && o.HostsFile != "" {
		return field.Errorf("%s and %s exclude each other", field.Name("no-hosts"), field.Name("hosts-file"))
	}
	if f := o.HostsFile; f != "" && f != "none" && f != "image" {
		if _, err := os.Stat(f); err != nil {
			return field.Errorf("%s: %w", field.Name("hosts-file"), err)
		}
	}
	s.noHostname = said(o.NoHostname, false)
	s.nameAsHostname = c.ContainerNameAsHostName
	s.net = network.Options{
		Mode: mode, Ports: ports, AddHosts: o.AddHosts, BaseHosts: o.HostsFile,
		DNS:        saidList(o.DNS, c.DNSServers.Get()),
		DNSSearch:  saidList(o.DNSSearch, c.DNSSearches.Get()),
		DNSOptions: saidList(o.DNSOptions, c.DNSOptions.Get()),
	}
	return nil
}

func (s *settled) namespaces(o *CreateOptions, conf *config.Config) (err error) {
	c := &conf.Containers
	for _, ns := range []struct {
		name       field.Name
		want, conf string
		key        string
		to         *spec.Namespace
	}{
		{"pid", o.PID, c.PidNS, "pidns", &s.spec.PID}, {"ipc", o.IPC, c.IPCNS, "ipcns", &s.spec.IPC},
		{"uts", o.UTS, c.UTSNS, "utsns", &s.spec.UTS}, {"cgroupns", o.CgroupNS, c.CgroupNS, "cgroupns", &s.spec.CgroupNS},
	} {
		if *ns.to, err = spec.ParseNamespace(ns.name, cmp.Or(ns.want, ns.conf)); err != nil {
			return fromConf(ns.want, ns.key, err)
		}
	}
	s.privateIPC = cmp.Or(o.IPC, c.IPCNS) == "private"

	u, err := spec.ParseUserNS(cmp.Or(o.UserNS, c.UserNS))
	if err != nil {
		return fromConf(o.UserNS, "userns", err)
	}
	if o.UserNS == "" && !s.spec.Host.Rootless && u.Nested() {
		u = spec.UserNS{} // a default that is for users other than root
	}
	maps, err := userMaps(o, s.spec.Host)
	switch {
	case err != nil:
		return err
	case maps != nil:
		u, o.UserNS = *maps, "private"
	case u.Mode == "private":
		return hint.Add(field.Errorf("%s private: the IDs of the namespace are missing", field.Name("userns")), "give %s and %s", field.Name("uidmap"), field.Name("gidmap"))
	}
	if u.Mode == "nomap" {
		if _, _, err := u.Mappings(s.spec.Host); err != nil {
			return err
		}
	}
	if s.spec.UserNS, s.userns = u, o.UserNS; u.Nested() {
		s.userns = cmp.Or(o.UserNS, c.UserNS)
	}
	return nil
}

func (s *settled) limits(o *CreateOptions, _ *config.Config) (err error) {
	p := &s.spec
	if p.CapAdd, err = spec.ParseCaps("cap-add", o.CapAdd); err != nil {
		return err
	}
	if p.CapDrop, err = spec.ParseCaps("cap-drop", o.CapDrop); err != nil {
		return err
	}
	if p.Ulimits, err = spec.ParseUlimits(o.Ulimits, p.Host); err != nil {
		return err
	}
	if p.Sysctls, err = spec.ParseSysctls(o.Sysctls); err != nil {
		return err
	}
	byDefault := p.Resources.PidsDefault
	p.Resources = o.Resources
	p.Resources.PidsDefault = byDefault
	if err := p.Resources.BlockIO.Stat(); err != nil {
		return err
	}
	if p.DeviceRules, err = spec.ParseDeviceRules(o.DeviceRules); err != nil {
		return err
	}
	if len(p.DeviceRules) > 0 && p.Host.Rootless {
		return field.Errorf("%s: device cgroup rules are not supported in rootless mode or in a user namespace", field.Name("device-cgroup-rule"))
	}
	switch p.Personality = o.Personality; o.Personality {
	case "", "LINUX", "LINUX32":
	default:
		return field.Errorf("%s %q: want LINUX or LINUX32", field.Name("personality"), o.Personality)
	}
	if p.RdtClass = o.RdtClass; o.RdtClass != "" {
		if err := checkRdt(p.Host.Rootless); err != nil {
			return err
		}
	}
	if err := checkCgroups(o.Cgroups, o.CgroupParent); err != nil {
		return err
	}
	return p.Resources.Check()
}

// checkRdt refuses a class of Intel's RDT where there are none (resctrl, in the kernel's documentation).
func checkRdt(rootless bool) error {
	if rootless {
		return field.Errorf("%s: not supported in rootless mode", field.Name("rdt-class"))
	}
	if !exists("/sys/fs/resctrl/schemata") {
		return hint.Add(field.Errorf("%s: this host's kernel offers no Intel RDT at /sys/fs/resctrl", field.Name("rdt-class")), "where the processor has it: mount -t resctrl resctrl /sys/fs/resctrl")
	}
	return nil
}

// life is what happens while the container runs and when it ends.
func (s *settled) life(o *CreateOptions, conf *config.Config) (err error) {
	if s.restart, err = spec.ParseRestart(o.Restart); err != nil {
		return err
	}
	if o.AutoRemove && s.restart.Policy != "no" {
		return field.Errorf("%s and %s exclude each other", field.Name("rm"), field.Name("restart"))
	}
	if o.StopSignal != "" {
		if s.stopSignal, err = spec.ParseSignal(o.StopSignal); err != nil {
			return field.Errorf("%s: %w", field.Name("stop-signal"), err)
		}
	}
	if s.sdNotify, err = parseNotify(o.SdNotify); err != nil {
		return err
	}
	s.stopTimeout = said(o.StopTimeout, conf.Engine.StopTimeout)
	return nil
}

// defaultLogDriver is the log driver of containers where nobody names one. journald is the default of the configuration in a build for systemd, and
// not Berth's: it counts where a file says it, and journald runs.
func (e *Engine) defaultLogDriver(conf *config.Config) string {
	driver := conf.Containers.LogDriver
	if driver == record.Journald && (journald.Available() != nil || !e.isSet("containers.log_driver")) {
		driver = ""
	}
	return cmp.Or(driver, string(logfile.K8s))
}

func (e *Engine) settleLog(s *settled, o *CreateOptions, conf *config.Config) (err error) {
	driver := cmp.Or(o.LogDriver, e.defaultLogDriver(conf))
	if _, err := spec.ParseLog(driver, nil); err != nil {
		return fromConf(o.LogDriver, "log_driver", err)
	}
	if driver == record.Journald {
		if err := journald.Available(); err != nil {
			return hint.Add(field.Errorf("%s journald: systemd-journald does not run here: %w", field.Name("log-driver"), err), "use %s k8s-file", field.Name("log-driver"))
		}
	}
	opts := o.LogOpts
	if tag := conf.Containers.LogTag; tag != "" {
		opts = slices.Concat([]string{"tag=" + tag}, opts) // the caller's comes later, and counts
	}
	if s.log, err = spec.ParseLog(driver, opts); err != nil {
		return err
	}
	if s.log.Driver == "passthrough" && o.Terminal {
		return field.Errorf("%s passthrough excludes %s", field.Name("log-driver"), field.Name("tty"))
	}
	return nil
}

// limitLog gives a log that nobody has said a size of the limit of containers.conf, or Berth's own.
func (e *Engine) limitLog(l *record.Log) error {
	file := l.Driver == "k8s-file" || l.Driver == "json-file"
	if l.MaxSize != 0 || !file {
		l.MaxSize = max(l.MaxSize, 0)
		return nil
	}
	conf, err := e.conf()
	if err != nil {
		return err
	}
	if l.MaxSize = max(conf.Containers.LogSizeMax, 0); l.MaxSize == 0 && !e.isSet("containers.log_size_max") {
		l.MaxSize = spec.DefaultLogSize
		l.MaxFile = cmp.Or(l.MaxFile, spec.DefaultLogFiles)
	}
	return nil
}
