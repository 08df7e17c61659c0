// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/rootless"
	"golang.org/x/sys/unix"
)

// cgroups is how a container gets its control group on this host.
type cgroups struct {
	manager string // systemd, cgroupfs, or disabled: no container gets one
	v2      bool
	hybrid  bool   // what crun refuses: v1 with controllers in /sys/fs/cgroup/unified, or no hierarchy at all
	root    string // where the hierarchy is mounted: /sys/fs/cgroup but in tests
	parent  string // of cgroupfs: the cgroup, as in /proc/PID/cgroup, in which those of containers are made
	why     string // it is disabled
}

// cgroups finds the manager: what the user says, else what the host can do. A manager that only containers.conf names is
// dropped where the host does not have it.
func (e *Engine) cgroups() (cgroups, error) {
	c := hostCgroups()
	want := e.opts.CgroupManager
	systemd := systemdRuns(e.Rootless())
	if want == "" {
		conf, err := e.conf()
		if err != nil {
			return c, err
		}
		if conf.Containers.Cgroups == "disabled" {
			c.manager, c.why = "disabled", "containers.conf says cgroups=\"disabled\""
			return c, nil
		}
		if systemd && conf.Engine.CgroupManager == "cgroupfs" && e.isSet("engine.cgroup_manager") {
			systemd = false
		}
	}
	c.parent = "/"
	if c.v2 {
		own, _ := ownCgroup()
		c.parent = c.writableParent(own, e.Rootless())
	}
	switch {
	case want == "disabled":
		c.manager, c.why = want, "the cgroup manager is disabled"
	case e.Rootless() && !c.v2:
		c.manager, c.why = "disabled", "an unprivileged user cannot set limits with cgroups v1"
	case want == "systemd" && !systemd:
		return c, hint.Add(field.Errorf("%s systemd: systemd does not run here for this user", field.Name("cgroup-manager")), "use %s cgroupfs, or log in with a user session (loginctl enable-linger)", field.Name("cgroup-manager"))
	case want == "systemd" || want == "" && systemd:
		c.manager = "systemd"
	case want == "cgroupfs" && c.v2 && c.parent == "":
		return c, hint.Add(field.Errorf("%s cgroupfs: no cgroup that this engine may write to is above it", field.Name("cgroup-manager")), "leave the flag out to run without cgroups, or have a cgroup delegated to this user")
	case want == "cgroupfs":
		c.manager = want
	case c.v2 && c.parent == "" && e.Rootless():
		c.manager, c.why = "disabled", "this user's cgroup is not delegated to it; log in with a systemd user session (loginctl enable-linger)"
	case c.v2 && c.parent == "" || !c.v2 && !c.writableV1():
		c.manager, c.why = "disabled", c.root+" is read-only; in a container, have the engine outside mount it read-write, with a cgroup namespace"
	default:
		c.manager = "cgroupfs"
	}
	return c, nil
}

// isSet reports whether a file of containers.conf sets the key, named SECTION.KEY. The configuration itself does not tell
// that from the default.
func (e *Engine) isSet(key string) bool {
	section, name, _ := strings.Cut(key, ".")
	for _, f := range e.containersConf(name) {
		if _, ok := f.table(section)[name]; ok {
			return true
		}
	}
	return false
}

var hostCgroups = sync.OnceValue(func() cgroups {
	c := cgroups{root: "/sys/fs/cgroup"}
	var st unix.Statfs_t
	if unix.Statfs(c.root, &st) == nil {
		c.v2 = st.Type == unix.CGROUP2_SUPER_MAGIC
	}
	c.hybrid = host.Hybrid() || host.NoCgroups()
	return c
})

// systemdRuns reports whether a systemd is there that makes scopes: the user's, or the system's.
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

// writableParent is the cgroup (v2) in which the containers' are made, or empty where none can be: the root of the
// hierarchy for root, the one beside or below this process's own (own) for a user, or for a root that does not own the
// hierarchy's. Processes are moved into theirs, which takes the right to write the cgroup.procs of the parent too.
func (c cgroups) writableParent(own string, rootless bool) string {
	candidates := []string{"/", filepath.Dir(own), own}
	if rootless {
		candidates = candidates[1:]
	}
	for _, p := range candidates {
		dir := filepath.Join(c.root, p)
		if p != "" && p != "." && unix.Access(dir, unix.W_OK) == nil && unix.Access(filepath.Join(dir, "cgroup.procs"), unix.W_OK) == nil {
			return p
		}
	}
	return ""
}

// writableV1 reports whether cgroups can be made in any hierarchy of version 1.
func (c cgroups) writableV1() bool {
	return slices.ContainsFunc([]string{"systemd", "pids", "memory", "cpu", "freezer", "devices"}, c.haveV1)
}

func (c cgroups) haveV1(name string) bool {
	return unix.Access(filepath.Join(c.root, name, "cgroup.procs"), unix.W_OK) == nil
}

// controllers are those by which a container can be limited: what the parent of its cgroup has and can hand down.
func (c cgroups) controllers(rootless bool) []string {
	have := []string{}
	switch {
	case c.manager == "disabled":
	case !c.v2:
		for _, name := range []string{"cpu", "cpuset", "memory", "pids"} {
			if c.haveV1(name) {
				have = append(have, name)
			}
		}
		if c.haveV1("blkio") {
			have = append(have, "io") // as version 2 calls it
		}
	case c.manager == "systemd" && !rootless:
		have = c.words("/", "cgroup.controllers")
	case c.manager == "systemd":
		own, _ := ownCgroup()
		have = c.words(userManagerCgroup(own), "cgroup.controllers")
	default:
		have = c.words(c.parent, "cgroup.subtree_control")
		if c.handsDown(c.parent) {
			have = c.words(c.parent, "cgroup.controllers")
		}
	}
	return have
}

// handsDown reports whether controllers can be enabled for the children of cgroup p: its cgroup.subtree_control can be
// written, and it is the real root, which alone has no cgroup.type, or has no processes of its own (cgroups(7), "No
// internal processes").
func (c cgroups) handsDown(p string) bool {
	dir := filepath.Join(c.root, p)
	if unix.Access(filepath.Join(dir, "cgroup.subtree_control"), unix.W_OK) != nil {
		return false
	}
	kind, err := os.ReadFile(filepath.Join(dir, "cgroup.type"))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && strings.TrimSpace(string(kind)) == "domain" && len(c.words(p, "cgroup.procs")) == 0
}

// words reads a file of cgroup p; a missing one is empty.
func (c cgroups) words(p, file string) []string {
	data, err := os.ReadFile(filepath.Join(c.root, p, file))
	if err != nil {
		return []string{}
	}
	return strings.Fields(string(data))
}

// userManagerCgroup is the cgroup of the user's systemd, in which its scopes are made; own is this process's.
func userManagerCgroup(own string) string {
	uid := strconv.Itoa(rootless.UID())
	service := "user@" + uid + ".service"
	if before, _, ok := strings.Cut(own+"/", "/"+service+"/"); ok {
		return before + "/" + service
	}
	return "/user.slice/user-" + uid + ".slice/" + service
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
		if c.parent == "/" && !rootless {
			return "/berth/" + id
		}
		return filepath.Join("/", c.parent, "berth-"+id)
	}
	return ""
}

// pathIn is path below another cgroup, for systemd a slice; an empty parent is the usual one.
func (c cgroups) pathIn(parent, id string, rootless bool) string {
	switch {
	case parent == "":
		return c.path(id, rootless)
	case c.manager == "systemd":
		return parent + ":berth:" + id
	case c.manager == "cgroupfs":
		return filepath.Join("/", parent, "berth-"+id)
	}
	return ""
}

// fitDefaults has the spec ask for nothing that this host cannot give: no controller that the container's cgroup will not
// have, no sysctl that the kernel does not know. Defaults are dropped without a word. A limit that the user asked for
// is an error, or with cgroups v1 a warning, as in podman.
func (e *Engine) fitDefaults(cg cgroups, s *spec.Options) error {
	for name := range s.DefaultSysctls {
		if !exists("/proc/sys/" + strings.ReplaceAll(name, ".", "/")) {
			delete(s.DefaultSysctls, name)
		}
	}
	if err := e.fitVersion(cg, s); err != nil {
		return err
	}
	s.Controllers = cg.controllers(e.Rootless())
	missing := s.Resources.Missing(s.Controllers)
	if s.NoCgroup || len(missing) == 0 {
		return nil
	}
	if !cg.v2 {
		s.Resources = s.Resources.Without(missing)
		e.log.Warn(fmt.Sprintf("no limit on %s can be set here, since the host does not mount that cgroup controller: it is ignored", strings.Join(missing, ", ")))
		return nil
	}
	err := fmt.Errorf("limit %s: the cgroup controller is not delegated to this engine", strings.Join(missing, ", "))
	if e.Rootless() && cg.manager == "systemd" {
		return hint.Add(err, "as root, write [Service] and Delegate=cpu cpuset io memory pids with: systemctl edit user@.service; then log in again")
	}
	return hint.Add(err, "enable it in cgroup.subtree_control of the cgroup above this engine's, or leave the limit out; the controllers there are: %s", hint.To(hint.ShowInfo))
}

// fitVersion refuses what the version of cgroups does not have, or drops it with a warning where podman does.
func (e *Engine) fitVersion(cg cgroups, s *spec.Options) error {
	r := &s.Resources
	switch {
	case s.NoCgroup: // there are no limits at all
	case !cg.v2 && len(r.Unified) > 0:
		return field.Errorf("cannot use %s without cgroup v2", field.Name("cgroup-conf"))
	case !cg.v2:
		for _, w := range []struct {
			file string
			drop func() bool // reports whether there was anything
			what string
		}{
			{"blkio.weight", func() bool { was := r.BlockIO.Weight != 0; r.BlockIO.Weight = 0; return was }, "Block I/O weight or the cgroup is not mounted. Weight discarded."},
			{"blkio.weight_device", func() bool { was := r.BlockIO.WeightDevice != nil; r.BlockIO.WeightDevice = nil; return was }, "Block I/O weight_device or the cgroup is not mounted. Weight-device discarded."},
		} {
			if !exists(filepath.Join(cg.root, "blkio", w.file)) && w.drop() {
				e.warn(errors.New("Your kernel does not support " + w.what))
			}
		}
	case r.Swappiness != nil:
		return field.Errorf("%s: not supported on cgroups V2 systems", field.Name("memory-swappiness"))
	case r.NoOOMKill:
		return field.Errorf("%s: not supported on cgroups V2 systems", field.Name("oom-kill-disable"))
	default:
		if r.RealtimePeriod != 0 {
			//lint:ignore ST1005 as podman
			e.warn(errors.New("Realtime period not supported on cgroups V2 systems"))
		}
		if r.RealtimeRuntime != 0 {
			//lint:ignore ST1005 as podman
			e.warn(errors.New("Realtime runtime not supported on cgroups V2 systems"))
		}
		r.RealtimePeriod, r.RealtimeRuntime = 0, 0
	}
	return nil
}

// What becomes of a container's cgroup: the values of --cgroups.
const (
	cgroupsEnabled   = "enabled"
	cgroupsDisabled  = "disabled"
	cgroupsNoMonitor = "no-conmon" // the monitor stays where it was started; Berth's does anyway
	cgroupsSplit     = "split"     // below this process's own
)

// checkCgroups checks the values of --cgroups and --cgroup-parent by themselves.
func checkCgroups(mode, parent string) error {
	switch mode {
	case "", cgroupsEnabled, cgroupsNoMonitor:
	case cgroupsDisabled, cgroupsSplit:
		if parent != "" {
			return field.Errorf("cannot set cgroup parent if %s is %s: leave %s out", field.Name("cgroups"), mode, field.Name("cgroup-parent"))
		}
	default:
		return field.Errorf("%s: invalid cgroup mode %q: want enabled, disabled, no-conmon or split", field.Name("cgroups"), mode)
	}
	return nil
}

// cgroupsFor is how one container gets its cgroup, and the cgroup's path for the runtime.
func (e *Engine) cgroupsFor(id, mode, parent string) (cg cgroups, path string, err error) {
	if cg, err = e.cgroups(); err != nil {
		return cg, "", err
	}
	slice := strings.HasSuffix(parent, ".slice")
	switch {
	case mode == cgroupsDisabled:
		cg.manager, cg.why = "disabled", "cgroups are disabled for this container"
	case mode == cgroupsSplit:
		own, err := splitCgroup(cg)
		if err != nil {
			return cg, "", field.In("cgroups", fmt.Errorf("split: %w", err))
		}
		cg.manager, cg.parent = "cgroupfs", own
		return cg, filepath.Join(own, "berth-payload-"+id), nil
	case parent == "":
	case cg.manager == "disabled":
		return cg, "", field.Errorf("%s: cannot set cgroup parent if not creating cgroups: %s", field.Name("cgroup-parent"), cg.why)
	case cg.manager == "systemd" && !slice:
		return cg, "", field.Errorf("%s %s: did not receive systemd slice as cgroup parent when using systemd to manage cgroups", field.Name("cgroup-parent"), parent)
	case cg.manager == "cgroupfs" && slice:
		return cg, "", field.Errorf("%s %s: systemd slice received as cgroup parent when using cgroupfs", field.Name("cgroup-parent"), parent)
	case cg.manager == "cgroupfs":
		cg.parent = filepath.Join("/", parent)
	}
	return cg, cg.pathIn(parent, id, e.Rootless()), nil
}

// splitCgroup moves the processes of this process's cgroup into one below it, so that the one they were in can have that of a container beside it (cgroups(7), "No internal processes"), and returns the one it was in.
func splitCgroup(cg cgroups) (string, error) {
	if !cg.v2 {
		return "", errors.New("needs cgroup v2")
	}
	own, err := ownCgroup()
	if err != nil {
		return "", err
	}
	const supervisor = "supervisor"
	if filepath.Base(own) == supervisor {
		return filepath.Dir(own), nil
	}
	dir := filepath.Join(cg.root, own, supervisor)
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", hint.Add(err, "have the cgroup that this command runs in delegated to it, as a unit of systemd with Delegate=yes does")
	}
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0); err != nil {
		return "", err
	}
	for _, pid := range cg.words(own, "cgroup.procs") {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(pid), 0) // it may have ended
	}
	return own, nil
}
