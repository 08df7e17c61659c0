// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"testing"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

func TestAboutNamesTheOuterVerbOnce(t *testing.T) {
	web := &Container{ID: "1", State: &record.State{Name: "web", Status: record.Paused}}
	db := &Container{ID: "2", State: &record.State{Name: "db", Status: record.Created}}
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"plain":             {about("stop", web, ErrPaused), "can only stop created or running containers. 1 is in state paused: container state improper"},
		"of another method": {about("remove", web, about("stop", web, ErrPaused)), "cannot remove container 1 as it is paused - running or paused containers cannot be removed without force: container state improper"},
		"another container": {about("start", db, about("wait for", web, ErrPaused)), "container 2 must be in Created or Stopped state to be started, and is created: container state improper"},
		"with more text":    {about("wait for", web, fmt.Errorf("connect: %w", ErrPaused)), `wait for container "web": connect: container is paused: container state improper`},
		"exec":              {about("exec in", web, ErrPaused), "can only create exec sessions on running containers: container state improper"},
		"pause":             {about("pause", web, ErrPaused), `"1" is already paused: container state improper`},
	} {
		t.Run(name, func(t *testing.T) {
			if tc.err.Error() != tc.want || !errors.Is(tc.err, ErrPaused) {
				t.Errorf("got %q, want %q", tc.err, tc.want)
			}
		})
	}
	if err := about("stop", web, nil); err != nil {
		t.Errorf("about nothing is %v", err)
	}
}

func TestNeededDir(t *testing.T) {
	mounts := []spec.Mount{
		{Type: "bind", Source: "/host/data", Destination: "/data"},
		{Type: "volume", Source: "/volumes/deep", Destination: "/data/deep/"},
		{Type: "tmpfs", Destination: "/tmp"},
	}
	for dir, want := range map[string]*record.NeedDir{
		"":              nil, // the image's, which is made
		"/proc/self":    nil,
		"/sys":          nil,
		"/dev/shm":      nil,
		"/":             {Path: "/"},
		"/x/../y/":      {Path: "/y"},
		"/device":       {Path: "/device"},
		"/database":     {Path: "/database"},
		"/tmp/x":        {Path: "/tmp/x"},
		"/data":         {Path: "/data", Root: "/host/data", At: "/data"},
		"/data/x":       {Path: "/data/x", Root: "/host/data", At: "/data"},
		"/data/deep/er": {Path: "/data/deep/er", Root: "/volumes/deep", At: "/data/deep"},
	} {
		got := neededDir(dir, mounts)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("neededDir(%q) = %+v, want %+v", dir, got, want)
		}
	}
}

func TestPublishes(t *testing.T) {
	s := &record.State{Ports: []record.PortMapping{
		{HostIP: "127.0.0.1", HostPort: 8080, Protocol: "tcp"}, {HostPort: 53, Protocol: "udp"},
	}}
	for name, tc := range map[string]struct {
		p    record.PortMapping
		want bool
	}{
		"the same":         {record.PortMapping{HostIP: "127.0.0.1", HostPort: 8080, Protocol: "tcp"}, true},
		"every address":    {record.PortMapping{HostPort: 8080, Protocol: "tcp"}, true},
		"another address":  {record.PortMapping{HostIP: "127.0.0.2", HostPort: 8080, Protocol: "tcp"}, false},
		"another protocol": {record.PortMapping{HostPort: 8080, Protocol: "udp"}, false},
		"one of all":       {record.PortMapping{HostIP: "::1", HostPort: 53, Protocol: "udp"}, true},
		"another port":     {record.PortMapping{HostPort: 80, Protocol: "tcp"}, false},
	} {
		if got := publishes(s, tc.p); got != tc.want {
			t.Errorf("%s: publishes = %t, want %t", name, got, tc.want)
		}
	}
}
