// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/record"
)

// The tests of this file give specifications to real runtimes, crun and runc, as root and as
// the unprivileged user of the machine in a user namespace with subordinate IDs.

// TestMain is also the program that stands where Berth would stand: in the user
// namespace, with the options in a file, it generates the bundle and becomes the runtime.
func TestMain(m *testing.M) {
	if dir := os.Getenv("SPEC_TEST_BUNDLE"); dir != "" {
		fmt.Fprintln(os.Stderr, runBundle(dir))
		os.Exit(99)
	}
	os.Exit(m.Run())
}

type bundleRun struct {
	Options Options
	Argv    []string // of the runtime
	User    string   // looked up in the root file system
}

func runBundle(dir string) error {
	var r bundleRun
	data, err := os.ReadFile(filepath.Join(dir, "run.json"))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return err
	}
	o := r.Options
	if o.Host, err = ReadHost(); err != nil {
		return err
	}
	rootfs := filepath.Join(dir, "rootfs")
	if o.User, err = LookupUser(NewRootfs(rootfs), r.User, nil); err != nil {
		return err
	}
	s, err := Generate(o)
	if err != nil {
		return err
	}
	if len(s.Linux.UIDMappings) > 0 { // as the store does for a layer with mappings
		root := int(s.Linux.UIDMappings[0].HostID)
		if err := exec.Command("chown", "-R", fmt.Sprintf("%d:%d", root, root), rootfs).Run(); err != nil {
			return err
		}
	}
	data, err = json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644); err != nil {
		return err
	}
	path, err := exec.LookPath(r.Argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, r.Argv, os.Environ())
}

// place is a runtime and how it is run.
type place struct {
	runtime  string
	rootless bool
	netns    bool // rootless: the caller's namespace has a network namespace too
}

func (p place) String() string {
	s := p.runtime + " as root"
	if p.rootless {
		s = p.runtime + " rootless"
	}
	if p.rootless && !p.netns {
		s += ", host network"
	}
	return s
}

var places = []place{{runtime: "crun"}, {runtime: "runc"}, {runtime: "crun", rootless: true, netns: true}, {runtime: "runc", rootless: true, netns: true}}

// testUser is an unprivileged user with subordinate IDs; test/setup-user makes it.
const testUser = "berth-test"

// bundle makes a directory with a root file system of busybox.
func bundle(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run this: it runs containers as root and as " + testUser)
	}
	dir, err := os.MkdirTemp("/tmp", "berth-spec-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	rootfs := filepath.Join(dir, "rootfs")
	for _, d := range []string{"bin", "etc", "proc", "sys", "dev", "tmp", "run", "var/tmp", "home/web"} {
		if err := os.MkdirAll(filepath.Join(rootfs, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		t.Fatal("needs the package busybox-static: ", err)
	}
	for path, data := range map[string]string{
		"bin/busybox": string(busybox),
		"etc/passwd":  "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/home/web:/bin/sh\n",
		"etc/group":   "root:x:0:\nweb:x:34:\nlog:x:35:web\n",
	} {
		if err := os.WriteFile(filepath.Join(rootfs, path), []byte(data), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, applet := range strings.Fields("sh cut cat id ls touch mount grep hostname pwd env mkdir stat ping ps head sleep tr") {
		if err := os.Symlink("busybox", filepath.Join(rootfs, "bin", applet)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// run runs a shell script in a container of p and returns what it printed, with its error if it failed.
func (p place) run(t *testing.T, dir string, o Options, user, script string) (string, error) {
	t.Helper()
	o.Args = []string{"/bin/sh", "-c", script}
	if o.Env == nil {
		o.Env = Environment(EnvOptions{})
	}
	if p.rootless {
		o.NoCgroup = true
	}
	argv := []string{p.runtime, "--root", filepath.Join(dir, "state")}
	if p.rootless && p.runtime == "crun" {
		argv = append(argv, "--cgroup-manager=disabled")
	}
	argv = append(argv, "run", "--bundle", dir, filepath.Base(dir)+fmt.Sprint(time.Now().UnixNano()))
	data, err := json.Marshal(bundleRun{Options: o, Argv: argv, User: user})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "run.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	if p.rootless {
		if out, err := exec.Command("chown", "-R", testUser+":"+testUser, dir).CombinedOutput(); err != nil {
			t.Fatalf("chown: %v: %s", err, out)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		helper := filepath.Join("/tmp", filepath.Base(dir)+".test") // the test binary's directory may be closed to others
		if _, err := os.Stat(helper); err != nil {
			if out, err := exec.Command("install", "-m", "755", self, helper).CombinedOutput(); err != nil {
				t.Fatalf("install: %v: %s", err, out)
			}
			t.Cleanup(func() { os.Remove(helper) })
		}
		args := []string{"--reuid", testUser, "--regid", testUser, "--init-groups", "unshare", "--map-auto", "--map-root-user", "--mount"}
		if p.netns {
			args = append(args, "--net")
		}
		cmd = exec.Command("setpriv", append(args, helper)...)
	}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "SPEC_TEST_BUNDLE=" + dir}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// must is run that has to succeed.
func (p place) must(t *testing.T, dir string, o Options, user, script string) string {
	t.Helper()
	out, err := p.run(t, dir, o, user, script)
	if err != nil {
		t.Fatalf("run %q: %v: %s", script, err, out)
	}
	return out
}

func eachPlace(t *testing.T, do func(t *testing.T, p place, dir string)) {
	for _, p := range places {
		t.Run(p.String(), func(t *testing.T) { do(t, p, bundle(t)) })
	}
}

// lines checks that out has each of want as a line.
func lines(t *testing.T, out string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains("\n"+strings.ReplaceAll(out, "\t", " ")+"\n", "\n"+w+"\n") {
			t.Errorf("the line %q is missing in:\n%s", w, out)
		}
	}
}

func TestRunDefaults(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		out := p.must(t, dir, Options{Hostname: "box"}, "", `exec 2>&1
grep -E "^(Cap|Seccomp:|NoNew)" /proc/self/status
echo gids $(id -G); echo name $(hostname)
for f in /proc/keys /proc/timer_list; do echo masked $f $(cat $f | head -c 9); done
echo firmware $(ls /sys/firmware)
touch /sys/x; touch /proc/sys/kernel/hostname
touch /x && echo rootfs written
echo ping $(cat /proc/sys/net/ipv4/ping_group_range)
echo nodes $(ls /dev/null /dev/pts /dev/shm -d)
echo env $PATH $container; ps | grep -v ps | head -2`)
		lines(t, out, "CapInh: 0000000000000000", "CapPrm: 00000000800405fb", "CapEff: 00000000800405fb", "CapBnd: 00000000800405fb",
			"CapAmb: 0000000000000000", "NoNewPrivs: 0", "Seccomp: 2", "gids 0", "name box", "masked /proc/keys", "masked /proc/timer_list",
			"firmware", "touch: /sys/x: Read-only file system", "touch: /proc/sys/kernel/hostname: Read-only file system",
			"rootfs written", "ping 0 0", "nodes /dev/null /dev/pts /dev/shm", "env "+DefaultPath+" podman")
	})
}

func TestRunHardened(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		m, err := Mounts(MountOptions{Tmpfs: []string{"/data:size=1m,mode=1777"}, ReadOnlyTmpfs: true})
		if err != nil {
			t.Fatal(err)
		}
		o := Options{ReadOnly: true, Umask: "027", Mounts: m, CapDrop: []string{"ALL"}, Security: Security{NoNewPrivileges: true, Mask: []string{"/home"}}, WorkingDir: "/var/tmp",
			Ulimits: []record.Ulimit{{Name: "RLIMIT_NOFILE", Soft: 64, Hard: 128}}}
		out := p.must(t, dir, o, "", `exec 2>&1
grep -E "^(Cap|NoNew)" /proc/self/status
for d in "" /run /tmp /var/tmp /data /dev/shm; do touch $d/x && echo wrote $d; done
mount | grep -o "on /data .*size=1024k"; echo cwd $PWD; echo umask $(umask); echo home $(ls /home); echo files $(ulimit -Sn) $(ulimit -Hn)`)
		lines(t, out, "CapEff: 0000000000000000", "CapBnd: 0000000000000000", "NoNewPrivs: 1", "touch: /x: Read-only file system",
			"wrote /run", "wrote /tmp", "wrote /var/tmp", "wrote /data", "wrote /dev/shm", "cwd /var/tmp", "umask 0027", "home", "files 64 128")
		if !strings.Contains(out, "on /data type tmpfs (rw,nosuid,nodev,noexec") {
			t.Errorf("/data is not a tmpfs with safe options:\n%s", out)
		}
	})
}

func TestRunAsUser(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		script := `grep ^Cap /proc/self/status; id -u; echo gids $(id -G); echo home $HOME`
		// CVE-2018-10856: no capabilities for a user other than root; CVE-2022-2989: the group is among the supplementary ones.
		lines(t, p.must(t, dir, Options{Env: []string{"PATH=/bin", "HOME=/home/web"}}, "web", script), "CapEff: 0000000000000000", "CapPrm: 0000000000000000",
			"CapInh: 0000000000000000", "CapAmb: 0000000000000000", "CapBnd: 00000000800405fb", "33", "gids 34 35", "home /home/web")
		lines(t, p.must(t, dir, Options{CapAdd: []string{"CAP_NET_RAW"}}, "33:0", script), "CapEff: 0000000000002000", "CapAmb: 0000000000002000", "gids 0")
	})
}

func TestRunPrivileged(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		devices, err := ListDevices()
		if err != nil {
			t.Fatal(err)
		}
		out := p.must(t, dir, Options{Privileged: true, Devices: devices}, "", `exec 2>&1; grep ^Seccomp: /proc/self/status; mount | grep -o "on /sys type sysfs (rw"; mount | grep " on /proc/" | head -1; ls -d /dev/loop-control /dev/net/tun`)
		lines(t, out, "Seccomp: 0", "on /sys type sysfs (rw")
		if strings.Contains(out, "on /proc/") {
			t.Errorf("something covers a part of /proc:\n%s", out)
		}
		for _, d := range devices {
			if d.Path == "/dev/net/tun" && !strings.Contains(out, "\n/dev/net/tun\n") {
				t.Errorf("/dev/net/tun of the host is missing:\n%s", out)
			}
		}
	})
}

func TestRunHostNamespaces(t *testing.T) {
	for _, p := range []place{{runtime: "crun"}, {runtime: "runc"}, {runtime: "crun", rootless: true}, {runtime: "runc", rootless: true}} {
		t.Run(p.String(), func(t *testing.T) {
			dir := bundle(t)
			o := Options{NetHost: true, PID: Namespace{Host: true}, IPC: Namespace{Host: true}, UTS: Namespace{Host: true}}
			out := p.must(t, dir, o, "", `exec 2>&1; touch /sys/x; touch /sys/fs/cgroup/x; for n in net pid ipc uts; do stat -L -c %i /proc/self/ns/$n; done; touch /proc/sys/kernel/hostname; :`)
			if p.rootless { // as root on cgroup v1, the runtime makes a tmpfs there
				lines(t, out, "touch: /sys/fs/cgroup/x: Read-only file system")
			}
			lines(t, out, "touch: /sys/x: Read-only file system", "touch: /proc/sys/kernel/hostname: Read-only file system")
			for _, n := range []string{"net", "pid", "ipc", "uts"} {
				fi, err := os.Stat("/proc/self/ns/" + n)
				if err != nil {
					t.Fatal(err)
				}
				lines(t, out, fmt.Sprint(fi.Sys().(*syscall.Stat_t).Ino))
			}
		})
	}
}

func TestRunInit(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		for _, init := range []string{"/usr/bin/catatonit", "/usr/bin/tini-static"} {
			if err := CheckInit(init); err != nil {
				t.Error(err)
			}
			out := p.must(t, dir, Options{Init: init}, "", `tr "\0" " " </proc/1/cmdline; echo; echo $$`)
			if !strings.HasPrefix(out, "/run/podman-init -- /bin/sh -c ") || strings.HasSuffix(out, "\n1\n") {
				t.Errorf("%s: process 1 is not the init:\n%s", init, out)
			}
		}
	})
}

func TestRunNestedUserNamespace(t *testing.T) {
	caller, err := user.Lookup(testUser)
	if err != nil {
		t.Fatal(err)
	}
	uid := caller.Uid
	for _, p := range []place{{runtime: "crun", rootless: true}, {runtime: "runc", rootless: true}} {
		for name, tc := range map[string]struct {
			ns   UserNS
			user string
			want []string
		}{
			"keep-id":     {UserNS{Mode: "keep-id"}, uid + ":" + uid, []string{uid, "owner " + uid, "group " + uid}},
			"keep-id 7:8": {UserNS{Mode: "keep-id", UID: ptr(uint32(7)), GID: ptr(uint32(8))}, "7:8", []string{"7", "owner 7", "group 8"}},
			"keep-id 0:0": {UserNS{Mode: "keep-id", UID: ptr(uint32(0)), GID: ptr(uint32(0))}, "", []string{"0", "owner 0", "group 0", "CapEff: 00000000800405fb"}},
			"nomap":       {UserNS{Mode: "nomap"}, "", []string{"0", "owner 65534", "group 65534", "CapEff: 00000000800405fb", "ping 0 0"}},
		} {
			t.Run(p.String()+" "+name, func(t *testing.T) {
				dir := bundle(t)
				if err := os.Mkdir(dir+"/mine", 0o755); err != nil {
					t.Fatal(err)
				}
				o := Options{UserNS: tc.ns, Mounts: []Mount{{Type: "bind", Source: dir + "/mine", Destination: "/mine"}}}
				out := p.must(t, dir, o, tc.user, `exec 2>&1; id -u; stat -c "owner %u" /mine; stat -c "group %g" /mine; grep ^CapEff /proc/self/status
touch /sys/x; echo ping $(cat /proc/sys/net/ipv4/ping_group_range); cat /proc/self/uid_map; mount | grep -c " on /dev/pts .*gid"`)
				lines(t, out, append(tc.want, "touch: /sys/x: Read-only file system", "1")...)
			})
		}
	}
}

func TestRunVolumes(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		src := filepath.Join(dir, "src")
		if err := os.Mkdir(src, 0o755); err != nil {
			t.Fatal(err)
		}
		hosts := filepath.Join(dir, "hosts")
		if err := os.WriteFile(hosts, []byte("127.0.0.1 box\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		m, err := Mounts(MountOptions{Volumes: []string{src + ":/rw", src + ":/ro:ro,noexec", src + ":/etc/deep/er:rslave"}, Mounts: []string{"type=bind,src=" + src + ",dst=/one,bind-nonrecursive,ro"}})
		if err != nil {
			t.Fatal(err)
		}
		out := p.must(t, dir, Options{Mounts: m, Files: Files{Hosts: hosts, ContainerEnv: hosts}, ShmSize: ptr(int64(1 << 20))}, "", `exec 2>&1
touch /rw/x /ro/y /one/z; ls /etc/deep/er; cat /etc/hosts /run/.containerenv; mount | grep -oE "on /dev/shm .*size=1024k" | cut -c1-11`)
		lines(t, out, "touch: /ro/y: Read-only file system", "touch: /one/z: Read-only file system", "x", "127.0.0.1 box")
	})
}

func TestRunLimits(t *testing.T) {
	for _, p := range []place{{runtime: "crun"}, {runtime: "runc"}} {
		t.Run(p.String(), func(t *testing.T) {
			o := Options{Resources: Resources{Memory: 64 << 20, MemoryReservation: 32 << 20, NanoCPUs: 5e8, CPUShares: 512, PidsLimit: ptr(int64(50))}}
			out := p.must(t, bundle(t), o, "", `cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes memory/memory.soft_limit_in_bytes cpu/cpu.cfs_quota_us cpu/cpu.shares pids/pids.max memory.max cpu.max pids.max 2>/dev/null; echo end`)
			lines(t, out, "50")
			if !strings.Contains(out, "67108864") || !strings.Contains(out, "50000") {
				t.Errorf("the limits are not set:\n%s", out)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }
