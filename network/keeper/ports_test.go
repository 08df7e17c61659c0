// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"net/netip"
	"testing"

	"github.com/berth-containers/berth/network/attach"
)

const (
	open     = `{"plugins":[{"type":"bridge","ipam":{"routes":[{"dst":"0.0.0.0/0"}]}}]}`
	internal = `{"plugins":[{"type":"bridge","ipam":{}}]}`
)

func publishes(list string, addresses ...string) *Member {
	m := &Member{Network: "n", CNI: &attach.CNI{Container: "c", List: []byte(list), Outside: &attach.Helper{}}, Joined: &attach.Joined{}}
	m.CNI.Ports = []attach.PortMapping{{ContainerPort: 80, HostPort: 8080, Protocol: "tcp"}}
	for _, a := range addresses {
		p := netip.MustParsePrefix(a)
		m.Joined.Addresses = append(m.Joined.Addresses, attach.Address{IP: p.Addr().String(), Prefix: p.Bits()})
	}
	return m
}

func TestTargets(t *testing.T) {
	all := targets([]*Member{publishes(open, "10.89.0.2/24")})
	four, six := all[port{"tcp", netip.MustParseAddrPort("0.0.0.0:8080")}], all[port{"tcp", netip.MustParseAddrPort("[::]:8080")}]
	if want := (target{netip.MustParseAddrPort("10.89.0.2:80"), true, "10.89.0.0/24"}); four != want || len(all) != 2 {
		t.Errorf("%v, want %v for IPv4", all, want)
	}
	if want := (target{netip.MustParseAddrPort("10.89.0.2:80"), false, "10.89.0.0/24"}); six != want {
		t.Errorf("IPv6 leads to %v, want %v: the container has no such address", six, want)
	}
	all = targets([]*Member{publishes(open, "10.89.0.2/24", "fd00::2/64")})
	if six := all[port{"tcp", netip.MustParseAddrPort("[::]:8080")}]; six.to != netip.MustParseAddrPort("[fd00::2]:80") || six.keep {
		t.Errorf("IPv6 leads to %v, want fd00::2, without a default route for answers", six)
	}
}

func TestTargetsOfFamiliesAndNonsense(t *testing.T) {
	m := publishes(open, "10.1.0.2/24", "fd00::2/64")
	m.CNI.Ports = []attach.PortMapping{
		{HostIP: "::1", HostPort: 53, ContainerPort: 5353, Protocol: "udp"}, {HostIP: "nonsense", HostPort: 1, ContainerPort: 1, Protocol: "tcp"},
	}
	all := targets([]*Member{m})
	if got := all[port{"udp", netip.MustParseAddrPort("[::1]:53")}]; len(all) != 1 || got.to != netip.MustParseAddrPort("[fd00::2]:5353") {
		t.Errorf("got %v", all)
	}
	m.Joined = nil
	if all := targets([]*Member{m}); len(all) != 0 {
		t.Errorf("of one that is not connected: %v", all)
	}
}

// TestSource checks which clients the container answers to through the gateway.
func TestSource(t *testing.T) {
	f := newForwarder(nil, keeps{four: true})
	to := target{netip.MustParseAddrPort("10.89.0.2:80"), true, "10.89.0.0/24 fd00::/64"}
	for client, kept := range map[string]bool{
		"192.0.2.7:1000": true, "[::ffff:192.0.2.7]:1000": true, "127.0.0.1:1000": false, "10.89.0.7:1000": false, "[2001:db8::1]:1000": false, "169.254.1.1:1000": false,
	} {
		if s := f.source(netip.MustParseAddrPort(client), to); s.IsValid() != kept {
			t.Errorf("client %s becomes %v, want it kept: %v", client, s, kept)
		}
	}
	to.keep = false
	if s := f.source(netip.MustParseAddrPort("192.0.2.7:1000"), to); s.IsValid() {
		t.Errorf("a client becomes %v without a way for answers", s)
	}
}

func TestNotKept(t *testing.T) {
	s := State{t.TempDir()}
	if why := s.NotKept(publishes(open, "10.89.0.2/24")); why != "" {
		t.Errorf("a usual network: %s", why)
	}
	if s.NotKept(publishes(internal, "10.89.0.2/24")) == "" {
		t.Error("an internal network: no reason")
	}
}
