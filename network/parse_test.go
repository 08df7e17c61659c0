// SPDX-License-Identifier: Apache-2.0

package network

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/attach"
)

func TestParseMode(t *testing.T) {
	for in, want := range map[string]Mode{
		"":                     {Kind: Private},
		"default":              {Kind: Private},
		"private":              {Kind: Private},
		"none":                 {Kind: None},
		"host":                 {Kind: Host},
		"container:web":        {Kind: Container, Container: "web"},
		"ns:/run/netns/x":      {Kind: NS, Path: "/run/netns/x"},
		"pasta":                {Kind: Pasta},
		"pasta:-4,--mtu,1400":  {Kind: Pasta, Options: []string{"-4", "--mtu", "1400"}},
		"slirp4netns:mtu=1400": {Kind: Slirp4netns, Options: []string{"mtu=1400"}},
		"bridge":               {Kind: Bridge, Networks: []Shared{{}}},
		"web":                  {Kind: Bridge, Networks: []Shared{{Name: "web"}}},
		"web,bridge":           {Kind: Bridge, Networks: []Shared{{Name: "web"}, {}}},
		"web:ip=10.1.0.2,ip6=fd00::2,mac=02:00:00:00:00:01,alias=a,alias=b,interface_name=web0": {Kind: Bridge, Networks: []Shared{
			{Name: "web", IPs: []string{"10.1.0.2", "fd00::2"}, MAC: "02:00:00:00:00:01", Aliases: []string{"a", "b"}, Interface: "web0"}}},
		"slirp4netns:cidr=10.1.0.0/24,mtu=1400": {Kind: Slirp4netns, Options: []string{"cidr=10.1.0.0/24", "mtu=1400"}},
	} {
		got, err := ParseMode(in)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParseMode(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"none:x":      "takes no options",
		"host:x":      "takes no options",
		"private:x":   "takes no options",
		"container:":  "names no container",
		"container":   "names no container",
		"ns:relative": "must be absolute",
		"ns:":         "must be absolute",
		"../x":        "network name ../x invalid",
		"a,../x":      "network name ../x invalid",
		"a:b=c":       `unknown option "b=c"`,
	} {
		_, err := ParseMode(in)
		wantError(t, "ParseMode("+in+")", err, want)
	}
}

// wantError checks that err says what is wanted and has a hint.
func wantError(t *testing.T, what string, err error, want string) {
	t.Helper()
	var h *hint.Error
	if err == nil || !strings.Contains(field.Text(err, field.Flag), want) {
		t.Errorf("%s: error %v, want one with %q", what, err, want)
	} else if !errors.As(err, &h) || h.Hint.Empty() {
		t.Errorf("%s: error %q has no hint", what, err)
	}
}

func TestParsePublish(t *testing.T) {
	tcp := func(ip string, host, ctr uint16) attach.PortMapping {
		return attach.PortMapping{HostIP: ip, HostPort: host, ContainerPort: ctr, Protocol: "tcp"}
	}
	udp := func(ip string, host, ctr uint16) attach.PortMapping {
		return attach.PortMapping{HostIP: ip, HostPort: host, ContainerPort: ctr, Protocol: "udp"}
	}
	for in, want := range map[string][]attach.PortMapping{
		"80":                      {tcp("", 0, 80)},
		"80/tcp":                  {tcp("", 0, 80)},
		"53/UDP":                  {udp("", 0, 53)},
		":80":                     {tcp("", 0, 80)},
		"0:80":                    {tcp("", 0, 80)},
		"8080:80":                 {tcp("", 8080, 80)},
		"8080:80/udp":             {udp("", 8080, 80)},
		"127.0.0.1:8080:80":       {tcp("127.0.0.1", 8080, 80)},
		"127.0.0.1::80":           {tcp("127.0.0.1", 0, 80)},
		"0.0.0.0:8080:80":         {tcp("0.0.0.0", 8080, 80)},
		"[::1]:8080:80":           {tcp("::1", 8080, 80)},
		"[::]::80/udp":            {udp("::", 0, 80)},
		"[fd00:0::2]:1:80":        {tcp("fd00::2", 1, 80)},
		"8000-8002:80-82":         {tcp("", 8000, 80), tcp("", 8001, 81), tcp("", 8002, 82)},
		"80-81":                   {tcp("", 0, 80), tcp("", 0, 81)},
		"65534-65535:65534-65535": {tcp("", 65534, 65534), tcp("", 65535, 65535)},
	} {
		got, err := ParsePublish([]string{in})
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("ParsePublish(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
	for in, want := range map[string]string{
		"":                       `container port "" is not a number`,
		"x":                      `"x" is not a number`,
		"80:":                    `container port "" is not a number`,
		"0":                      "container port 0",
		"8080:0":                 "container port 0",
		"70000:80":               `host port "70000" is not a number from 0 to 65535`,
		"-1:80":                  "is not a number",
		"+1:80":                  "is not a number",
		"80/icmp":                `protocol "icmp" is not tcp, udp or sctp`,
		"80/":                    `protocol "" is not tcp, udp or sctp`,
		"8000-8001:80":           "2 host ports for 1 container ports",
		"8000:80-81":             "1 host ports for 2 container ports",
		"8001-8000:81-80":        "ends before it begins",
		"0-1:80-81":              "begins with 0",
		"localhost:8080:80":      `host address "localhost" is not an IP address`,
		":8080:80":               `host address "" is not an IP address`,
		"::1:8080:80":            "brackets",
		"[::1]8080:80":           "]:",
		"[::1]:80":               "HOSTPORT:CONTAINERPORT",
		"[::1]:1:2:3":            "HOSTPORT:CONTAINERPORT",
		"[127.0.0.1]:8080:80":    "not an IPv6 address",
		"[fe80::1%eth0]:8080:80": "zone",
	} {
		_, err := ParsePublish([]string{in})
		wantError(t, "ParsePublish("+in+")", err, want)
	}
}

func TestPublishedTwice(t *testing.T) {
	for _, specs := range [][]string{
		{"8080:80", "8080:81"},
		{"8080:80", "127.0.0.1:8080:81"},
		{"[::1]:8080:80", "8080:81"},
		{"0.0.0.0:8080:80", "127.0.0.1:8080:81"},
		{"[::]:8080:80", "[::1]:8080:80"},
		{"8000-8002:80-82", "8002:90"},
	} {
		_, err := ParsePublish(specs)
		wantError(t, strings.Join(specs, " "), err, "published twice")
	}
	for _, specs := range [][]string{
		{"8080:80", "8080:80/udp"},
		{"127.0.0.1:8080:80", "127.0.0.2:8080:80"},
		{"0.0.0.0:8080:80", "[::]:8080:80"},
		{"80", "80"},
	} {
		if _, err := ParsePublish(specs); err != nil {
			t.Errorf("ParsePublish(%q): %v", specs, err)
		}
	}
}

func FuzzParsePublish(f *testing.F) {
	for _, s := range []string{"80", "127.0.0.1:8080:80/udp", "[::1]:1-2:3-4", "[", "a:b:c/d", "0-65535:0-65535", "1-65535:1-65535"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, spec string) {
		ports, err := ParsePublish([]string{spec})
		if err != nil {
			return
		}
		if len(ports) == 0 {
			t.Errorf("%q parsed to nothing", spec)
		}
		for _, p := range ports {
			if p.ContainerPort == 0 || p.Protocol != "tcp" && p.Protocol != "udp" {
				t.Errorf("%q parsed to %+v", spec, p)
			}
			// What was parsed can be said again.
			again, err := ParsePublish([]string{HostAddr(p) + ":" + strings.TrimSuffix(PortLines([]attach.PortMapping{p})[0], " -> "+HostAddr(p))})
			if err != nil || again[0].HostPort != p.HostPort || again[0].ContainerPort != p.ContainerPort || again[0].Protocol != p.Protocol {
				t.Errorf("%q: %+v became %+v, %v", spec, p, again, err)
			}
		}
	})
}

func FuzzParseMode(f *testing.F) {
	for _, s := range []string{"", "none", "container:x", "ns:/x", "pasta:-a,1", "slirp4netns:"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMode(s)
		if err == nil && m.Kind == "" {
			t.Errorf("ParseMode(%q) has no kind", s)
		}
	})
}

func TestShow(t *testing.T) {
	ports, err := ParsePublish([]string{"8080:80", "[::1]:9090:80", "9000-9002:53-55/udp", "127.0.0.1:1:1"})
	if err != nil {
		t.Fatal(err)
	}
	want := "0.0.0.0:8080->80/tcp, [::1]:9090->80/tcp, 0.0.0.0:9000-9002->53-55/udp, 127.0.0.1:1->1/tcp"
	if got := PortColumn(ports); got != want {
		t.Errorf("PortColumn: %s\nwant        %s", got, want)
	}
	lines := strings.Join(PortLines(ports), "\n")
	want = "1/tcp -> 127.0.0.1:1\n53/udp -> 0.0.0.0:9000\n54/udp -> 0.0.0.0:9001\n55/udp -> 0.0.0.0:9002\n80/tcp -> 0.0.0.0:8080\n80/tcp -> [::1]:9090"
	if lines != want {
		t.Errorf("PortLines:\n%s\nwant\n%s", lines, want)
	}
	m := PortMap(ports, []string{"443", "80/tcp"})
	if v, ok := m["443/tcp"]; !ok || v != nil {
		t.Errorf("an exposed port that is not published: %v, want null", v)
	}
	if got := m["80/tcp"]; !reflect.DeepEqual(got, []HostPort{{"0.0.0.0", "8080"}, {"::1", "9090"}}) {
		t.Errorf("PortMap 80/tcp: %v", got)
	}
}
