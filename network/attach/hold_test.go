// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHold holds a port, also one with a connection in TIME_WAIT: nobody else gets it, who connects is refused at once, and then it is free.
func TestHold(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, waiting := range []bool{false, true} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := uint16(l.Addr().(*net.TCPAddr).Port)
		if waiting {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			s.Close() // who closes first waits
			_, _ = c.Read(make([]byte, 1))
			c.Close()
		}
		l.Close()
		for _, proto := range []string{"tcp", "udp"} {
			mapping := []PortMapping{{HostIP: "127.0.0.1", HostPort: port, ContainerPort: 80, Protocol: proto}}
			h, err := hold(mapping)
			if err != nil {
				t.Fatalf("%s, waiting %t: %v", proto, waiting, err)
			}
			if _, err := hold(mapping); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("%s, waiting %t: held twice: %v", proto, waiting, err)
			}
			if fd, _, err := Bind(loopback, port, proto); !errors.Is(err, unix.EADDRINUSE) {
				unix.Close(fd)
				t.Errorf("%s, waiting %t: bound by another: %v", proto, waiting, err)
			}
			if proto == "tcp" {
				if c, err := net.Dial("tcp", "127.0.0.1:"+strconv.Itoa(int(port))); !errors.Is(err, unix.ECONNREFUSED) {
					t.Errorf("waiting %t: connected to a held port: %v, %v", waiting, c, err)
				}
			}
			h.release()
			fd, _, err := Bind(loopback, port, proto)
			if err != nil {
				t.Errorf("%s, waiting %t: after release: %v", proto, waiting, err)
			}
			unix.Close(fd)
		}
	}
}
