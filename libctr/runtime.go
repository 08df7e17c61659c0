package libctr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/record"
	"golang.org/x/sys/unix"
)

// RuntimeInfo is what an OCI runtime says of itself.
type RuntimeInfo struct {
	Name        string `json:"name"`
	Path        string `json:"path"`
	Version     string `json:"version"`     // all that --version prints
	SpecVersion string `json:"specVersion"` // of the runtime-spec it accepts: 1.0.2
	ModTime     int64  `json:"modTime"`     // of the program, with Size: the answer holds for this one only
	Size        int64  `json:"size"`
}

// isCrun tells whether it has crun's flags.
func (r *RuntimeInfo) isCrun() bool { return strings.HasPrefix(r.Version, "crun ") }

// Runtime finds the OCI runtime: name is a name in containers.conf, a program in PATH, or a path. An
// empty name is the engine's option, then containers.conf's choice.
func (e *Engine) Runtime(ctx context.Context, name string) (*RuntimeInfo, error) {
	if name == "" {
		name = e.opts.Runtime
	}
	var known map[string][]string
	if !strings.HasPrefix(name, "/") {
		conf, err := e.conf()
		if err != nil {
			return nil, err
		}
		if name == "" {
			name = conf.Engine.OCIRuntime
		}
		known = conf.Engine.OCIRuntimes
	}
	path, err := runtimePath(name, known[name])
	if err != nil {
		return nil, err
	}
	return e.askRuntime(ctx, name, path)
}

func runtimePath(name string, candidates []string) (string, error) {
	if strings.HasPrefix(name, "/") {
		candidates = []string{name}
	}
	for _, p := range candidates {
		if unix.Access(p, unix.X_OK) == nil {
			return p, nil
		}
	}
	if !strings.Contains(name, "/") {
		if p, err := exec.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", hint.Add(fmt.Errorf("OCI runtime %q is not installed", name), "install it with: sudo apt-get install crun, or choose another with --runtime")
}

// askRuntime asks the program for its version, or reads the answer of last time.
func (e *Engine) askRuntime(ctx context.Context, name, path string) (*RuntimeInfo, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	cache := filepath.Join(e.runtime, "runtime-"+filepath.Base(path)+".json")
	r := new(RuntimeInfo)
	if data, err := os.ReadFile(cache); err == nil && json.Unmarshal(data, r) == nil &&
		r.Path == path && r.ModTime == st.ModTime().UnixNano() && r.Size == st.Size() {
		r.Name = name
		return r, nil
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return nil, hint.Add(fmt.Errorf("ask the OCI runtime %s for its version: %w", path, err), "choose another with --runtime")
	}
	r = &RuntimeInfo{Name: name, Path: path, Version: string(bytes.TrimSpace(out)), ModTime: st.ModTime().UnixNano(), Size: st.Size()}
	r.SpecVersion = specVersion(r.Version)
	if data, err := json.Marshal(r); err == nil {
		_ = atomicfile.Write(cache, data, 0o600, false) // asked again next time
	}
	return r, nil
}

// specVersion finds "spec: 1.0.2-dev" in what --version prints. No version newer than 1.0.2 is
// asked for: crun 1.8 refuses the others, and Berth needs nothing that came later.
func specVersion(version string) string {
	for line := range strings.Lines(version) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), "spec: "); ok {
			v, _, _ = strings.Cut(v, "-")
			if v == "1.0.0" || v == "1.0.1" {
				return v
			}
		}
	}
	return "1.0.2"
}

// cgroups is how a container gets its control group on this host.
type cgroups struct {
	manager string // systemd, cgroupfs, or disabled: no container gets one
	v2      bool
	hybrid  bool // v1, with the controllers that v1 does not use in /sys/fs/cgroup/unified
	why     string
}

// cgroups finds the manager: what the user says, else what the host can do.
func (e *Engine) cgroups() (cgroups, error) {
	c := hostCgroups()
	want := e.opts.CgroupManager
	if want == "" {
		conf, err := e.conf()
		if err != nil {
			return c, err
		}
		if conf.Containers.Cgroups == "disabled" {
			c.manager, c.why = "disabled", "containers.conf says cgroups=\"disabled\""
			return c, nil
		}
	}
	systemd := systemdRuns(e.Rootless())
	switch {
	case want == "disabled":
		c.manager, c.why = want, "--cgroup-manager is disabled"
	case e.Rootless() && !c.v2:
		c.manager, c.why = "disabled", "an unprivileged user cannot set limits with cgroups v1"
	case want != "":
		c.manager = want
		if want == "systemd" && !systemd {
			return c, hint.Add(errors.New("--cgroup-manager systemd: systemd does not run here for this user"), "use --cgroup-manager cgroupfs, or log in with a user session (loginctl enable-linger)")
		}
	case systemd:
		c.manager = "systemd"
	case e.Rootless() && !ownCgroupWritable():
		c.manager, c.why = "disabled", "this user's cgroup is not delegated to it; log in with a systemd user session (loginctl enable-linger)"
	default:
		c.manager = "cgroupfs"
	}
	return c, nil
}

var hostCgroups = sync.OnceValue(func() cgroups {
	var c cgroups
	var st unix.Statfs_t
	if unix.Statfs("/sys/fs/cgroup", &st) == nil {
		c.v2 = st.Type == unix.CGROUP2_SUPER_MAGIC
	}
	c.hybrid = host.Hybrid()
	return c
})

// systemdRuns tells whether a systemd is there that makes scopes: the user's, or the system's.
func systemdRuns(user bool) bool {
	path := "/run/systemd/system"
	if user {
		xdg := os.Getenv("XDG_RUNTIME_DIR")
		if xdg == "" {
			return false
		}
		path = filepath.Join(xdg, "systemd/private")
	}
	_, err := os.Stat(path)
	return err == nil
}

// ownCgroupWritable tells whether this process may make cgroups below its own (cgroups v2).
func ownCgroupWritable() bool {
	own, err := ownCgroup()
	return err == nil && unix.Access(filepath.Join("/sys/fs/cgroup", own), unix.W_OK) == nil
}

func ownCgroup() (string, error) { return cgroupOf(os.Getpid()) }

// cgroupOf is a process's place in the unified hierarchy.
func cgroupOf(pid int) (string, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if p, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return p, nil
		}
	}
	return "", fs.ErrNotExist
}

// path is the cgroupsPath of a container in its OCI spec: for systemd "slice:prefix:name".
func (c cgroups) path(id string, rootless bool) string {
	switch c.manager {
	case "systemd":
		if rootless {
			return "user.slice:berth:" + id
		}
		return "machine.slice:berth:" + id
	case "cgroupfs":
		if rootless {
			own, err := ownCgroup()
			if err != nil {
				return ""
			}
			return filepath.Join(filepath.Dir(own), "berth-"+id)
		}
		return "/berth/" + id
	}
	return ""
}

// runtimeRecord is what the monitor needs to call the runtime.
func (e *Engine) runtimeRecord(r *RuntimeInfo, cg cgroups) (record.Runtime, error) {
	root := filepath.Join(e.runtime, "oci-"+filepath.Base(r.Path))
	args := []string{"--root", root}
	switch {
	case r.isCrun():
		args = append(args, "--cgroup-manager="+cg.manager)
	case cg.manager == "systemd":
		args = append(args, "--systemd-cgroup")
	}
	for _, f := range e.opts.RuntimeFlags {
		if f == "" {
			return record.Runtime{}, errors.New("--runtime-flag must not be empty")
		}
		args = append(args, "--"+f)
	}
	return record.Runtime{Name: r.Name, Path: r.Path, Args: args, HideUnified: r.isCrun() && cg.hybrid}, nil
}

// KernelVersion is as uname -r prints it.
func KernelVersion() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
