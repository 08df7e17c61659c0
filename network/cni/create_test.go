// SPDX-License-Identifier: Apache-2.0

package cni

import (
	"bytes"
	"encoding/json"
	"maps"
	"net"
	"reflect"
	"strings"
	"testing"

	"go.podman.io/common/libnetwork/types"
	"go.podman.io/common/pkg/config"

	"github.com/berth-containers/berth/network/conflist"
)

func subnet(t *testing.T, cidr string) types.Subnet {
	t.Helper()
	n, err := types.ParseCIDR(cidr)
	if err != nil {
		t.Fatal(err)
	}
	return types.Subnet{Subnet: n}
}

// What is created is read as it was meant.
func TestCreateAndRead(t *testing.T) {
	dir := t.TempDir()
	metric := uint32(7)
	dst, err := types.ParseCIDR("10.9.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	s := subnet(t, "10.213.4.9/24")
	s.LeaseRange = &types.LeaseRange{StartIP: net.ParseIP("10.213.4.10"), EndIP: net.ParseIP("10.213.4.20")}
	n := types.Network{
		Name: "web", Labels: map[string]string{"tier": "front"}, Options: map[string]string{"mtu": "1400", "vlan": "7", "isolate": "strict"},
		Subnets: []types.Subnet{s}, IPv6Enabled: true, DNSEnabled: true, NetworkDNSServers: []string{"192.0.2.53"},
		Routes: []types.Route{{Destination: dst, Gateway: net.ParseIP("10.213.4.1").To4(), Metric: &metric}},
	}
	if err := Create(dir, &n, nil, nil); err != nil {
		t.Fatal(err)
	}
	l, err := conflist.Find(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadNetwork(l)
	if err != nil {
		t.Fatal(err)
	}
	if !got.Created.Equal(n.Created) {
		t.Errorf("created %v, want %v", got.Created, n.Created)
	}
	got.Created = n.Created
	for i := range got.Subnets { // 4 bytes or 16
		if l := got.Subnets[i].LeaseRange; l != nil {
			l.StartIP, l.EndIP = l.StartIP.To16(), l.EndIP.To16()
		}
	}
	got.Routes[0].Gateway = got.Routes[0].Gateway.To4()
	if !reflect.DeepEqual(got, n) {
		t.Errorf("got  %+v\nwant %+v", got, n)
	}
	if got.Subnets[0].Gateway.String() != "10.213.4.1" || len(got.Subnets) != 2 || got.NetworkInterface != "cni-podman1" {
		t.Errorf("filled in: %+v", got)
	}
}

func TestFreeSubnets(t *testing.T) {
	dir := t.TempDir()
	base, err := types.ParseCIDR("10.213.0.0/22")
	if err != nil {
		t.Fatal(err)
	}
	pools := []config.SubnetPool{{Base: &base, Size: 24}}
	want := []string{"10.213.0.0/24", "10.213.1.0/24", "10.213.2.0/24", "10.213.3.0/24"}
	for _, w := range want {
		n := types.Network{}
		if err := Create(dir, &n, nil, pools); err != nil {
			t.Fatal(err)
		}
		if got := n.Subnets[0].Subnet.String(); got != w {
			t.Errorf("got %s, want %s", got, w)
		}
	}
	if err := Create(dir, new(types.Network), nil, pools); err == nil || !strings.Contains(err.Error(), "could not find free subnet") {
		t.Errorf("of a pool that is used up: %v", err)
	}
}

func TestDriversOnTheHostsInterfaces(t *testing.T) {
	for name, test := range map[string]struct {
		n    types.Network
		want string // of the first plugin
		err  string
	}{
		"macvlan": {n: types.Network{Driver: "macvlan", NetworkInterface: "lo", Options: map[string]string{"mode": "private", "mtu": "1400", "metric": "7"}, Subnets: []types.Subnet{subnet(t, "10.213.20.0/24")}},
			want: `{"type":"macvlan","master":"lo","mode":"private","mtu":1400,"ipam":{"type":"host-local","ranges":[[{"subnet":"10.213.20.0/24","gateway":"10.213.20.1"}]],"routes":[{"dst":"0.0.0.0/0","priority":7}]},"capabilities":{"ips":true,"mac":true}}`},
		"the parent is an option": {n: types.Network{Driver: "ipvlan", Options: map[string]string{"parent": "lo", "mode": "l3", "no_default_route": "true"}, Subnets: []types.Subnet{subnet(t, "10.213.20.0/24")}},
			want: `{"type":"ipvlan","master":"lo","mode":"l3","ipam":{"type":"host-local","ranges":[[{"subnet":"10.213.20.0/24"}]]},"capabilities":{"ips":true,"mac":true}}`},
		"without addresses": {n: types.Network{Driver: "macvlan", IPAMOptions: map[string]string{"driver": "none"}},
			want: `{"type":"macvlan","capabilities":{"ips":true,"mac":true}}`},
		"a bridge without addresses": {n: types.Network{IPAMOptions: map[string]string{"driver": "none"}, NetworkInterface: "br-x"},
			want: `{"type":"bridge","bridge":"br-x","hairpinMode":true,"capabilities":{"ips":true,"mac":true}}`},
		"no subnet":              {n: types.Network{Driver: "macvlan"}, err: "needs a subnet"},
		"no such parent":         {n: types.Network{Driver: "macvlan", NetworkInterface: "nosuch0"}, err: "parent interface nosuch0 does not exist"},
		"a wrong mode":           {n: types.Network{Driver: "macvlan", Options: map[string]string{"mode": "l2"}, Subnets: []types.Subnet{subnet(t, "10.213.20.0/24")}}, err: "unknown macvlan mode"},
		"a bridge's own":         {n: types.Network{Driver: "ipvlan", Options: map[string]string{"vlan": "7"}, Subnets: []types.Subnet{subnet(t, "10.213.20.0/24")}}, err: "unsupported ipvlan network option vlan"},
		"a bridge with a mode":   {n: types.Network{Options: map[string]string{"mode": "l2"}}, err: "unsupported bridge network option mode"},
		"ipam none with subnets": {n: types.Network{IPAMOptions: map[string]string{"driver": "none"}, Subnets: []types.Subnet{subnet(t, "10.213.20.0/24")}}, err: "none ipam driver is set but subnets are given"},
	} {
		dir := t.TempDir()
		n := test.n
		n.Name = "web"
		pool, _ := types.ParseCIDR("10.213.30.0/24")
		err := Create(dir, &n, nil, []config.SubnetPool{{Base: &pool, Size: 24}})
		if test.err != "" {
			if err == nil || !strings.Contains(err.Error(), test.err) {
				t.Errorf("%s: error %v, want %s", name, err, test.err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		l, err := conflist.Find(dir, "web")
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		if err := json.Compact(&got, l.Plugins[0].Bytes); err != nil {
			t.Fatal(err)
		}
		if got.String() != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, &got, test.want)
		}
		back, err := ReadNetwork(l)
		if err != nil || back.Driver != n.Driver || back.NetworkInterface != n.NetworkInterface || !maps.Equal(back.Options, n.Options) {
			t.Errorf("%s: read back %+v, %v, want %+v", name, back, err, n)
		}
	}
}
