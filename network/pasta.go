// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/attach"
)

// The container's side of the link that pasta makes. The addresses are not the host's, as
// pasta's own default would have it, so that the container reaches the host by the host's address
// (Debian 12's pasta has no --map-guest-addr), and all containers look alike on each host.
// pasta answers for every address on the link except the guest's own: a host whose LAN
// is 10.0.2.0/24 too can be reached all the same.
const (
	pastaPrefix   = "24"
	pastaGateway4 = "10.0.2.2"
	pastaGateway6 = "fd42:6265:7274:6800::2"
	// pastaDNS is where pasta takes DNS queries for the host's resolver, when that listens
	// on the host's loopback only, which the container cannot reach.
	pastaDNS = "169.254.1.1"
	// guestInterface is the interface's name in the container.
	guestInterface = "eth0"
)

// guestAddrs are tried in turn: a host that is itself a container of Berth has the first.
var guestAddrs = []struct{ ip4, ip6 string }{
	{"10.0.2.100", "fd42:6265:7274:6800::100"},
	{"10.0.2.101", "fd42:6265:7274:6800::101"},
}

// localModeSince is the version of pasta that runs on a host with no interface but lo.
const localModeSince = 20241127

// rightSince is a version of pasta known to be without the faults of Debian 12's: the answers of a UDP server that
// loopback clients do not get, the connections on which the server speaks first, and the data that
// comes twice to a client which has shut down its sending side.
const rightSince = 20240814

// link is what the container's interface will look like.
type link struct {
	ip4, ip6   string // the container's addresses; empty where the plan does not know them
	dns        []string
	hostAt     netip.Addr // where the container reaches the host
	dnsForward bool       // dns is the helper's, not the host's
	relay      []string   // ports for udprelay
}

// pastaPlan is everything that decides pasta's arguments.
type pastaPlan struct {
	prog     *program
	host     hostInfo
	rootless bool
	options  []string // the user's: containers.conf first, then --network pasta:…
	ports    []attach.PortMapping
	loopback bool // the host's only resolvers listen on loopback
}

// args gives pasta's command line with the words of attach.Helper, and what the container will see.
func (p pastaPlan) args() ([]string, link, error) {
	user := newPastaOptions(p.options)
	if err := user.check(p.prog); err != nil {
		return nil, link{}, err
	}
	args := []string{"--config-net"}
	if !p.rootless && !user.has("--runas") {
		// As root pasta becomes nobody, who may not enter the container's namespace. It still gives
		// up all capabilities it does not need and sees an empty root directory (isolation.c).
		args = append(args, "--runas", "0")
	}
	addrArgs, l, err := p.addresses(user)
	if err != nil {
		return nil, l, err
	}
	args = append(args, addrArgs...)
	if !user.has("-I", "--ns-ifname") {
		args = append(args, "--ns-ifname", guestInterface)
	}
	args = append(args, user.args...)

	l.dns = user.values("--dns-forward")
	if len(l.dns) == 0 && p.loopback {
		args = append(args, "--dns-forward", pastaDNS)
		l.dns = []string{pastaDNS}
	}
	l.dnsForward = len(l.dns) > 0

	// Nothing is forwarded unless it was asked for: pasta's own default is every bound port, both ways.
	forwarded := map[string]bool{}
	for _, m := range p.ports {
		if p.prog.released() < rightSince && m.ContainerPort < m.HostPort {
			relay := relays(m, p.host)
			l.relay = append(l.relay, relay...)
			if len(relay) > 0 && onlyLoopback(m) {
				continue
			}
		}
		flag := map[string]string{"tcp": "-t", "udp": "-u"}[m.Protocol]
		forwarded[flag] = true
		args = append(args, flag, pastaPort(m))
	}
	for _, f := range [][2]string{{"-t", "--tcp-ports"}, {"-u", "--udp-ports"}, {"-T", "--tcp-ns"}, {"-U", "--udp-ns"}} {
		if !forwarded[f[0]] && !user.has(f[:]...) {
			args = append(args, f[0], "none")
		}
	}
	if !user.mapGateway {
		args = append(args, "--no-map-gw")
	} else if gw, err := netip.ParseAddr(gateway(user, l)); err == nil {
		l.hostAt = gw // pasta translates it to the host's loopback
	}
	if !user.has("-d", "--debug", "--trace") {
		args = append(args, "--quiet")
	}
	return append(args, "--netns", "{netns}"), l, nil
}

// gateway is the container's default gateway, as far as the plan knows.
func gateway(user pastaOptions, l link) string {
	for _, g := range append(user.values("-g"), user.values("--gateway")...) {
		return g
	}
	if l.ip4 == guestAddrs[0].ip4 || l.ip4 == guestAddrs[1].ip4 {
		return pastaGateway4
	}
	return ""
}

// addresses gives the arguments for interface and addresses, unless the user chose some.
func (p pastaPlan) addresses(user pastaOptions) ([]string, link, error) {
	l := link{hostAt: p.host.ip}
	if user.has("-a", "--address", "-g", "--gateway", "-n", "--netmask") {
		for _, v := range append(user.values("-a"), user.values("--address")...) {
			a, err := netip.ParseAddr(strings.SplitN(v, "/", 2)[0])
			if err != nil {
				return nil, l, fmt.Errorf("pasta option: address %q is not an IP address", v)
			}
			if a.Is4() {
				l.ip4 = a.String()
			} else {
				l.ip6 = a.String()
			}
		}
		return nil, l, nil
	}
	var args []string
	if !user.has("-i", "--interface", "--outbound-if4", "--outbound-if6") {
		if p.host.iface == "" {
			// pasta chooses addresses of its own.
			return nil, l, nil
		}
		// With an interface named, pasta of 2023 serves a family although the host has no default route in it.
		args = append(args, "--interface", p.host.iface)
	}
	want4 := !user.has("-6", "--ipv6-only")
	want6 := !user.has("-4", "--ipv4-only") && p.host.ipv6
	guest := guestAddrs[0]
	if slices.ContainsFunc(p.host.addrs, func(a netip.Addr) bool { s := a.String(); return s == guest.ip4 || s == guest.ip6 }) {
		guest = guestAddrs[1]
	}
	if want4 {
		l.ip4 = guest.ip4
		args = append(args, "--address", guest.ip4, "--netmask", pastaPrefix, "--gateway", pastaGateway4)
	}
	if want6 {
		l.ip6 = guest.ip6
		args = append(args, "--address", guest.ip6, "--gateway", pastaGateway6)
	} else if want4 && !user.has("-4", "--ipv4-only") {
		args = append(args, "--ipv4-only")
	}
	return args, l, nil
}

// pastaPort is the value of -t or -u: [ADDRESS/]HOSTPORT:CONTAINERPORT.
func pastaPort(m attach.PortMapping) string {
	s := fmt.Sprintf("%d:%d", m.HostPort, m.ContainerPort)
	if m.HostIP != "" {
		s = m.HostIP + "/" + s
	}
	return s
}

// pastaOptions are the user's own arguments of pasta.
type pastaOptions struct {
	args       []string
	mapGateway bool // podman's word --map-gw, which pasta does not know: leave --no-map-gw out
}

func newPastaOptions(words []string) pastaOptions {
	var o pastaOptions
	for _, w := range words {
		if w == "--map-gw" {
			o.mapGateway = true
			continue
		}
		o.args = append(o.args, w)
	}
	return o
}

// check refuses long options that the installed pasta does not know, which would print all of its help, if it says which it knows.
func (o pastaOptions) check(prog *program) error {
	for _, arg := range o.args {
		name, _, _ := strings.Cut(arg, "=")
		if long, ok := strings.CutPrefix(name, "--"); ok && len(prog.Options) > 0 && !prog.has(long) {
			return hint.Add(fmt.Errorf("pasta option: %s (%s) has no option %s", prog.Path, prog.Version, name),
				"its options are shown by: pasta --help; a value is given as --option=VALUE or --option,VALUE")
		}
	}
	return nil
}

// has reports whether one of the options is there, as --name, --name=value, -n or -nVALUE.
func (o pastaOptions) has(names ...string) bool {
	return slices.ContainsFunc(o.args, func(arg string) bool {
		return slices.ContainsFunc(names, func(name string) bool { _, ok := matchOption(arg, name); return ok })
	})
}

// values are the values given to the option, in order.
func (o pastaOptions) values(name string) []string {
	var values []string
	for i, arg := range o.args {
		attached, ok := matchOption(arg, name)
		if ok && attached == "" && i+1 < len(o.args) {
			attached = o.args[i+1]
		}
		if ok && attached != "" {
			values = append(values, attached)
		}
	}
	return values
}

func matchOption(arg, name string) (value string, ok bool) {
	rest, ok := strings.CutPrefix(arg, name)
	switch {
	case !ok:
		return "", false
	case rest == "":
		return "", true
	case strings.HasPrefix(name, "--"):
		return strings.CutPrefix(rest, "=")
	default:
		return rest, true
	}
}
