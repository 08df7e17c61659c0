// SPDX-License-Identifier: Apache-2.0

package confine

import (
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/libctr/spec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/buildah/bind"
)

// buildahs is what buildah makes of a RUN, in short.
func buildahs() *specs.Spec {
	return &specs.Spec{
		Root:     &specs.Root{Path: "/bundle/rootfs"},
		Hostname: "h",
		Process: &specs.Process{
			Args: []string{"true"}, Cwd: "/w", User: specs.User{UID: 1, GID: 2, AdditionalGids: []uint32{2, 3}},
			Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_CHOWN", "CAP_SYS_ADMIN"}},
		},
		Linux: &specs.Linux{
			Namespaces:  []specs.LinuxNamespace{{Type: specs.PIDNamespace}, {Type: specs.NetworkNamespace, Path: "/net"}, {Type: specs.MountNamespace}},
			MaskedPaths: []string{"/none"},
		},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"mode=777"}},
			{Destination: "/sys", Type: "bind", Source: "/sys", Options: []string{bind.NoBindOption, "rbind"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"rw"}},
			{Destination: "/etc/hosts", Type: "bind", Source: "/bundle/hosts", Options: []string{"rbind", bind.NoBindOption}},
			{Destination: "/etc/resolv.conf", Type: "bind", Source: "/mine", Options: []string{"rbind"}},
			{Destination: "/cache", Type: "bind", Source: "/cache", Options: []string{"rbind"}},
		},
	}
}

func plan() *Plan {
	return &Plan{Spec: spec.Options{CgroupPath: "/berth/build", Host: spec.Host{Bounding: []string{"CAP_CHOWN"}}}}
}

func TestConfined(t *testing.T) {
	s, err := plan().confined(buildahs(), "7")
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]specs.Mount{}
	for _, m := range s.Mounts {
		at[m.Destination] = m
	}
	for dst, want := range map[string]string{
		"/proc": "nosuid,noexec,nodev", "/dev": "mode=755", "/sys": "nosuid,noexec,nodev,ro", "/sys/fs/cgroup": "relatime,ro",
		"/etc/hosts": "bind,rprivate,nosuid,noexec,nodev," + bind.NoBindOption, "/etc/resolv.conf": "rbind", "/cache": "rbind",
	} {
		if got := strings.Join(at[dst].Options, ","); !strings.Contains(got, want) {
			t.Errorf("%s is mounted with %q, want %q", dst, got, want)
		}
	}
	if at["/sys"].Type != "sysfs" || at["/etc/resolv.conf"].Source != "/mine" {
		t.Errorf("mounts: %+v", s.Mounts)
	}
	if s.Linux.CgroupsPath != "/berth/build-7" || s.Linux.Resources.Pids == nil || s.Linux.Seccomp == nil || slices.Contains(s.Linux.MaskedPaths, "/none") || len(s.Linux.MaskedPaths) == 0 {
		t.Errorf("not confined: %+v", s.Linux)
	}
	p := s.Process
	if p.User.UID != 1 || p.Cwd != "/w" || s.Hostname != "" || !slices.Equal(p.Capabilities.Bounding, []string{"CAP_CHOWN"}) || len(p.Capabilities.Effective) > 0 {
		t.Errorf("the process: %+v, host name %q in the host's UTS namespace", p, s.Hostname)
	}
}

func TestRefused(t *testing.T) {
	for want, change := range map[string]func(*specs.Spec){
		"must not be in /proc": func(s *specs.Spec) {
			s.Mounts[0] = specs.Mount{Destination: "/x/../proc/self", Type: "tmpfs", Source: "tmpfs"}
		},
		`WORKDIR "/proc/self/fd/7"`: func(s *specs.Spec) { s.Process.Cwd = "/proc/self/fd/7" },
		"not complete":              func(s *specs.Spec) { s.Linux = nil },
	} {
		asked := buildahs()
		change(asked)
		if _, err := plan().confined(asked, "7"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
