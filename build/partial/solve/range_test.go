// SPDX-License-Identifier: Apache-2.0

package solve

import (
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"
)

func TestRange(t *testing.T) {
	for _, tc := range []struct{ text, in, out string }{
		{"", "0.0.1 1.0.0 9.9.9", "1.0.0-rc.1"},
		{"^1.2", "1.2.0 1.9.9", "1.1.9 2.0.0 1.3.0-rc.1"},
		{"^0.3", "0.3.0 0.3.9", "0.4.0 1.0.0"},
		{"~1.2.3", "1.2.3 1.2.9", "1.3.0"},
		{"~3.12", "3.12.0 3.12.7", "3.13.0"},
		{">=20 <25", "20.0.0 24.9.0", "25.0.0 19.0.0"},
		{">= 20, < 25", "20.0.0 24.9.0", "25.0.0 19.0.0"},
		{"=1.2.0", "1.2.0", "1.2.1"},
		{"1.x", "1.0.0 1.9.0", "2.0.0"},
		{"*", "1.0.0", "1.0.0-rc.1"},
		{"!=1.2.0", "1.2.1", "1.2.0"},
		{"^1 || ^3", "1.0.0 3.1.0", "2.0.0"},
		{">=2.0.0-0", "2.0.0-rc.1 2.0.0 3.0.0", "2.1.0-rc.1 1.9.0"},
		{">=2.0.0-0,<3", "2.0.0-rc.1 2.1.0", "3.0.0-rc.1"},
		{"^1 || =2.0.0-rc.1", "1.5.0 2.0.0-rc.1", "2.0.0-rc.2 1.6.0-rc.1"},
		{pinA, "", "1.0.0"},
	} {
		r, err := ParseRange(tc.text)
		if err != nil {
			t.Errorf("ParseRange(%q) = %v", tc.text, err)
			continue
		}
		for want, list := range map[bool]string{true: tc.in, false: tc.out} {
			for _, v := range strings.Fields(list) {
				if got := r.Match(semver.MustParse(v)); got != want {
					t.Errorf("%q matches %s: %v; want %v", tc.text, v, got, want)
				}
			}
		}
	}
	for _, bad := range []string{"=>1", "^", "lts", "1 - 2", "||", "^1 ||", "v1", "sha256:12", "~>1", ">1;2", "1..2"} {
		if r, err := ParseRange(bad); err == nil {
			t.Errorf("ParseRange(%q) = %v; want an error", bad, r)
		}
	}
}

func TestParseRequirement(t *testing.T) {
	for _, tc := range []struct{ text, name, rng, shown string }{
		{"std/ca-certs@^1", "std/ca-certs", "^1", "std/ca-certs ^1"},
		{"cap:nodejs@>=20", "nodejs", ">=20", "capability nodejs >=20"},
		{"./dir", "./dir", "", "./dir"},
		{"git+ssh://git@host/repo//dir", "git+ssh://git@host/repo//dir", "", "git+ssh://git@host/repo//dir"},
		{"localhost:5000/p/x@" + pinA, "localhost:5000/p/x", pinA, "localhost:5000/p/x " + pinA},
	} {
		r, err := ParseRequirement(tc.text)
		if err != nil || r.Name != tc.name || r.Range.String() != tc.rng || r.String() != tc.shown {
			t.Errorf("ParseRequirement(%q) = %q %q, shown %q, %v", tc.text, r.Name, r.Range, r, err)
		}
	}
	for _, bad := range []string{"", "@^1", "cap:", "a b", "a@lts"} {
		if _, err := ParseRequirement(bad); err == nil {
			t.Errorf("ParseRequirement(%q) gave no error", bad)
		}
	}
}

func TestParseCapability(t *testing.T) {
	c, err := ParseCapability("nodejs=22.11")
	if err != nil || c.Name != "nodejs" || c.Version.String() != "22.11.0" {
		t.Errorf("ParseCapability = %+v, %v", c, err)
	}
	for _, bad := range []string{"", "=1", "a=x", "cap:a"} {
		if _, err := ParseCapability(bad); err == nil {
			t.Errorf("ParseCapability(%q) gave no error", bad)
		}
	}
}
