// SPDX-License-Identifier: Apache-2.0

// Package library_test uses Berth as another program would: it imports the library, and nothing of cmd/.
package library_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"
)

// The storage library runs this program again to unpack layers. An ordinary user's tests run in a user namespace.
func TestMain(m *testing.M) {
	if reexec.Init() {
		return
	}
	if os.Geteuid() != 0 {
		self, err := os.Executable()
		argv := append([]string{"unshare", "--map-root-user", "--map-auto", "--mount", "--", self}, os.Args[1:]...)
		path := ""
		if err == nil {
			path, err = exec.LookPath(argv[0])
		}
		if err == nil {
			env := append(os.Environ(), "_CONTAINERS_USERNS_CONFIGURED=done", fmt.Sprintf("_CONTAINERS_ROOTLESS_UID=%d", os.Getuid()), fmt.Sprintf("_CONTAINERS_ROOTLESS_GID=%d", os.Getgid()))
			err = syscall.Exec(path, argv, env)
		}
		fmt.Fprintln(os.Stderr, "enter a user namespace:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// site is a machine with a store and a containers.conf.
type site struct{ dir string }

func newSite(t *testing.T) *site {
	s := &site{dir: t.TempDir()}
	t.Setenv("TMPDIR", s.dir)
	t.Setenv("CONTAINERS_CONF", filepath.Join(s.dir, "containers.conf"))
	t.Setenv("CONTAINERS_STORAGE_CONF", s.file(t, "storage.conf", "[storage]\ndriver = \"vfs\"\n"))
	return s
}

func (s *site) file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// engine is one with this containers.conf in force.
func (s *site) engine(t *testing.T, conf string) *libctr.Engine {
	t.Helper()
	s.file(t, "containers.conf", conf)
	e, err := libctr.Open(t.Context(), libctr.Options{
		GraphRoot: filepath.Join(s.dir, "root"), RunRoot: filepath.Join(s.dir, "run"),
		Pull: library.Pull,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// made is all that is known of a container: its record, and what the OCI runtime is told.
type made struct {
	*record.Config
	specs.Spec
	dir string
}

func create(t *testing.T, e *libctr.Engine, o libctr.CreateOptions) (m made) {
	t.Helper()
	if o.Image == "" {
		o.Image = "hello"
	}
	c, err := e.Create(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Remove(context.Background(), c, libctr.RemoveOptions{Force: true}); err != nil {
			t.Error(err)
		}
	})
	m.dir = c.Dir
	if m.Config, err = c.Config(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(c.Dir, record.BundleDir, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, &m.Spec)
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (m made) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// mount is the options of what is mounted at a path, "none" if nothing is.
func (m made) mount(at string) string {
	for _, v := range m.Spec.Mounts {
		if v.Destination == at {
			return strings.Join(v.Options, ",")
		}
	}
	return "none"
}

func (m made) namespace(kind specs.LinuxNamespaceType) string {
	for _, n := range m.Linux.Namespaces {
		if n.Type == kind {
			return "own"
		}
	}
	return "host"
}

// pids is the limit of processes; without a cgroup, whether the engine bounds them in another way.
func (m made) pids() any {
	if m.Linux.Resources == nil { // docs/decisions/0032
		var own unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NPROC, &own); err != nil {
			panic(err)
		}
		return m.rlimit("RLIMIT_NPROC") < min(own.Max, 1<<22)
	}
	if m.Linux.Resources.Pids == nil {
		return int64(0)
	}
	return *m.Linux.Resources.Pids.Limit
}

func (m made) rlimit(name string) uint64 {
	for _, l := range m.Spec.Process.Rlimits {
		if l.Type == name {
			return l.Soft
		}
	}
	return 0
}

func (m made) env(name string) string {
	for _, kv := range m.Spec.Process.Env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return "unset"
}

func (m made) device(path string) bool {
	return m.mount(path) != "none" || slices.ContainsFunc(m.Linux.Devices, func(d specs.LinuxDevice) bool { return d.Path == path })
}

// pidsWant is what pids returns for a limit.
func pidsWant(m made, limit int64) any {
	if m.Linux.Resources == nil {
		return limit > 0 && m.rootless()
	}
	return limit
}

// rootless reports whether the container is an ordinary user's.
func (m made) rootless() bool { return os.Getenv("_CONTAINERS_USERNS_CONFIGURED") != "" }

// Each class of setting of a site's containers.conf is in force for a container whose creator says nothing of it, and only
// then: what he says counts, also where it is false, zero, empty or none.
func TestSettingsOfTheSiteAreInForceWhereTheCallerSaysNothing(t *testing.T) {
	s := newSite(t)
	t.Setenv("https_proxy", "http://proxy.example")
	t.Setenv("HOSTVAR", "here")
	volume := s.file(t, "volume", "mine")
	seccomp := s.file(t, "seccomp.json", `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod"],"action":"SCMP_ACT_ERRNO"}]}`)
	none, all := false, true
	zero, unsignedZero, zeroInt := int64(0), uint(0), 0
	containers := func(lines ...string) string { return "[containers]\n" + strings.Join(lines, "\n") + "\n" }
	type opts = libctr.CreateOptions
	for name, tc := range map[string]struct {
		conf     string
		see      func(made) any
		unset    any                         // what is seen with no configuration
		byConf   any                         // with conf
		say      func(*libctr.CreateOptions) // what the caller says over conf
		bySaying any
	}{
		"environment": {containers(`env = ["SITE=1"]`), func(m made) any { return m.env("SITE") }, "unset", "1", func(o *opts) { o.Env.Vars = []string{"SITE="} }, ""},
		"env_host":    {containers(`env_host = true`), func(m made) any { return m.env("HOSTVAR") }, "unset", "here", func(o *opts) { o.Env.Host = &none }, "unset"},
		"http_proxy":  {containers(`http_proxy = false`), func(m made) any { return m.env("https_proxy") }, "http://proxy.example", "unset", func(o *opts) { o.Env.HTTPProxy = &all }, "http://proxy.example"},
		"capabilities": {containers(`default_capabilities = ["CHOWN"]`), func(m made) any { return len(m.Spec.Process.Capabilities.Bounding) }, 11, 1,
			func(o *opts) { o.CapDrop = []string{"all"} }, 0},
		"ulimits":        {containers(`default_ulimits = ["core=77:88"]`), func(m made) any { return m.rlimit("RLIMIT_CORE") }, uint64(0), uint64(77), func(o *opts) { o.Ulimits = []string{"core=0"} }, uint64(0)},
		"sysctls":        {containers(`default_sysctls = ["net.ipv4.ip_default_ttl=5"]`), func(m made) any { return m.Linux.Sysctl["net.ipv4.ip_default_ttl"] }, "", "5", func(o *opts) { o.Sysctls = []string{"net.ipv4.ip_default_ttl=6"} }, "6"},
		"umask":          {containers(`umask = "0077"`), func(m made) any { return *m.Spec.Process.User.Umask }, uint32(0o22), uint32(0o77), func(o *opts) { o.Umask = "0" }, uint32(0)},
		"oom":            {containers(`oom_score_adj = 900`), func(m made) any { return m.Spec.Process.OOMScoreAdj != nil && *m.Spec.Process.OOMScoreAdj == 900 }, false, true, func(o *opts) { o.OOMScoreAdj = &zeroInt }, false},
		"seccomp":        {containers(`seccomp_profile = "` + seccomp + `"`), func(m made) any { return m.Linux.Seccomp != nil && m.Linux.Seccomp.DefaultAction == "SCMP_ACT_ALLOW" }, false, true, func(o *opts) { o.SecurityOpt = []string{"seccomp=unconfined"} }, false},
		"new privileges": {containers(`no_new_privileges = true`), func(m made) any { return m.Spec.Process.NoNewPrivileges }, false, true, func(o *opts) { o.SecurityOpt = []string{"no-new-privileges=false"} }, false},
		"privileged": {containers(`privileged = true`), func(m made) any { return [2]bool{m.Privileged, len(m.Linux.MaskedPaths) > 0} }, [2]bool{false, true}, [2]bool{true, false},
			func(o *opts) { o.Privileged = &none }, [2]bool{false, true}},
		"read_only": {containers(`read_only = true`), func(m made) any { return [2]any{m.Root.Readonly, m.mount("/var/tmp") != "none"} }, [2]any{false, false}, [2]any{true, true},
			func(o *opts) { o.ReadOnly = &none }, [2]any{false, false}},
		"read_only, without tmpfs": {containers(`read_only = true`), func(m made) any { return m.mount("/var/tmp") != "none" }, false, true, func(o *opts) { o.ReadOnlyTmpfs = &none }, false},
		"shm_size":                 {containers(`shm_size = "1m"`), func(m made) any { return m.mount("/dev/shm")[len("nosuid,noexec,nodev,mode=1777,"):] }, "size=67108864", "size=1048576", func(o *opts) { o.ShmSize = &zero }, "size=0"},
		"devices":                  {containers(`devices = ["/dev/null:/dev/mine", "/dev/no-such-device"]`), func(m made) any { return m.device("/dev/mine") }, false, true, nil, nil},
		"volumes":                  {containers(`volumes = ["` + volume + `:/vol"]`), func(m made) any { return m.mount("/vol") != "none" }, false, true, nil, nil},
		"mounts":                   {containers(`mounts = ["type=bind,src=` + volume + `,dst=/mnt/vol"]`), func(m made) any { return m.mount("/mnt/vol") }, "none", "rbind,rprivate,rw", func(o *opts) { o.Volumes = []string{volume + ":/mnt/vol:ro"} }, "rbind,rprivate,ro"},
		"annotations":              {containers(`annotations = ["a.b=c"]`), func(m made) any { return m.Spec.Annotations["a.b"] }, "", "c", func(o *opts) { o.Annotations = map[string]string{"a.b": ""} }, ""},
		"init":                     {containers(`init = true`), func(m made) any { return [2]any{m.Init, m.Spec.Process.Args[0] == "/run/podman-init"} }, [2]any{false, false}, [2]any{true, true}, func(o *opts) { o.Init = &none }, [2]any{false, false}},
		"pidns":                    {containers(`pidns = "host"`), func(m made) any { return m.namespace(specs.PIDNamespace) }, "own", "host", func(o *opts) { o.PID = "private" }, "own"},
		"ipcns":                    {containers(`ipcns = "host"`), func(m made) any { return m.namespace(specs.IPCNamespace) }, "own", "host", func(o *opts) { o.IPC = "private" }, "own"},
		"utsns":                    {containers(`utsns = "host"`), func(m made) any { return m.namespace(specs.UTSNamespace) }, "own", "host", func(o *opts) { o.UTS = "private" }, "own"},
		"netns":                    {containers(`netns = "host"`), func(m made) any { return m.namespace(specs.NetworkNamespace) }, "own", "host", func(o *opts) { o.Network = []string{"none"} }, "own"},
		"name as host name":        {containers(`container_name_as_hostname = true`), func(m made) any { return m.Config.Hostname == "a1-b" }, false, true, func(o *opts) { o.Hostname = "other" }, false},
		"log size":                 {containers(`log_size_max = 65536`), func(m made) any { return m.Log.MaxSize }, int64(64 << 20), int64(65536), func(o *opts) { o.LogOpts = []string{"max-size=0"} }, int64(0)},
		"log driver":               {containers(`log_driver = "none"`), func(m made) any { return m.Log.Driver }, "k8s-file", "none", func(o *opts) { o.LogDriver = "json-file" }, "json-file"},
		"log tag":                  {containers(`log_tag = "{{.Name}}"`), func(m made) any { return m.Log.Tag }, "", "{{.Name}}", func(o *opts) { o.LogOpts = []string{"tag=t"} }, "t"},
		"stop_timeout":             {"[engine]\nstop_timeout = 3\n", func(m made) any { return m.StopTimeout }, uint(10), uint(3), func(o *opts) { o.StopTimeout = &unsignedZero }, uint(0)},
		"host addresses": {"[network]\ndefault_host_ips = [\"127.0.0.1\"]\n", func(m made) any {
			return slices.ContainsFunc(m.Config.Network.Ports, func(p record.PortMapping) bool { return p.HostIP == "127.0.0.1" })
		}, false, true, func(o *opts) { o.Publish = []string{"127.0.0.2::80"} }, false},
	} {
		t.Run(name, func(t *testing.T) {
			o := libctr.CreateOptions{Name: "a_1-b", Network: []string{"none"}}
			switch name {
			case "netns":
				o.Network = nil
			case "host addresses":
				o.Network, o.Publish = []string{"slirp4netns"}, []string{"80"}
			}
			check := func(what, conf string, o libctr.CreateOptions, want any) {
				t.Helper()
				t.Run(what, func(t *testing.T) {
					if got := tc.see(create(t, s.engine(t, conf), o)); !reflect.DeepEqual(got, want) {
						t.Errorf("got %v, want %v", got, want)
					}
				})
			}
			check("nothing", "", o, tc.unset)
			check("conf", tc.conf, o, tc.byConf)
			if tc.say != nil {
				tc.say(&o)
				check("said", tc.conf, o, tc.bySaying)
			}
		})
	}

	for what, tc := range map[string]struct {
		conf  string
		limit *int64
		want  int64
	}{
		"nothing": {"", nil, 2048}, "conf": {containers("pids_limit = 99"), nil, 99}, "conf, no limit": {containers("pids_limit = 0"), nil, 0},
		"said": {containers("pids_limit = 99"), &zero, 0},
	} {
		t.Run("pids_limit "+what, func(t *testing.T) {
			m := create(t, s.engine(t, tc.conf), libctr.CreateOptions{Network: []string{"none"}, Resources: resources(tc.limit)})
			if got, want := m.pids(), pidsWant(m, tc.want); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}

	t.Run("DNS", func(t *testing.T) {
		e := s.engine(t, containers(`dns_servers = ["192.0.2.53"]`, `dns_searches = ["a.example"]`, `dns_options = ["ndots:3"]`))
		if got, want := create(t, e, opts{Network: []string{"none"}}).read(t, "resolv.conf"), "search a.example\nnameserver 192.0.2.53\noptions ndots:3\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		o := opts{Network: []string{"none"}, DNS: []string{}, DNSSearch: []string{}, DNSOptions: []string{}}
		if got := create(t, e, o).read(t, "resolv.conf"); strings.Contains(got, "192.0.2.53") || strings.Contains(got, "a.example") || strings.Contains(got, "ndots:3") {
			t.Errorf("an empty list is not containers.conf's: %q", got)
		}
	})
	t.Run("hosts", func(t *testing.T) {
		e := s.engine(t, containers(`no_hosts = true`))
		if got := create(t, e, opts{Network: []string{"none"}}).mount("/etc/hosts"); got != "none" {
			t.Errorf("no_hosts: /etc/hosts is mounted: %s", got)
		}
		if got := create(t, e, opts{Network: []string{"none"}, NoHosts: &none, AddHosts: []string{"db:192.0.2.1"}}).read(t, "hosts"); !strings.Contains(got, "192.0.2.1") {
			t.Errorf("hosts were asked for: %q", got)
		}
	})
	t.Run("user namespace", func(t *testing.T) {
		m := create(t, s.engine(t, containers(`userns = "keep-id"`)), opts{Network: []string{"none"}})
		want := "own"
		if !m.rootless() {
			want = "host" // root has no IDs to keep: the default is dropped
		}
		if got := m.namespace(specs.UserNamespace); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if m = create(t, s.engine(t, containers(`userns = "keep-id"`)), opts{Network: []string{"none"}, UserNS: "host"}); m.namespace(specs.UserNamespace) != "host" || m.UserNS != "host" {
			t.Errorf("host was asked for, and recorded as %q", m.UserNS)
		}
	})
	t.Run("pull policy", func(t *testing.T) {
		e := s.engine(t, "[engine]\npull_policy = \"never\"\n")
		if _, err := e.Create(t.Context(), opts{Image: "localhost/no-such"}); !errors.Is(err, image.ErrNotFound) || !strings.Contains(err.Error(), "no-such") {
			t.Errorf("got %v", err)
		}
	})
}

// What is wrong with a field is found before anything is pulled or made, and the error names the field.
func TestErrorsNameTheField(t *testing.T) {
	e := newSite(t).engine(t, "")
	below := int64(-7)
	type opts = libctr.CreateOptions
	for name, o := range map[libctr.FieldName]opts{
		"cap-add": {CapAdd: []string{"NO_SUCH"}}, "cap-drop": {CapDrop: []string{"x"}}, "ulimit": {Ulimits: []string{"x"}}, "sysctl": {Sysctls: []string{"x"}},
		"security-opt": {SecurityOpt: []string{"x"}}, "device": {Devices: []string{"x"}}, "publish": {Publish: []string{"x"}}, "expose": {Expose: []string{"x"}},
		"network": {Network: []string{"x:y"}}, "pid": {PID: "x"}, "ipc": {IPC: "x"}, "uts": {UTS: "x"}, "cgroupns": {CgroupNS: "x"}, "userns": {UserNS: "x"},
		"restart": {Restart: "x"}, "rm": {AutoRemove: true, Restart: "always"}, "stop-signal": {StopSignal: "x"}, "log-driver": {LogDriver: "x"}, "log-opt": {LogOpts: []string{"x"}},
		"pids-limit": {Resources: resources(&below)}, "passwd-entry": {Entries: libctr.UserEntries{Passwd: "a\nb"}}, "pull": {Pull: image.PullOptions{Policy: "x"}},
		"no-hosts": {NoHosts: new(bool), AddHosts: []string{"a:192.0.2.1"}}, "volume": {Volumes: []string{"/a:b"}}, "mount": {Mounts: []string{"x"}}, "tmpfs": {Tmpfs: []string{"x"}},
		"umask": {Umask: "9"}, "hostname": {Hostname: "a b"}, "workdir": {WorkingDir: "x"}, "image-volume": {ImageVolumes: "x"}, "dns": {DNS: []string{"x"}},
	} {
		t.Run(string(name), func(t *testing.T) {
			if name == "no-hosts" {
				*o.NoHosts = true
			}
			o.Image = "localhost/no-such"
			o.Pull.Policy = image.Policy(or(string(o.Pull.Policy), "never"))
			_, err := e.Create(t.Context(), o)
			var wrong *libctr.FieldError
			if !errors.As(err, &wrong) || wrong.Field != name || strings.Contains(err.Error(), "--") {
				t.Errorf("got %v, of field %v", err, wrong)
			}
		})
	}
}

func resources(pids *int64) spec.Resources { return spec.Resources{PidsLimit: pids} }

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
