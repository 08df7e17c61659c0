// SPDX-License-Identifier: Apache-2.0

package udprelay

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestParse(t *testing.T) {
	for _, s := range []string{"127.0.0.1:5353=53", "[::1]:1=65535"} {
		p, err := Parse(s)
		if err != nil || p.String() != s {
			t.Errorf("Parse(%q) = %v, %v", s, p, err)
		}
	}
	for _, s := range []string{"", "127.0.0.1:5353", "127.0.0.1=53", "127.0.0.1:5353=", "127.0.0.1:5353=0", "127.0.0.1:5353=65536", "localhost:1=1"} {
		if p, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", s, p)
		}
	}
}

// TestExpire checks that silent clients are forgotten, and that there are never many.
func TestExpire(t *testing.T) {
	r := &Relay{flows: map[int]*flow{}, byClient: map[client]*flow{}}
	now := time.Now()
	sets := 0 // stands for the listener
	add := func(n int, last time.Time) {
		sets++
		for i := range n {
			fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			c := client{listener: sets, addr: netip.AddrPortFrom(netip.IPv6Loopback(), uint16(i))}
			f := &flow{client: c, fd: fd, release: func() {}, last: last}
			r.flows[fd], r.byClient[c] = f, f
		}
	}
	add(5, now.Add(-idle))
	add(3, now.Add(-idle/2))
	r.expire(now)
	if len(r.flows) != 3 || len(r.byClient) != 3 {
		t.Errorf("%d flows, %d clients, want the 3 that have spoken", len(r.flows), len(r.byClient))
	}
	add(100, now)
	r.expire(now)
	if len(r.flows) != 103 {
		t.Errorf("%d flows, want all 103", len(r.flows))
	}
	add(maxFlows-50, now.Add(time.Nanosecond))
	r.expire(now)
	if n := len(r.flows); n > maxFlows || n != len(r.byClient) {
		t.Errorf("%d flows, %d clients, want at most %d", n, len(r.byClient), maxFlows)
	}
	for fd := range r.flows {
		unix.Close(fd)
	}
}
