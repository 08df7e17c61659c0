// SPDX-License-Identifier: Apache-2.0

package cni

import (
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
	if err := Create(dir, &n, nil); err != nil {
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
		if err := Create(dir, &n, pools); err != nil {
			t.Fatal(err)
		}
		if got := n.Subnets[0].Subnet.String(); got != w {
			t.Errorf("got %s, want %s", got, w)
		}
	}
	if err := Create(dir, new(types.Network), pools); err == nil || !strings.Contains(err.Error(), "could not find free subnet") {
		t.Errorf("of a pool that is used up: %v", err)
	}
}
