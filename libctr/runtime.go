// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
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

// isCrun reports whether it has crun's flags.
func (r *RuntimeInfo) isCrun() bool { return strings.HasPrefix(r.Version, "crun ") }

// checkpoints reports whether it may be able to checkpoint and restore containers: needCRIU asks it.
func (r *RuntimeInfo) checkpoints() bool {
	return !r.isCrun() || strings.Contains(r.Version, "+CRIU")
}

// Runtime finds the OCI runtime: name is a name in containers.conf, a program in PATH, or a path. An
// empty name is the engine's option, then containers.conf's choice.
func (e *Engine) Runtime(ctx context.Context, name string) (*RuntimeInfo, error) {
	name = or(name, e.opts.Runtime)
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

// runtimeFor finds the OCI runtime for an image's platform: the one that platform_to_oci_runtime in containers.conf names for
// it, where the engine's options name none.
func (e *Engine) runtimeFor(ctx context.Context, os, arch string) (*RuntimeInfo, error) {
	conf, err := e.conf()
	if err != nil {
		return nil, err
	}
	return e.Runtime(ctx, or(e.opts.Runtime, conf.Engine.PlatformToOCIRuntime[os+"/"+arch]))
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
	return "", hint.Add(fmt.Errorf("OCI runtime %q is not installed", name), "install it with: sudo apt-get install crun, or choose another with %s", field.Name("runtime"))
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
		return nil, hint.Add(fmt.Errorf("ask the OCI runtime %s for its version: %w", path, err), "choose another with %s", field.Name("runtime"))
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

// runtimeRecord is what the monitor needs to call the runtime.
func (e *Engine) runtimeRecord(r *RuntimeInfo, cg cgroups) (record.Runtime, error) {
	root := filepath.Join(e.runtime, "oci-"+filepath.Base(r.Path))
	args := []string{"--root", root}
	switch {
	case r.isCrun():
		args = append(args, "--cgroup-manager="+cg.manager)
	case cg.manager == "systemd":
		args = append(args, "--systemd-cgroup")
	case cg.manager == "disabled" && strings.HasPrefix(r.Version, "runc "):
		args = append(args, "--rootless=true") // it then takes it that no cgroup can be made
	}
	conf, err := e.conf()
	if err != nil {
		return record.Runtime{}, err
	}
	for _, f := range slices.Concat(conf.Engine.OCIRuntimesFlags[r.Name], e.opts.RuntimeFlags) {
		if f == "" {
			return record.Runtime{}, field.Errorf("%s, and runtimes_flags of containers.conf, must not be empty", field.Name("runtime-flag"))
		}
		args = append(args, "--"+strings.TrimLeft(f, "-"))
	}
	rt := record.Runtime{Name: r.Name, Path: r.Path, Args: args, HideUnified: r.isCrun() && cg.hybrid, Checkpoints: !e.Rootless() && r.checkpoints()}
	if conf.Engine.NoPivotRoot {
		rt.RunArgs = append(rt.RunArgs, "--no-pivot")
	}
	if !conf.Containers.EnableKeyring {
		rt.RunArgs = append(rt.RunArgs, "--no-new-keyring")
	}
	return rt, nil
}

// KernelVersion is as uname -r prints it.
func KernelVersion() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}
