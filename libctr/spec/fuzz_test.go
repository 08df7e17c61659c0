// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"path"
	"strings"
	"testing"

	"github.com/berth-containers/berth/internal/field"
)

// What every parser of mounts promises, whatever it is given.
func checkMount(t *testing.T, in string, m Mount, err error, flag string) {
	if err != nil {
		if !strings.Contains(field.Text(err, field.Flag), flag) {
			t.Errorf("%q: the error does not name %s: %v", in, flag, err)
		}
		return
	}
	d := m.Destination
	if !path.IsAbs(d) || d == "/" || path.Clean(d) != d || strings.ContainsAny(d, "\n\x00") {
		t.Errorf("%q: destination %q", in, d)
	}
	if d == "/proc" || strings.HasPrefix(d, "/proc/self") {
		t.Errorf("%q: destination %q lies in /proc", in, d)
	}
	if (m.Type == "bind") != path.IsAbs(m.Source) || m.Name != "" && !ValidName(m.Name) {
		t.Errorf("%q: %+v", in, m)
	}
	for _, o := range m.Options {
		if strings.Contains(o, ",") || o == "" {
			t.Errorf("%q: option %q", in, o)
		}
	}
}

func FuzzParseVolume(f *testing.F) {
	for _, s := range []string{"/a", "v:/a", "/a:/b:ro,z", "./x:/proc/../y:rslave,U", "a:/b:copy"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseVolume(s)
		checkMount(t, s, m, err, "--volume")
	})
}

func FuzzParseMount(f *testing.F) {
	for _, s := range []string{"type=bind,src=/a,dst=/b,ro", `type=volume,"src=a",dst=/b`, "type=tmpfs,dst=/a,tmpfs-size=1k,tmpfs-mode=700"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseMount(s)
		checkMount(t, s, m, err, "--mount")
	})
}

func FuzzParseTmpfs(f *testing.F) {
	for _, s := range []string{"/a", "/a:size=10%,mode=1777,exec", "/a:uid=3,ro"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := ParseTmpfs(s)
		checkMount(t, s, m, err, "--tmpfs")
	})
}

// FuzzFlags runs the small parsers; an error must name what it is about, and nothing may panic.
func FuzzFlags(f *testing.F) {
	for _, s := range []string{"nofile=1:2", "1.5g", "0-3,5", "RTMIN+3", "on-failure:3", "keep-id:uid=1,gid=2", "mask=/a:/b", "/dev/a:/b:rw", "net.a=b", `["a"]`, "A=b", "a.b-c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		say := func(what string, err error) {
			if err != nil && !strings.Contains(field.Text(err, field.Flag), what) {
				t.Errorf("%q: the error does not name %s: %v", s, what, err)
			}
		}
		if l, err := ParseUlimits([]string{s}, Host{}); err != nil {
			say("--ulimit", err)
		} else if len(l) == 1 && uint64(l[0].Soft) > uint64(l[0].Hard) {
			t.Errorf("%q: %+v", s, l)
		}
		if n, err := ParseSize("memory", s); err != nil || n < 0 {
			say("--memory", err)
			if err == nil {
				t.Errorf("%q is %d bytes", s, n)
			}
		}
		if n, err := ParseCPUs(s); err == nil && n < 0 {
			t.Errorf("%q is %d CPUs", s, n)
		}
		if n, err := ParseSignal(s); err == nil && (n < 1 || n > 64) {
			t.Errorf("%q is signal %d", s, n)
		}
		_, err := ParseCPUSet("cpuset-cpus", s)
		say("--cpuset-cpus", err)
		_, err = ParseRestart(s)
		say("--restart", err)
		_, err = ParseUserNS(s)
		say("--userns", err)
		_, err = ParseSecurity([]string{s})
		say("--security-opt", err)
		_, err = ParseDevice(s)
		say("--device", err)
		_, err = ParseSysctls([]string{s})
		say("--sysctl", err)
		_, err = ParseCaps("cap-add", []string{s})
		say("--cap-add", err)
		_, err = ParseNamespace("pid", s)
		say("--pid", err)
		_, err = ParseLog("k8s-file", []string{s})
		say("--log-opt", err)
		_, err = ParseLabels("label", []string{s})
		say("--label", err)
		_, err = Health(HealthFlags{Cmd: &s, Interval: s}, nil)
		say("--health-", err)
		if CheckHostname(s) == nil && strings.ContainsAny(s, " \n\t/#") {
			t.Errorf("host name %q passes", s)
		}
		if env, err := ParseEnv([]string{s}, nil); err == nil && len(env) == 1 && env[0] != s {
			t.Errorf("%q becomes %q", s, env[0])
		}
	})
}
