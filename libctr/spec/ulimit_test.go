// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"testing"

	"github.com/berth-containers/berth/libctr/record"
)

func TestStandInForAPidsLimit(t *testing.T) {
	nproc := func(hard int64) []record.Ulimit {
		return []record.Ulimit{{Name: "RLIMIT_NPROC", Soft: hard, Hard: hard}}
	}
	for _, c := range []struct {
		name string
		o    Options
		want int64
	}{
		{"no cgroup, a large machine", Options{NoCgroup: true, Host: Host{Rootless: true, Rlimits: nproc(96364), Threads: 192728}}, 16384},
		{"no cgroup, a small machine", Options{NoCgroup: true, Host: Host{Rootless: true, Rlimits: nproc(-1), Threads: 15000}}, 3750},
		{"a low limit of the user's own", Options{NoCgroup: true, Host: Host{Rootless: true, Rlimits: nproc(500), Threads: 192728}}, 250},
		{"no pids controller", Options{Controllers: []string{"memory"}, Host: Host{Rootless: true, Rlimits: nproc(96364)}}, 16384},
		{"a cgroup", Options{Controllers: []string{"pids"}, Host: Host{Rootless: true, Rlimits: nproc(96364)}}, 96364},
		{"no limit asked for", Options{NoCgroup: true, Resources: Resources{PidsLimit: ptr(int64(-1))}, Host: Host{Rootless: true, Rlimits: nproc(96364)}}, 96364},
		{"no limit in containers.conf", Options{NoCgroup: true, Resources: Resources{PidsDefault: -1}, Host: Host{Rootless: true, Rlimits: nproc(96364)}}, 96364},
		{"its own limit", Options{NoCgroup: true, Ulimits: nproc(50), Host: Host{Rootless: true, Rlimits: nproc(96364)}}, 50},
		{"root, whom it does not bind", Options{NoCgroup: true, Host: Host{RaiseLimits: true}}, 1 << 22},
	} {
		c.o.Args = []string{"true"}
		p, err := process(&c.o)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		for _, l := range p.Rlimits {
			if l.Type == "RLIMIT_NPROC" && (int64(l.Hard) != c.want || l.Soft != l.Hard) {
				t.Errorf("%s: %d:%d processes, want %d", c.name, l.Soft, l.Hard, c.want)
			}
		}
	}
}
