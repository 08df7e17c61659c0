// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"flag"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/network/attach"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden compares got with testdata/name, one argument a line.
func golden(t *testing.T, name string, got []string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	text := strings.Join(got, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s (make it again with -update):\n%s\nwant:\n%s", path, text, want)
	}
}

func mappings(t *testing.T, specs ...string) []attach.PortMapping {
	t.Helper()
	ports, err := ParsePublish(specs)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

func TestPastaArgs(t *testing.T) {
	host := hostInfo{iface: "wlp3s0", ip: netip.MustParseAddr("192.0.2.2"), ipv6: true,
		addrs: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.2")}}
	nested := host
	nested.addrs = append(nested.addrs, netip.MustParseAddr("10.0.2.100"))
	no6 := host
	no6.ipv6 = false
	old := &program{Path: "/usr/bin/pasta", Version: "pasta unknown version",
		Options: map[string]bool{"gateway": true, "debug": true, "dns-forward": true, "ipv4-only": true}}
	for name, p := range map[string]pastaPlan{
		"pasta-default":    {prog: old, host: host, rootless: true},
		"pasta-root":       {prog: old, host: host},
		"pasta-nested":     {prog: old, host: nested, rootless: true},
		"pasta-no-ipv6":    {prog: old, host: no6, rootless: true},
		"pasta-local":      {prog: &program{Version: "pasta 2025_01_21.4f2c8e7"}, host: hostInfo{ipv6: true}, rootless: true},
		"pasta-loopback":   {prog: old, host: host, rootless: true, loopback: true},
		"pasta-ports":      {prog: old, host: host, rootless: true, ports: mappings(t, "8080:80", "127.0.0.1:8081:81", "[::1]:5353:53/udp")},
		"pasta-user":       {prog: old, host: host, rootless: true, options: []string{"--map-gw", "-a", "10.1.1.5", "--gateway=10.1.1.1", "-T", "auto", "--debug", "--dns-forward", "10.1.1.3"}},
		"pasta-user-ipv4":  {prog: old, host: host, rootless: true, options: []string{"--ipv4-only", "-I", "net0"}},
		"pasta-user-iface": {prog: old, host: host, rootless: true, options: []string{"-i", "eth7", "-t", "auto"}},
	} {
		t.Run(name, func(t *testing.T) {
			args, _, err := p.args()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, name, args)
		})
	}
	_, l, err := pastaPlan{prog: old, host: host, options: []string{"--map-gw", "-a", "10.1.1.5", "--gateway=10.1.1.1", "--dns-forward", "10.1.1.3"}}.args()
	if err != nil || l.ip4 != "10.1.1.5" || l.hostAt.String() != "10.1.1.1" || strings.Join(l.dns, " ") != "10.1.1.3" {
		t.Errorf("link of user's options: %+v, %v", l, err)
	}
	if _, _, err := (pastaPlan{prog: old, host: host, options: []string{"-a", "nonsense"}}).args(); err == nil {
		t.Error("pasta:-a,nonsense: no error")
	}
	_, _, err = pastaPlan{prog: old, host: host, options: []string{"--nonsense=1"}}.args()
	wantError(t, "pasta:--nonsense=1", err, "has no option --nonsense")
}

func TestConfined(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want := func(path string, want bool, when string) {
		if got := confined(path, root); got != want {
			t.Errorf("%s %s: confined = %t", path, when, got)
		}
	}
	const enabled = "sys/module/apparmor/parameters/enabled"
	put("etc/apparmor.d/usr.bin.passt", "")
	want("/usr/bin/pasta", false, "without AppArmor")
	put(enabled, "Y\n")
	want("/usr/bin/pasta", true, "with AppArmor")
	want("/usr/local/bin/pasta", false, "with AppArmor")
	put(enabled, "N\n")
	want("/usr/bin/pasta", false, "with AppArmor off")
}

func TestSlirpArgs(t *testing.T) {
	host := hostInfo{iface: "eth0", ip: netip.MustParseAddr("192.0.2.2"), ipv6: true}
	prog := &program{Options: map[string]bool{"enable-sandbox": true, "enable-seccomp": true}}
	for name, p := range map[string]slirpPlan{
		"slirp-default": {prog: prog, host: host},
		"slirp-old":     {prog: &program{}, host: host},
		"slirp-options": {prog: prog, host: host, options: []string{"allow_host_loopback=true", "cidr=10.9.8.0/24", "enable_ipv6=false", "mtu=1400", "outbound_addr=127.0.0.1", "outbound_addr6=::1", "port_handler=slirp4netns"}},
		"slirp-ports":   {prog: prog, host: host, ports: mappings(t, "8080:80", "127.0.0.1:5353:53/udp")},
	} {
		t.Run(name, func(t *testing.T) {
			args, fwd, _, err := p.args()
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range fwd {
				args = append(args, string(f))
			}
			golden(t, name, args)
		})
	}
	for word, want := range map[string]string{
		"nonsense":                   "not KEY=VALUE",
		"nonsense=1":                 "unknown option",
		"mtu=x":                      "not a number of bytes",
		"mtu=70000":                  "not a number of bytes",
		"cidr=10.0.2.0/26":           "not an IPv4 network",
		"cidr=fd00::/64":             "not an IPv4 network",
		"enable_ipv6=maybe":          "not true or false",
		"outbound_addr=nosuchif0":    "neither an IPv4 address nor an interface",
		"outbound_addr=::1":          "not an IPv4 address",
		"port_handler=rootlesskit":   "every client under one address",
		"port_handler=other":         "unknown port handler",
		"allow_host_loopback=false ": "not true or false",
	} {
		_, _, _, err := slirpPlan{prog: prog, host: host, options: []string{word}}.args()
		wantError(t, word, err, want)
	}
	host.addrs = []netip.Addr{netip.MustParseAddr("10.0.2.15")} // as in QEMU
	for word, want := range map[string]string{"mtu=1500": "10.0.3.100", "cidr=10.0.2.0/24": "10.0.2.100"} {
		_, _, l, err := slirpPlan{prog: prog, host: host, options: []string{word}}.args()
		if err != nil || l.ip4 != want {
			t.Errorf("on a host with 10.0.2.15, with %s: address %s, %v; want %s", word, l.ip4, err, want)
		}
	}
	_, _, _, err := slirpPlan{prog: prog, host: host, ports: mappings(t, "[::1]:8080:80")}.args()
	wantError(t, "publish on ::1", err, "IPv4 addresses only")
}

func TestHosts(t *testing.T) {
	add, err := parseAddHosts([]string{"db:192.0.2.7", "a;b:[::7]", "gw:host-gateway", "x=192.0.2.9", "web:192.0.2.1"}, netip.MustParseAddr("192.0.2.2"), false)
	if err != nil {
		t.Fatal(err)
	}
	h := hostsFile{
		base:     "127.0.0.1 localhost\n127.0.1.1 myhost\n192.0.2.50 nas nas.example # files\n192.0.2.51 db\n\nnonsense x\n",
		add:      add,
		hostAt:   netip.MustParseAddr("192.0.2.2"),
		internal: []string{"host.containers.internal", "host.docker.internal"},
		names:    []string{"c0ffee", "web"},
		ips:      []string{"10.0.2.100", "fd00::100"},
	}
	golden(t, "hosts", strings.Split(strings.TrimSuffix(h.text(), "\n"), "\n"))

	for value, want := range map[string]string{
		"db":               "not NAME:IP",
		":192.0.2.7":       "not NAME:IP",
		"db:nonsense":      "not an IP address",
		"db:":              "not an IP address",
		"a b:192.0.2.7":    "one word",
		"a\n1.1.1.1 x:::1": "control characters",
		"a;;b:192.0.2.7":   "empty name",
	} {
		wantError(t, "add host "+value, ParseAddHosts([]string{value}), want)
	}
	_, err = parseAddHosts([]string{"gw:host-gateway"}, netip.Addr{}, false)
	wantError(t, "host-gateway without a way", err, "no way to this host")
}

func TestResolvConf(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	systemd := write("systemd", "nameserver 192.0.2.53\nnameserver fe80::1%eth0\n")
	for _, c := range []struct {
		text    string
		own     bool
		want    string
		forward bool
	}{
		{"nameserver 192.0.2.1\nnameserver 127.0.0.1\nsearch a b\nsearch c d\noptions ndots:2\n", true, "search c d\nnameserver 192.0.2.1\noptions ndots:2\n", false},
		{"nameserver 127.0.0.1\n", false, "nameserver 127.0.0.1\n", false},
		{"nameserver 127.0.0.1\n", true, "", true},
		{"nameserver 127.0.0.53\noptions edns0 trust-ad ndots:1\n", true, "nameserver 192.0.2.53\noptions ndots:1\n", false},
		{"# nothing\nnameserver\nnameserver nonsense\n", true, "", false},
		{"", true, "", false},
	} {
		r, forward, err := hostResolvConf(write("resolv.conf", c.text), systemd, c.own)
		if err != nil || r.text() != c.want || forward != c.forward {
			t.Errorf("%q: %q, forward %v, %v; want %q, %v", c.text, r.text(), forward, err, c.want, c.forward)
		}
	}
	if _, forward, _ := hostResolvConf(write("resolv.conf", "nameserver 127.0.0.53\n"), filepath.Join(dir, "none"), true); !forward {
		t.Error("127.0.0.53 without systemd-resolved's own file is not forwarded")
	}
	if _, _, err := hostResolvConf(filepath.Join(dir, "missing"), systemd, true); err != nil {
		t.Errorf("without a resolv.conf: %v", err)
	}
}

func TestCheckDNS(t *testing.T) {
	if err := CheckDNS([]string{"192.0.2.1", "fd00::1"}, []string{"example.com"}, []string{"ndots:1"}); err != nil {
		t.Error(err)
	}
	if err := CheckDNS([]string{"none"}, nil, nil); err != nil {
		t.Error(err)
	}
	for _, c := range [][3][]string{
		{{"none", "192.0.2.1"}}, {{"x"}}, {{""}}, {nil, {"a\nnameserver 192.0.2.1"}}, {nil, nil, {"a b"}}, {nil, {".", "a"}}, {{"none"}, {"a"}},
	} {
		if err := CheckDNS(c[0], c[1], c[2]); err == nil {
			t.Errorf("CheckDNS%q: no error", c)
		}
	}
}

func TestPlanWithoutHelper(t *testing.T) {
	ctx := context.Background()
	ports := mappings(t, "8080:80")
	r, err := Plan(ctx, Options{Mode: Mode{Kind: None}, Hostname: "c0ffee", Ports: ports, BaseHosts: "none"})
	if err != nil || r.Network.Mode != "none" || r.Network.NetNS != "new" || r.Network.Attachments != nil || r.Network.Ports != nil || len(r.Warnings) != 1 {
		t.Errorf("none: %+v, %v", r, err)
	}
	if want := "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.0.1\tc0ffee\n"; string(r.Hosts) != want {
		t.Errorf("none: hosts %q, want %q", r.Hosts, want)
	}
	r, err = Plan(ctx, Options{Mode: Mode{Kind: None}, UserNS: true})
	if err != nil || r.Network.NetNS != "runtime" {
		t.Errorf("none in a user namespace: %+v, %v", r, err)
	}
	r, err = Plan(ctx, Options{Mode: Mode{Kind: Host}, Name: "web"})
	if err != nil || r.Network.Mode != "host" || r.Network.NetNS != "" || !strings.Contains(string(r.Hosts), "127.0.0.1\thost.containers.internal") {
		t.Errorf("host: %+v, %v", r, err)
	}
	r, err = Plan(ctx, Options{Mode: Mode{Kind: Container, Container: "abc"}})
	if err != nil || r.Network.Mode != "container:abc" || r.Hosts != nil || r.ResolvConf != nil {
		t.Errorf("container: %+v, %v", r, err)
	}
	_, err = Plan(ctx, Options{Mode: Mode{Kind: Container, Container: "abc"}, Ports: ports})
	wantError(t, "publish with container:abc", err, "the other container's ports")
	_, err = Plan(ctx, Options{Mode: Mode{Kind: NS, Path: "/x"}, Ports: ports})
	wantError(t, "publish with ns:/x", err, "does not connect")
	r, err = Plan(ctx, Options{Mode: Mode{Kind: Host}, DNS: []string{"none"}})
	if err != nil || r.ResolvConf != nil {
		t.Errorf("--dns none: resolv.conf %q, %v", r.ResolvConf, err)
	}
	r, err = Plan(ctx, Options{Mode: Mode{Kind: Host}, DNS: []string{"192.0.2.1"}, DNSSearch: []string{"."}, DNSOptions: []string{"ndots:3"}})
	if want := "nameserver 192.0.2.1\noptions ndots:3\n"; err != nil || string(r.ResolvConf) != want {
		t.Errorf("--dns 192.0.2.1: resolv.conf %q, %v; want %q", r.ResolvConf, err, want)
	}
}

// TestNoHelper is a host on which no helper is installed.
func TestNoHelper(t *testing.T) {
	if _, err := findProgram(context.Background(), "no-such-helper", nil, t.TempDir()); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("error %v, want ErrNotFound", err)
	}
	wantError(t, "no /dev/net/tun", checkTun(filepath.Join(t.TempDir(), "tun")), "connect the container")
}

func TestFindProgramAsksOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pasta")
	script := "#!/bin/sh\necho $1 >>" + dir + "/asked\ncase $1 in --version) echo pasta 2024_08_14.61c0b0d;; *) echo '  -a, --address ADDR x'; echo '  --map-guest-addr ADDR';exit 1;; esac\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		p, err := findProgram(context.Background(), "pasta", []string{dir}, dir)
		if err != nil {
			t.Fatal(err)
		}
		if p.Path != path || p.released() != 20240814 || !p.has("map-guest-addr") || !p.has("address") || p.has("nonsense") {
			t.Errorf("found %+v", p)
		}
	}
	asked := func() int {
		data, err := os.ReadFile(dir + "/asked")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(data), "\n")
	}
	if asked() != 2 {
		t.Errorf("asked %d times, want --version and --help once", asked())
	}
	if err := os.WriteFile(path, []byte(script+"#\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := findProgram(context.Background(), "pasta", []string{dir}, dir); err != nil || asked() != 4 {
		t.Errorf("a replaced program was asked %d times, %v; want 4", asked(), err)
	}
}

// A wrapper script that keeps its output to itself is used all the same, with any option that the user wants.
func TestFindProgramThatSaysNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "pasta")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	p, err := findProgram(context.Background(), "pasta", []string{dir}, dir)
	if err != nil || p.Path != path || p.has("address") || p.released() != 0 {
		t.Errorf("found %+v, %v", p, err)
	}
	if err := newPastaOptions([]string{"--map-guest-addr=192.0.2.1"}).check(p); err != nil {
		t.Error(err)
	}
}

func TestDefaultInterface(t *testing.T) {
	dir := t.TempDir()
	r4, r6 := dir+"/route", dir+"/ipv6_route"
	head := "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
	os.WriteFile(r4, []byte(head+"eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\neth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"), 0o644)
	os.WriteFile(r6, []byte("00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth6\n"), 0o644)
	if got := defaultInterface(r4, r6); got != "eth0" {
		t.Errorf("default interface %q, want eth0", got)
	}
	os.WriteFile(r4, []byte(head), 0o644)
	if got := defaultInterface(r4, r6); got != "eth6" {
		t.Errorf("default interface %q, want eth6", got)
	}
	if got := defaultInterface(dir+"/x", dir+"/y"); got != "" {
		t.Errorf("default interface %q, want none", got)
	}
}

func TestPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	for _, spec := range []string{port + ":80", "127.0.0.1:" + port + ":80", "0.0.0.0:" + port + ":80"} {
		err := CheckPorts(mappings(t, spec))
		wantError(t, spec, err, "port "+port+"/tcp is in use")
		if !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("%s: %v does not wrap EADDRINUSE", spec, err)
		}
	}
	if pid, name := portOwner(mappings(t, port+":80")[0]); pid != os.Getpid() || name == "" {
		t.Errorf("the port's owner is %s (%d), want this test", name, pid)
	}
	if err := CheckPorts(mappings(t, "127.0.0.2:"+port+":80", port+":80/udp", "[::1]:"+port+":80")); err != nil {
		t.Error(err)
	}
	// pasta sets SO_REUSEADDR on UDP sockets: that must not hide that the port is taken.
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	raw, _ := u.(*net.UDPConn).SyscallConn()
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	udp := strconv.Itoa(u.LocalAddr().(*net.UDPAddr).Port)
	wantError(t, udp+"/udp", CheckPorts(mappings(t, udp+":53/udp")), "port "+udp+"/udp is in use")

	wantError(t, "a foreign address", CheckPorts(mappings(t, "198.51.100.1:"+port+":80")), "no interface of this host has that address")
}

func TestFreePorts(t *testing.T) {
	ports := mappings(t, "80", "127.0.0.1::81", "[::1]::53/udp", "90-99")
	held, err := holdPorts(ports)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[uint16]bool{}
	for _, p := range ports {
		if p.HostPort == 0 || seen[p.HostPort] {
			t.Errorf("port %+v is 0 or given twice", p)
		}
		seen[p.HostPort] = true
		if err := CheckPorts([]attach.PortMapping{p}); err == nil {
			t.Errorf("port %+v is not held", p)
		}
	}
	held.release()
	if err := CheckPorts(ports); err != nil {
		t.Errorf("after release: %v", err)
	}
}
