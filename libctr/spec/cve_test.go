// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// One test a class of hole that other engines had, named after one of its CVEs. What
// the parsers and user look-ups must refuse stands in parse_test.go and rootfs_test.go.

// CVE-2018-15664, CVE-2021-30465, CVE-2023-27561: a link in the image, where a volume is to be
// mounted, leads to the host.
func TestCVE_2021_30465_VolumeOverLink(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		outside := filepath.Join(dir, "outside")
		src := filepath.Join(dir, "src")
		for _, d := range []string{outside, src} {
			if err := os.Mkdir(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(src, "marker"), []byte("from the volume\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		rootfs := filepath.Join(dir, "rootfs")
		for link, target := range map[string]string{"data": outside, "up": "../../../../../../" + outside, "etc/hosts": outside + "/hosts"} {
			if err := os.Symlink(target, filepath.Join(rootfs, link)); err != nil {
				t.Fatal(err)
			}
		}
		m, err := Mounts(MountOptions{Volumes: []string{src + ":/data", src + ":/up/sub"}, Tmpfs: []string{"/up"}})
		if err != nil {
			t.Fatal(err)
		}
		out, err := p.run(t, dir, Options{Mounts: m, Files: Files{Hosts: filepath.Join(src, "marker")}}, "", "cat /data/marker; touch /up/here")
		if err == nil && !strings.Contains(out, "from the volume") {
			t.Errorf("the volume is not where it was asked for:\n%s", out)
		}
		list, err := os.ReadDir(outside)
		if err != nil || len(list) > 0 {
			t.Errorf("the container reached a directory of the host: %v, %v\n%s", list, err, out)
		}
	})
}

// CVE-2024-21626: the working directory leads through an open file of the runtime to the host.
func TestCVE_2024_21626_WorkingDir(t *testing.T) {
	for _, d := range []string{"/proc/self/fd/7", "/proc/1/cwd", "/proc/thread-self/root", "/x/../proc/self/fd/3", "/dev/fd/7", "//proc//self//fd/8/"} {
		if _, err := Generate(Options{Args: []string{"x"}, WorkingDir: d, Host: rootHost()}); err == nil {
			t.Errorf("working directory %s is accepted", d)
		}
	}
	eachPlace(t, func(t *testing.T, p place, dir string) {
		secret := filepath.Join(dir, "secret")
		if err := os.WriteFile(secret, []byte("SECRET"), 0o644); err != nil {
			t.Fatal(err)
		}
		for _, fd := range []string{"3", "4", "5", "6", "7", "8", "9", "10"} {
			link := filepath.Join(dir, "rootfs", "cwd"+fd)
			if err := os.Symlink("/proc/self/fd/"+fd, link); err != nil {
				t.Fatal(err)
			}
			out, _ := p.run(t, dir, Options{WorkingDir: "/cwd" + fd}, "", "cat ../../../../../../../.."+secret)
			if strings.Contains(out, "SECRET") {
				t.Errorf("the host is seen through the working directory %s:\n%s", link, out)
			}
		}
	})
}

// A link of the image to an absolute path ends in the image.
func TestWorkingDirOverLink(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		outside := filepath.Join(dir, "outside")
		if err := os.Mkdir(outside, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(outside, filepath.Join(dir, "rootfs/work")); err != nil {
			t.Fatal(err)
		}
		out, _ := p.run(t, dir, Options{WorkingDir: "/work/sub"}, "", "touch here")
		if list, err := os.ReadDir(outside); err != nil || len(list) > 0 {
			t.Errorf("the container reached a directory of the host: %v, %v\n%s", list, err, out)
		}
	})
}

// CVE-2022-27649 (podman), CVE-2022-29162 (runc), CVE-2022-24769 (docker): no inheritable capabilities.
func TestCVE_2022_27649_Inheritable(t *testing.T) {
	for name, o := range goldenOptions(t) {
		s, err := Generate(o)
		if err != nil {
			t.Fatal(err)
		}
		c := s.Process.Capabilities
		for _, inherited := range c.Inheritable {
			if o.User.UID == 0 || !slices.Contains(o.CapAdd, inherited) {
				t.Errorf("%s: %s is inheritable", name, inherited)
			}
		}
		for _, set := range [][]string{c.Effective, c.Permitted, c.Ambient, c.Inheritable} {
			for _, one := range set {
				if !slices.Contains(c.Bounding, one) {
					t.Errorf("%s: %s is not in the bounding set", name, one)
				}
			}
		}
	}
}

// CVE-2020-14370, CVE-2021-3602: nothing of the caller's environment is in the container's unless it is named.
func TestCVE_2021_3602_Environment(t *testing.T) {
	t.Setenv("SECRET_TOKEN", "x")
	env := Environment(EnvOptions{Host: ProxyEnv(os.Environ()), Hostname: "box", Home: "/"})
	for _, kv := range env {
		if strings.HasPrefix(kv, "SECRET") {
			t.Errorf("the container gets %s", kv)
		}
	}
}

// CVE-2019-16884: an image's volume over /proc turns off what confines the container.
func TestCVE_2019_16884_ImageVolumeOverProc(t *testing.T) {
	for _, v := range []string{"/proc", "/proc/", "/x/../proc/self", "/proc/sys", "/proc/self/attr"} {
		if _, err := Mounts(MountOptions{ImageVolumes: []string{v}}); err == nil {
			t.Errorf("a volume at %s is accepted", v)
		}
	}
}

// CVE-2019-19921, CVE-2023-28642: the image's /proc is a link, so that a mount of it lands elsewhere.
func TestCVE_2023_28642_ProcIsLink(t *testing.T) {
	eachPlace(t, func(t *testing.T, p place, dir string) {
		proc := filepath.Join(dir, "rootfs/proc")
		if err := os.Remove(proc); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("/tmp", proc); err != nil {
			t.Fatal(err)
		}
		out, err := p.run(t, dir, Options{}, "", "exec 2>&1; touch /proc/sys/kernel/hostname /tmp/sys/kernel/hostname && echo WRITABLE; cat /proc/keys /tmp/keys | head -c 1")
		if strings.Contains(out, "WRITABLE") || err == nil && !strings.Contains(out, "Read-only file system") {
			t.Errorf("/proc is not confined: %v\n%s", err, out)
		}
	})
}

// CVE-2022-0811's class: a sysctl with a line break or another's name changes the host.
func TestCVE_2022_0811_Sysctl(t *testing.T) {
	for _, name := range []string{"kernel.core_pattern", "vm.overcommit_memory", "kernel.shm_rmid_forced\nkernel.core_pattern", "kernel.modprobe", "fs.file-max", "kernel.hostname"} {
		if _, err := Generate(Options{Args: []string{"x"}, Host: rootHost(), Sysctls: map[string]string{name: "1"}}); err == nil {
			t.Errorf("--sysctl %q is accepted", name)
		}
	}
}

// CVE-2020-13401's class, and what keeps the default container confined: no capability, no path more than listed.
func TestDefaultsStayConfined(t *testing.T) {
	for _, h := range []Host{rootHost(), userHost()} {
		s, err := Generate(Options{Args: []string{"x"}, Host: h})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []string{"CAP_NET_RAW", "CAP_MKNOD", "CAP_SYS_ADMIN", "CAP_AUDIT_WRITE", "CAP_DAC_READ_SEARCH"} {
			if slices.Contains(s.Process.Capabilities.Bounding, c) {
				t.Errorf("%s is given by default", c)
			}
		}
		for _, p := range []string{"/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware", "/proc/scsi", "/proc/acpi"} { // CVE-2017-16539, CVE-2018-10892: /proc/scsi, /proc/acpi
			if !slices.Contains(s.Linux.MaskedPaths, p) {
				t.Errorf("%s is not masked", p)
			}
		}
		if s.Linux.Seccomp == nil || s.Linux.Seccomp.DefaultAction != "SCMP_ACT_ERRNO" {
			t.Error("system calls are not filtered")
		}
		for _, call := range s.Linux.Seccomp.Syscalls {
			for _, name := range []string{"open_by_handle_at", "kexec_load", "init_module", "add_key", "userfaultfd", "bpf"} {
				if call.Action == "SCMP_ACT_ALLOW" && len(call.Args) == 0 && slices.Contains(call.Names, name) {
					t.Errorf("the system call %s passes by default", name) // CVE-2014-3519 ("shocker"): open_by_handle_at
				}
			}
		}
	}
}
