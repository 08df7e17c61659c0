// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/record"
)

var update = flag.Bool("update", false, "write testdata/*.json again")

// rootHost and userHost are the facts that the golden files stand on.
func rootHost() Host {
	return Host{Bounding: slices.Clone(capabilities), RaiseLimits: true, CgroupV2: true, Mqueue: true, PerCPU: []string{"/sys/devices/system/cpu/cpu0/thermal_throttle"},
		UIDMap: []IDRange{{0, 1<<32 - 1}}, GIDMap: []IDRange{{0, 1<<32 - 1}}}
}

func userHost() Host {
	return Host{Rootless: true, Bounding: slices.Clone(capabilities), CgroupV2: true, Mqueue: true, OwnerUID: 1000, OwnerGID: 1000, OOMScoreAdj: 200,
		Rlimits: []record.Ulimit{{Name: "RLIMIT_NOFILE", Soft: 1024, Hard: 524288}, {Name: "RLIMIT_NPROC", Soft: 1000, Hard: 2000}},
		UIDMap:  []IDRange{{0, 1}, {1, 65536}}, GIDMap: []IDRange{{0, 1}, {1, 65536}}}
}

func goldenOptions(t *testing.T) map[string]Options {
	t.Helper()
	files := Files{Hosts: "/d/hosts", ResolvConf: "/d/resolv.conf", Hostname: "/d/hostname", ContainerEnv: "/d/containerenv"}
	m, err := Mounts(MountOptions{
		Volumes: []string{"/srv:/srv:ro,rslave", "data:/var/lib/data", "/anon"}, Tmpfs: []string{"/scratch:size=64m,exec", "/dev/shm:size=1g"},
		Mounts: []string{"type=bind,src=/etc/ssl,dst=/etc/ssl,readonly,bind-propagation=private"}, ImageVolumes: []string{"/anon", "/image"}, ReadOnlyTmpfs: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m {
		if m[i].Type == "volume" {
			m[i].Source = "/volumes" + m[i].Destination
		}
	}
	args := []string{"/bin/true"}
	return map[string]Options{
		"root-defaults": {Args: args, Env: Environment(EnvOptions{}), Hostname: "box", Files: files, Host: rootHost()},
		"user-defaults": {Args: args, Env: Environment(EnvOptions{}), Hostname: "box", Files: files, Host: userHost(), CgroupPath: "user.slice:berth:id"},
		"user-everything": {
			OCIVersion: "1.2.0", Rootfs: "/rootfs", ReadOnly: true, Hostname: "box", Args: []string{"sh", "-c", "true"}, Env: []string{"A=b"}, WorkingDir: "/srv",
			User: User{UID: 33, GID: 34, Groups: []uint32{35, 99999}, Added: []uint32{5}}, Umask: "027", Terminal: true, StopSignal: 3, Mounts: m, Files: files,
			ShmSize: ptr(int64(1 << 30)), Init: "/usr/bin/catatonit", NetNSPath: "/proc/self/fd/5", CgroupPath: "/x",
			Resources:   Resources{Memory: 64 << 20, MemoryReservation: 32 << 20, NanoCPUs: 15e8, CPUShares: 512, CpusetCpus: "0-1", PidsLimit: ptr(int64(50))},
			CapAdd:      []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN"},
			CapDrop:     []string{"CAP_CHOWN"},
			Security:    Security{NoNewPrivileges: true, Mask: []string{"/opt"}, Unmask: []string{"/proc/*"}, ProcOpts: []string{"hidepid=2"}, AppArmor: "mine"},
			Sysctls:     map[string]string{"net.core.somaxconn": "1"},
			Ulimits:     []record.Ulimit{{Name: "RLIMIT_NOFILE", Soft: -1, Hard: -1}, {Name: "RLIMIT_CORE"}},
			OOMScoreAdj: ptr(-5), Annotations: map[string]string{"a": "b"}, Devices: []Device{{Host: "/dev/fuse", Path: "/dev/fuse", Access: "rwm", Type: "c", Major: 10, Minor: 229}},
			Host: userHost(),
		},
		"user-keep-id-no-cgroup": {Args: args, UserNS: UserNS{Mode: "keep-id"}, User: User{UID: 1000, GID: 1000}, NoCgroup: true, Host: userHost()},
		"user-host-network":      {Args: args, NetHost: true, Host: userHost()},
		"root-privileged": {Args: args, Privileged: true, Host: rootHost(),
			Devices: []Device{{Host: "/dev/sda", Path: "/dev/sda", Access: "rwm", Type: "b", Major: 8, Mode: 0o660, GID: 6}}},
	}
}

func TestGolden(t *testing.T) {
	for name, o := range goldenOptions(t) {
		t.Run(name, func(t *testing.T) {
			s, err := Generate(o)
			if err != nil {
				t.Fatal(err)
			}
			if name != "root-defaults" && s.Linux.Seccomp != nil { // 700 lines that are the same; once is enough
				s.Linux.Seccomp.Syscalls = nil
			}
			got, err := json.MarshalIndent(s, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, '\n')
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the specification is not that of %s; if it is meant to change, run go test -run Golden -update and read the diff.\n%s", path, firstDifference(want, got))
			}
		})
	}
}

func firstDifference(want, got []byte) string {
	w, g := bytes.Split(want, []byte("\n")), bytes.Split(got, []byte("\n"))
	for i := range w {
		if i >= len(g) || !bytes.Equal(w[i], g[i]) {
			return "want " + string(w[i]) + "\ngot  " + string(append(g, nil)[min(i, len(g))])
		}
	}
	return "got more lines"
}

// Generate is on the path of run, which has 30 ms: it may take a thirtieth.
func TestGenerateIsFast(t *testing.T) {
	o := goldenOptions(t)["user-everything"]
	best := time.Hour // of many: others work on this machine too
	for range 200 {
		start := time.Now()
		if _, err := Generate(o); err != nil {
			t.Fatal(err)
		}
		best = min(best, time.Since(start))
	}
	if best > time.Millisecond {
		t.Errorf("Generate takes %v, more than 1 ms", best)
	}
	if _, err := ReadHost(); err != nil {
		t.Error(err)
	}
}

func BenchmarkReadHost(b *testing.B) {
	for b.Loop() {
		if _, err := ReadHost(); err != nil {
			b.Fatal(err)
		}
	}
}
