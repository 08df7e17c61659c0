// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/berth-containers/berth/network/attach"
)

// member is a container in a network, without a gateway: nobody listens for it.
func member(container, network string, names []string, ips ...string) *Member {
	m := &Member{Network: network, CNI: &attach.CNI{Container: container, DNS: true, Names: names}, Joined: new(attach.Joined)}
	for _, ip := range ips {
		m.Joined.Addresses = append(m.Joined.Addresses, attach.Address{IP: ip})
	}
	return m
}

func TestOwnNames(t *testing.T) {
	r := newResolver(func(do func() error) error { return do() })
	half := member("h", "web", []string{"half"}, "10.1.0.9")
	half.Joined = nil // not connected yet
	if err := r.set([]*Member{
		member("a", "web", []string{"a", "www"}, "10.1.0.2", "fd00::2"), member("b", "web", []string{"b", "www"}, "10.1.0.3"),
		member("c", "db", []string{"c"}, "10.2.0.2"), member("b", "db", []string{"b"}, "10.2.0.3"), half,
	}); err != nil {
		t.Fatal(err)
	}
	v := r.view.Load()
	for question, want := range map[string]string{ // networks of who asks, type, name
		"web A a.":                       "10.1.0.2",
		"web A A.":                       "10.1.0.2",
		"web A a.dns.podman.":            "10.1.0.2",
		"web AAAA a.":                    "fd00::2",
		"web AAAA b.":                    "", // the name is there, an address of that kind is not
		"web A www.":                     "10.1.0.2 10.1.0.3",
		"web A c.":                       "elsewhere",
		"web A c.dns.podman.":            "NXDOMAIN",
		"web,db A c.":                    "10.2.0.2",
		"web A half.":                    "elsewhere",
		"web A example.org.":             "elsewhere",
		"web PTR 2.0.1.10.in-addr.arpa.": "a.dns.podman. www.dns.podman.",
		"web PTR 2.0.2.10.in-addr.arpa.": "elsewhere",
		"db PTR 2.0.2.10.in-addr.arpa.":  "c.dns.podman.",
		"web PTR 9.9.9.9.in-addr.arpa.":  "elsewhere",
		"web PTR x.1.10.in-addr.arpa.":   "elsewhere",
		"web PTR " + strings.Repeat("f.", 32) + "ip6.arpa.":           "elsewhere",
		"web PTR 2." + strings.Repeat("0.", 27) + "0.0.d.f.ip6.arpa.": "a.dns.podman. www.dns.podman.",
	} {
		f := strings.Fields(question)
		q := new(dns.Msg).SetQuestion(f[2], dns.StringToType[f[1]])
		got := "elsewhere"
		if m := v.own(q, strings.Split(f[0], ",")); m != nil {
			var all []string
			for _, rr := range m.Answer {
				all = append(all, strings.TrimPrefix(rr.String(), rr.Header().String()))
			}
			got = strings.Join(all, " ")
			if m.Rcode == dns.RcodeNameError {
				got = "NXDOMAIN"
			}
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", question, got, want)
		}
	}
}
