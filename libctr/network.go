// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/rootless"
	"go.podman.io/common/pkg/config"
)

// networkFile, in Dir, keeps the options that each start's plan is made from again.
const networkFile = "network.json"

// planNetwork plans the container's network, writes the files that belong to it, and tells the spec.
func (e *Engine) planNetwork(ctx context.Context, m *making) error {
	cfg, s := m.cfg, &m.spec
	o := m.net
	o.Rootless, o.UserNS, o.Name, o.RuntimeDir = e.Rootless(), s.UserNS.Nested(), cfg.Name, e.runtime
	o.NetNSElsewhere = e.sharedNetNS(cfg.ID) == ""
	o.ID = cfg.ID
	o.ImageHosts = e.imageHosts(m)
	if err := e.NetworkDefaults(&o); err != nil {
		return err
	}
	cfg.Exposed = slices.Concat(m.opts.Expose, slices.Sorted(maps.Keys(m.conf.Image.Config.ExposedPorts)))
	if m.opts.PublishAll {
		more, err := network.ParseExposed(cfg.Exposed)
		if err != nil {
			return err
		}
		o.Ports = append(o.Ports, more...)
	}
	cfg.Hostname = s.Hostname
	if cfg.Hostname == "" {
		cfg.Hostname = cfg.ID[:12]
		if m.nameAsHostname {
			cfg.Hostname = or(hostnameOf(cfg.Name), cfg.Hostname)
		}
		if o.Mode.Kind == network.Host || s.UTS.Host {
			host, err := os.Hostname()
			if err != nil {
				return err
			}
			cfg.Hostname = host
		}
	}
	s.Hostname, o.Hostname = cfg.Hostname, cfg.Hostname
	if o.Mode.Kind == network.Container {
		other, err := e.Lookup(ctx, o.Mode.Container)
		if err != nil {
			return field.Errorf("%s container:%s: %w", field.Name("network"), o.Mode.Container, err)
		}
		o.Mode.Container = other.ID
		s.Files.Hosts, s.Files.ResolvConf = existing(other.Dir, "hosts"), existing(other.Dir, "resolv.conf")
		s.NetNSPath, s.NetShared = m.join("net", other), true
		if otherConf, err := other.Config(); err == nil && otherConf.Network.Mode == "host" {
			s.NetHost, s.NetNSPath = true, ""
			delete(m.joins, "net")
		}
	}
	for _, ns := range []struct {
		n    *spec.Namespace
		kind string
	}{{&s.PID, "pid"}, {&s.IPC, "ipc"}, {&s.UTS, "uts"}, {&s.CgroupNS, "cgroup"}} {
		if ns.n.Container == "" {
			continue
		}
		other, err := e.Lookup(ctx, ns.n.Container)
		if err != nil {
			return field.Errorf("%s container:%s: %w", field.Name(ns.kind), ns.n.Container, err)
		}
		ns.n.Path = m.join(ns.kind, other)
	}
	r, err := e.plan(ctx, cfg, o, m.noHosts)
	if err != nil {
		return err
	}
	switch o.Mode.Kind {
	case network.Host:
		s.NetHost = true
	case network.NS:
		s.NetNSPath, s.NetShared = o.Mode.Path, true // its settings are its owner's
	case network.None:
		cfg.Network.NetNS = "" // the runtime makes it, there is nothing to connect
	default:
		if cfg.Network.NetNS != "" {
			cfg.Network.Path = e.sharedNetNS(cfg.ID)
		}
		if cfg.Network.NetNS == "new" {
			s.NetNSPath = cfg.NetNSPath()
		}
	}
	if r.Hosts != nil && !m.noHosts {
		s.Files.Hosts = filepath.Join(m.dir, "hosts")
	}
	if r.ResolvConf != nil {
		s.Files.ResolvConf = filepath.Join(m.dir, "resolv.conf")
	}
	if !m.noHostname {
		s.Files.Hostname = filepath.Join(m.dir, "hostname")
		if err := os.WriteFile(s.Files.Hostname, []byte(cfg.Hostname+"\n"), 0o644); err != nil {
			return err
		}
	}
	if err := m.setLocaltime(); err != nil {
		return err
	}
	data, err := json.Marshal(o)
	if err != nil {
		return err
	}
	trace("network planned")
	return atomicfile.Write(filepath.Join(m.dir, networkFile), data, 0o600, false)
}

// NetworkDefaults fills in what containers.conf says of every network: the helpers, their options, /etc/hosts.
func (e *Engine) NetworkDefaults(o *network.Options) error {
	conf, err := e.conf()
	if err != nil {
		return err
	}
	o.BaseHosts, o.HostIP = cmp.Or(o.BaseHosts, conf.Containers.BaseHostsFile), conf.Containers.HostContainersInternalIP
	o.HelperDirs, o.PastaOptions, o.SlirpOptions = conf.Engine.HelperBinariesDir.Get(), conf.Network.PastaOptions.Get(), conf.Engine.NetworkCmdOptions.Get()
	o.Prefer = network.Kind(conf.Network.DefaultRootlessNetworkCmd)
	if o.Mode.Kind == network.Bridge {
		return e.sharedNetworks(o, conf)
	}
	return nil
}

// sharedNetworks fills in what networks that containers share need.
func (e *Engine) sharedNetworks(o *network.Options, conf *config.Config) (err error) {
	if o.NetavarkDir, err = e.NetavarkDir(); err != nil {
		return err
	}
	o.NetworksDir, o.PluginDirs, o.NetworkState = e.networksDir(conf), pluginDirs(e.opts.Program), filepath.Join(e.runtime, "networks")
	o.OutsideNS, o.OutsideElsewhere = e.outsideNS()
	o.NetProgram, err = helperPath(e.opts.Program, "berth-net")
	return err
}

// outsideNS is where the namespace of a user's bridges is mounted for the helper that connects it; elsewhere says that it is not in the directory for such
// mounts, which the user's stores share.
func (e *Engine) outsideNS() (path string, elsewhere bool) {
	dir := filepath.Join(e.runtime, "networks")
	sum := sha256.Sum256([]byte(dir))
	if path = e.sharedNetNS("networks-" + hex.EncodeToString(sum[:4])); path != "" {
		return path, false
	}
	return filepath.Join(dir, "netns"), true
}

// NetworksDir is where networks that containers share are defined.
func (e *Engine) NetworksDir() (string, error) {
	conf, err := e.conf()
	if err != nil {
		return "", err
	}
	return e.networksDir(conf), nil
}

// NetavarkDir is where podman keeps the networks that it makes for netavark: root's in /etc, a user's in the store.
func (e *Engine) NetavarkDir() (string, error) {
	conf, err := e.conf()
	if err != nil {
		return "", err
	}
	switch dir := conf.Network.NetworkConfigDir; {
	case dir != "":
		return dir, nil
	case !e.Rootless():
		return "/etc/containers/networks", nil
	}
	return filepath.Join(e.storeOpts.GraphRoot, "networks"), nil
}

// NetworkNames are the networks that a container shares with others; none where it has another kind of network.
func NetworkNames(s *record.State) []string {
	switch m, err := network.ParseMode(s.Network); {
	case err != nil, m.Kind != network.Bridge:
		return nil // no network can have the name of a mode
	}
	return strings.Split(s.Network, ",")
}

// networksDir is where networks are defined: containers.conf's network_config_dir, or CNI's usual directory.
func (e *Engine) networksDir(conf *config.Config) string {
	if dir := conf.Network.NetworkConfigDir; dir != "" {
		return dir
	}
	if !e.Rootless() {
		return "/etc/cni/net.d"
	}
	home := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(home) {
		home = filepath.Join(os.Getenv("HOME"), ".config")
	}
	return filepath.Join(home, "cni/net.d")
}

// pluginDirs are where CNI plugins are: Berth's own, then the system's.
func pluginDirs(program string) []string {
	dirs := []string{"/usr/local/libexec/cni", "/usr/libexec/cni", "/usr/local/lib/cni", "/usr/lib/cni", "/opt/cni/bin"}
	if own, err := helperPath(program, "cni"); err == nil {
		dirs = append([]string{own}, dirs...)
	}
	return dirs
}

// hostnameOf is what of a container's name can be a host name (containers.conf(5), container_name_as_hostname).
func hostnameOf(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, name)
	return strings.Trim(name[:min(len(name), 64)], "-")
}

// netnsPrefix begins the names of our files in the directory of sharedNetNS.
const netnsPrefix = "berth-"

// sharedNetNS is where a container's network namespace is to be mounted: in the user's directory for such
// mounts, the only one in which Debian's AppArmor profile of pasta allows it to read a namespace. It is empty for
// RunDir: for root, and where the session's directory is another.
func (e *Engine) sharedNetNS(id string) string {
	dir := fmt.Sprintf("/run/user/%d", rootless.UID())
	if !e.Rootless() || filepath.Clean(os.Getenv("XDG_RUNTIME_DIR")) != dir {
		return ""
	}
	return filepath.Join(dir, "netns", netnsPrefix+id)
}

// removeNetNS removes the file on which the network namespace of a container was mounted, if its monitor
// has left it. cfg is nil where there is no record that can be read.
func (e *Engine) removeNetNS(id string, cfg *record.Config) error {
	path := e.sharedNetNS(id)
	if cfg != nil {
		path = cfg.Network.Path
	}
	if path == "" {
		return nil // it goes with RunDir
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// plan makes a plan, puts it into the record and writes /etc/hosts and /etc/resolv.conf.
func (e *Engine) plan(ctx context.Context, cfg *record.Config, o network.Options, noHosts bool) (network.Result, error) {
	r, err := network.Plan(ctx, o)
	if err != nil {
		return r, e.portHint(ctx, err)
	}
	for _, w := range r.Warnings {
		e.warn(w)
	}
	cfg.Network = r.Network
	for name, text := range map[string][]byte{"hosts": r.Hosts, "resolv.conf": r.ResolvConf} {
		if text == nil || name == "hosts" && noHosts {
			continue
		}
		if err := os.WriteFile(filepath.Join(cfg.Dir, name), text, 0o644); err != nil {
			return r, err
		}
	}
	return r, nil
}

// refreshNetwork does at each start what may have changed since the container was made: the host's
// resolvers and addresses, ports that others have taken.
func (e *Engine) refreshNetwork(ctx context.Context, c *Container, cfg *record.Config) error {
	if c.State.Status != record.Created || !c.made {
		data, err := os.ReadFile(filepath.Join(c.Dir, networkFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			var o network.Options
			if err := json.Unmarshal(data, &o); err != nil {
				return fmt.Errorf("read the network options: %w", err)
			}
			ns, path := cfg.Network.NetNS, cfg.Network.Path
			o.Ports = cfg.Network.Ports
			if _, err := e.plan(ctx, cfg, o, existing(c.Dir, "hosts") == ""); err != nil {
				return err
			}
			cfg.Network.NetNS, cfg.Network.Path = ns, path
			return cfg.Write(c.Dir, false)
		}
	}
	return nil
}
