// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/attach"
)

// Options are what a plan is made from. The zero value is a container with the default network,
// as root, with nothing published.
type Options struct {
	Mode     Mode                 // with Kind Container, Mode.Container must be the other's full ID
	Ports    []attach.PortMapping // of ParsePublish and ParseExposed; not changed
	Rootless bool                 // the user is not root, or Berth itself runs in a user namespace
	// UserNS is set when the container gets a user namespace of its own; the OCI runtime must
	// then make the network namespace.
	UserNS bool

	// NetNSElsewhere is set when the namespace will not be mounted in /run/user/UID/netns, where alone
	// the AppArmor profile of pasta allows it to read one.
	NetNSElsewhere bool

	Hostname string // in the container; empty is none
	Name     string // the container's name

	AddHosts   []string // --add-host
	BaseHosts  string   // containers.conf base_hosts_file: empty is the host's /etc/hosts, "none", "image", or a path
	ImageHosts string   // what the image's /etc/hosts says

	DNS        []string // --dns; the one word "none" leaves the image's /etc/resolv.conf
	DNSSearch  []string // --dns-search; the one word "." is no search domain
	DNSOptions []string // --dns-option

	RuntimeDir   string   // where the helpers' answers are cached; empty caches nothing
	HelperDirs   []string // containers.conf helper_binaries_dir, searched before PATH
	PastaOptions []string // containers.conf pasta_options
	SlirpOptions []string // containers.conf network_cmd_options, in podman's KEY=VALUE form
	Prefer       Kind     // containers.conf default_rootless_network_cmd: Slirp4netns is taken for the default mode where it can

	// For networks that containers share.
	ID               string   // the container's
	NetworksDir      string   // has their configurations
	NetavarkDir      string   // has podman's own
	PluginDirs       []string // have CNI plugins
	NetworkState     string   // what attach.CNI keeps
	NetProgram       string   // berth-net
	OutsideNS        string   // where the namespace of a user's bridges is mounted
	OutsideElsewhere bool     // as NetNSElsewhere, of OutsideNS

	HostIP string // containers.conf host_containers_internal_ip; empty is what the helper has
}

// Result is a plan.
type Result struct {
	Network attach.Network
	// Hosts and ResolvConf are the texts of the container's /etc/hosts and /etc/resolv.conf. Both are
	// nil for container:X (the files are X's); ResolvConf is nil for --dns none (the file is the image's).
	Hosts      []byte
	ResolvConf []byte
	// IP is the container's own address, as inspect shows it; empty where the plan does not know one.
	IP string
	// Warnings are sentences for the user; those about a field are field.Errors, to be worded as errors are.
	Warnings []error
}

// Plan decides how a container is connected. It finds a free port for each mapping without one and
// checks that all others are free. ctx bounds the questions to the helper programs.
func Plan(ctx context.Context, o Options) (Result, error) {
	if err := CheckDNS(o.DNS, o.DNSSearch, o.DNSOptions); err != nil {
		return Result{}, err
	}
	if err := ParseAddHosts(o.AddHosts); err != nil {
		return Result{}, err
	}
	switch o.Mode.Kind {
	case None, Host, Container, NS:
		return planWithoutHelper(o)
	case "", Private, Pasta, Slirp4netns:
		return planHelper(ctx, o)
	case Bridge:
		return planShared(ctx, o)
	}
	return Result{}, fmt.Errorf("plan network: unknown mode %q", o.Mode.Kind)
}

func planWithoutHelper(o Options) (Result, error) {
	r := Result{Network: attach.Network{Mode: o.Mode.String()}}
	if len(o.Ports) > 0 {
		switch o.Mode.Kind {
		case Container:
			return r, hint.Add(field.Errorf("publish ports with %s %s: the other container's ports were decided when it was created", field.Name("network"), o.Mode),
				"publish them on the other container")
		case NS:
			return r, hint.Add(field.Errorf("publish ports with %s %s: Berth does not connect that namespace", field.Name("network"), o.Mode), "leave out %s", field.Name("publish"))
		case Host:
			r.Warnings = append(r.Warnings, field.Errorf("published ports are ignored with %s host: the container listens on the host itself", field.Name("network")))
		case None:
			r.Warnings = append(r.Warnings, field.Errorf("published ports are ignored with %s none", field.Name("network")))
		}
	}
	l := link{}
	switch o.Mode.Kind {
	case Container:
		return r, nil
	case None:
		r.Network.NetNS = "new"
		if o.UserNS {
			r.Network.NetNS = "runtime"
		}
	case Host:
		l.hostAt = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	case NS:
		l.hostAt = lookAtHost().ip
	}
	own := o.Mode.Kind == NS
	resolv, _, err := hostResolvConf("/etc/resolv.conf", systemdResolv, own)
	if err != nil {
		return r, err
	}
	return r, r.files(o, l, resolv)
}

func planHelper(ctx context.Context, o Options) (r Result, err error) {
	if err := checkSCTP(o.Ports); err != nil {
		return r, err
	}
	host := lookAtHost()
	prog, kind, err := chooseHelper(ctx, o, host)
	if err != nil {
		return r, err
	}
	if err := CheckTun(); err != nil {
		return r, err
	}
	r.Network = attach.Network{Mode: string(kind), NetNS: "new", Ports: slices.Clone(o.Ports)}
	if o.UserNS {
		r.Network.NetNS = "runtime"
	}
	held, err := holdPorts(r.Network.Ports)
	defer held.release()
	if err != nil {
		return r, err
	}
	resolv, forward, err := hostResolvConf("/etc/resolv.conf", systemdResolv, true)
	if err != nil {
		return r, err
	}
	helper, l, err := helperFor(prog, kind, o, host, r.Network.Ports, forward)
	if err != nil {
		return r, err
	}
	r.Network.Attachments = []attach.Attachment{{Network: string(kind), Helper: helper}}
	if l.dnsForward {
		resolv.servers = l.dns
	}
	r.IP = l.ip4
	if r.IP == "" {
		r.IP = l.ip6
	}
	return r, r.files(o, l, resolv)
}

// helperFor plans how the program is to connect a namespace. forward says that the host's name servers are on its loopback.
func helperFor(prog *program, kind Kind, o Options, host hostInfo, ports []attach.PortMapping, forward bool) (*attach.Helper, link, error) {
	helper := &attach.Helper{Path: prog.Path}
	if kind == Pasta && o.NetNSElsewhere && confined(prog.Path, "/") {
		helper.Hint = hint.Textf("AppArmor's profile of pasta may keep it from the container's network namespace: use %s slirp4netns", field.Name("network"))
	}
	var l link
	var err error
	if kind == Pasta {
		helper.Daemonizes = true
		p := pastaPlan{prog: prog, host: host, rootless: o.Rootless, ports: ports, loopback: forward,
			options: slices.Concat(o.PastaOptions, o.Mode.Options)}
		helper.Args, l, err = p.args()
	} else {
		p := slirpPlan{prog: prog, host: host, ports: ports, options: slices.Concat(o.SlirpOptions, o.Mode.Options)}
		helper.Args, helper.HostFwd, l, err = p.args()
	}
	helper.UDPRelay = l.relay
	return helper, l, err
}

// chooseHelper finds the program for the mode. For the default mode that is pasta, or else slirp4netns; a
// pasta from before rightSince is taken only for published ports, which slirp4netns does not have on IPv6
// (docs/decisions/0003-default-network.md has what is wrong with it), and one that may not read the namespace
// only where there is no slirp4netns.
func chooseHelper(ctx context.Context, o Options, host hostInfo) (*program, Kind, error) {
	switch o.Mode.Kind {
	case Pasta:
		p, err := findProgram(ctx, "pasta", o.HelperDirs, o.RuntimeDir)
		if errors.Is(err, exec.ErrNotFound) {
			return nil, "", hint.Add(fmt.Errorf("connect the container: pasta is not installed: %w", err), "Debian: sudo apt-get install passt")
		}
		if err == nil && !pastaCanRun(p, host) {
			err = hint.Add(fmt.Errorf("connect the container: this host has no network interface, and this version of pasta needs one"),
				"use %s slirp4netns or none", field.Name("network"))
		}
		return p, Pasta, err
	case Slirp4netns:
		p, err := findProgram(ctx, "slirp4netns", o.HelperDirs, o.RuntimeDir)
		if errors.Is(err, exec.ErrNotFound) {
			return nil, "", hint.Add(fmt.Errorf("connect the container: slirp4netns is not installed: %w", err), "Debian: sudo apt-get install slirp4netns")
		}
		return p, Slirp4netns, err
	}
	if o.Prefer == Slirp4netns && !slices.ContainsFunc(o.Ports, func(m attach.PortMapping) bool { return strings.Contains(m.HostIP, ":") }) {
		if p, err := findProgram(ctx, "slirp4netns", o.HelperDirs, o.RuntimeDir); err == nil {
			return p, Slirp4netns, nil
		}
	}
	pasta, err := findProgram(ctx, "pasta", o.HelperDirs, o.RuntimeDir)
	if err != nil && !errors.Is(err, exec.ErrNotFound) {
		return nil, "", err
	}
	usable := err == nil && pastaCanRun(pasta, host)
	if usable && !(o.NetNSElsewhere && confined(pasta.Path, "/")) && (pasta.released() >= rightSince || len(o.Ports) > 0 && !serverSpeaksFirst(o.Ports)) {
		return pasta, Pasta, nil
	}
	slirp, slirpErr := findProgram(ctx, "slirp4netns", o.HelperDirs, o.RuntimeDir)
	if usable && errors.Is(slirpErr, exec.ErrNotFound) {
		return pasta, Pasta, nil
	}
	switch {
	case slirpErr == nil:
		return slirp, Slirp4netns, nil
	case !errors.Is(slirpErr, exec.ErrNotFound):
		return nil, "", slirpErr
	case err == nil:
		return nil, "", hint.Add(fmt.Errorf("connect the container: this host has no network interface, which this version of pasta needs, and slirp4netns is not installed"),
			"Debian: sudo apt-get install slirp4netns; or run the container with %s none", field.Name("network"))
	}
	return nil, "", hint.Add(fmt.Errorf("connect the container: neither pasta nor slirp4netns is installed"),
		"Debian: sudo apt-get install passt; or run the container with %s host or none", field.Name("network"))
}

// confined reports whether the distribution's AppArmor profile is there for the program. Only root could ask
// the kernel whether it is loaded. root is "/" but in tests.
func confined(path, root string) bool {
	on, err := os.ReadFile(filepath.Join(root, "sys/module/apparmor/parameters/enabled"))
	if err != nil || !strings.HasPrefix(string(on), "Y") || filepath.Dir(path) != "/usr/bin" {
		return false
	}
	profiles, err := filepath.Glob(filepath.Join(root, "etc/apparmor.d/usr.bin.pas*t*"))
	return err == nil && len(profiles) > 0
}

// serverSpeaksFirst reports whether a published port belongs to a protocol in which the client waits for the
// server's greeting, by the container's port. Pasta of 2023 leaves the last segment of the TCP handshake, the ACK,
// out until the client has said something, so that such a connection hangs unless it comes over
// the host's loopback. slirp4netns has no such fault, but publishes on IPv4 addresses only.
func serverSpeaksFirst(ports []attach.PortMapping) bool {
	first := false
	for _, m := range ports {
		if ip, err := netip.ParseAddr(m.HostIP); err == nil && ip.Is6() {
			return false
		}
		if m.Protocol == "tcp" {
			switch m.ContainerPort {
			case 21, 22, 25, 110, 119, 143, 587, 2525, 3306, 5900: // ftp ssh smtp pop3 nntp imap submission smtp mysql vnc
				first = true
			}
		}
	}
	return first
}

// pastaCanRun is false on a host with no interface but lo, where older pasta says
// "External interface not usable".
func pastaCanRun(p *program, host hostInfo) bool {
	return host.iface != "" || p.released() >= localModeSince
}

// files fills in Hosts and ResolvConf.
func (r *Result) files(o Options, l link, resolv resolvConf) error {
	base, err := readBaseHosts(o.BaseHosts, o.ImageHosts)
	if err != nil {
		return err
	}
	if o.HostIP != "" {
		if l.hostAt, err = netip.ParseAddr(o.HostIP); err != nil || l.hostAt.Zone() != "" {
			return hint.Add(fmt.Errorf("make /etc/hosts: %q is not an IP address", o.HostIP), "correct host_containers_internal_ip in containers.conf")
		}
	}
	add, err := parseAddHosts(o.AddHosts, l.hostAt, false)
	if err != nil {
		return err
	}
	h := hostsFile{
		base:     base,
		hostNet:  o.Mode.Kind == Host,
		add:      add,
		hostAt:   l.hostAt,
		internal: []string{"host.containers.internal", "host.docker.internal"},
	}
	for _, n := range []string{o.Hostname, o.Name} {
		if n != "" && !slices.Contains(h.names, n) {
			h.names = append(h.names, n)
		}
	}
	for _, ip := range []string{l.ip4, l.ip6} {
		if ip != "" {
			h.ips = append(h.ips, ip)
		}
	}
	if len(h.ips) == 0 {
		h.ips = []string{"127.0.0.1"}
	}
	r.Hosts = []byte(h.text())

	if slices.Equal(o.DNS, []string{"none"}) {
		return nil
	}
	if len(o.DNS) > 0 {
		resolv.servers = o.DNS
	}
	switch {
	case slices.Equal(o.DNSSearch, []string{"."}):
		resolv.search = nil
	case len(o.DNSSearch) > 0:
		resolv.search = o.DNSSearch
	}
	if len(o.DNSOptions) > 0 {
		resolv.options = o.DNSOptions
	}
	r.ResolvConf = []byte(resolv.text())
	return nil
}
