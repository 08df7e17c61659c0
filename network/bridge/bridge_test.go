// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/network/attach"
)

const ipam = `"ipam":{"type":"host-local","subnet":"10.9.0.0/24","routes":[{"dst":"0.0.0.0/0"}]}`

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, plugins string
		want          string // what it is, or empty for one that is left to the plugins
	}{
		{"what network create writes", `{"type":"bridge","bridge":"b0","isGateway":true,"ipMasq":true,"hairpinMode":true,"capabilities":{"ips":true,"mac":true},` + ipam + `},
			{"type":"portmap","capabilities":{"portMappings":true}},{"type":"firewall","ingressPolicy":"same-bridge"},{"type":"tuning","capabilities":{"mac":true}}`, "b0 closed"},
		{"the example of a CNI page", `{"cniVersion":"0.2.0","name":"n","type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,` + ipam + `}`, "cni0"},
		{"the default bridge", `{"type":"bridge",` + ipam + `}`, "cni0"},
		{"names are not the plugin's", `{"type":"bridge",` + ipam + `},{"type":"dnsname","domainName":"x","anything":1}`, "cni0"},
		{"a VLAN", `{"type":"bridge","vlan":7,` + ipam + `}`, ""},
		{"another main plugin", `{"type":"macvlan","master":"eth0",` + ipam + `}`, ""},
		{"another way to addresses", `{"type":"bridge","ipam":{"type":"dhcp"}}`, ""},
		{"no addresses", `{"type":"bridge"}`, ""},
		{"sysctls", `{"type":"bridge",` + ipam + `},{"type":"tuning","sysctl":{"net.core.somaxconn":"500"}}`, ""},
		{"containers of one network apart", `{"type":"bridge",` + ipam + `},{"type":"firewall","ingressPolicy":"isolated"}`, ""},
		{"firewalld", `{"type":"bridge",` + ipam + `},{"type":"firewall","backend":"firewalld"}`, ""},
		{"somebody's plugin", `{"type":"bridge",` + ipam + `},{"type":"bandwidth"}`, ""},
		{"a range that is none", `{"type":"bridge","ipam":{"type":"host-local","subnet":"nonsense"}}`, ""},
	} {
		list := json.RawMessage(`{"cniVersion":"1.0.0","name":"n","plugins":[` + c.plugins + `]}`)
		n := Read(&attach.CNI{List: list, StateDir: "/run/x"})
		got := ""
		if n != nil {
			got = n.bridge.Bridge
			if n.closed {
				got += " closed"
			}
			if want := "/run/x/leases"; n.ipam.DataDir != want {
				t.Errorf("%s: leases in %s, want %s", c.name, n.ipam.DataDir, want)
			}
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for _, bad := range []string{"", "{", `{"plugins":[]}`, `{"plugins":[1]}`, `[]`} {
		if Read(&attach.CNI{List: json.RawMessage(bad)}) != nil {
			t.Errorf("%s was read", bad)
		}
	}
}

func TestTargets(t *testing.T) {
	j := &attach.Joined{Addresses: []attach.Address{{IP: "10.9.0.2"}, {IP: "fd00::2"}, {IP: "10.9.0.3"}}}
	for host, want := range map[string]string{
		"": "10.9.0.2:80 [fd00::2]:80", "0.0.0.0": "10.9.0.2:80", "127.0.0.1": "10.9.0.2:80", "::": "[fd00::2]:80", "::1": "[fd00::2]:80",
	} {
		var got []string
		for _, a := range targets(j, attach.PortMapping{HostIP: host, ContainerPort: 80}) {
			got = append(got, a.String())
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("published on %q: to %s, want %s", host, s, want)
		}
	}
}

func TestAddressBelongsToItsHardware(t *testing.T) {
	addr := func(s string) address {
		a := address{}
		a.IP = netip.MustParseAddr(s).AsSlice()
		return a
	}
	for _, c := range []struct {
		asked string
		ips   []string
		want  string
	}{
		{"", []string{"10.9.0.2"}, "0a:58:0a:09:00:02"},
		{"", []string{"fd00::2", "10.9.0.2"}, "0a:58:0a:09:00:02"},
		{"", []string{"fd00::2"}, ""},
		{"92:d0:c6:0a:29:33", []string{"10.9.0.2"}, "92:d0:c6:0a:29:33"},
	} {
		var all []address
		for _, ip := range c.ips {
			all = append(all, addr(ip))
		}
		mac, err := hardwareAddress(c.asked, all)
		if err != nil || mac.String() != c.want {
			t.Errorf("%+v: %s, %v", c, mac, err)
		}
	}
}

func TestNamesOfInterfacesFit(t *testing.T) {
	n := &Network{Name: strings.Repeat("x", 200)}
	a := n.vethName(&attach.CNI{Container: strings.Repeat("1", 64), Interface: "eth0"})
	b := n.vethName(&attach.CNI{Container: strings.Repeat("1", 64), Interface: "eth1"})
	if len(a) > 15 || a == b || !slices.Equal([]byte(a[:4]), []byte("veth")) {
		t.Errorf("%s, %s", a, b)
	}
}
