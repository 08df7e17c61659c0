// SPDX-License-Identifier: Apache-2.0

package build

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
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/libctr/record"
	"go.podman.io/storage"
)

// Subsystem is what is looked after of builds: what those that were killed have left, and the room that their cache takes.
type Subsystem struct{ Engine *libctr.Engine }

// Name says what it looks after.
func (Subsystem) Name() string { return "builds" }

// Check looks for what dead builds left: processes, working containers with their layers, and temporary
// files; package layer knows of their other layers. It takes no lock that a build at work would wait for.
func (s Subsystem) Check(context.Context, bool) ([]doctor.Problem, error) {
	found, err := newRoots(s.Engine).find(s.Engine)
	problems := make([]doctor.Problem, len(found))
	for i, l := range found {
		problems[i] = doctor.Problem{What: l.what, Repair: l.removeAll}
	}
	return problems, err
}

// Recover removes what dead builds left. Where their directories are gone it costs two looks.
func (s Subsystem) Recover(ctx context.Context) error { return newRoots(s.Engine).clean(ctx, s.Engine) }

// Measure adds up what the build cache takes: what RUN --mount=type=cache has kept, and what is known of whole builds.
func (s Subsystem) Measure(_ context.Context, size func(string) (int64, error)) (doctor.Share, error) {
	share := doctor.Share{Kind: "Build Cache"}
	for _, dir := range cacheDirs(s.Engine) {
		n, err := size(dir)
		if err != nil {
			return share, err
		}
		share.Size += n
	}
	share.Reclaimable = share.Size
	return share, nil
}

// leftover is what a build that was killed has left behind.
type leftover struct {
	what string // a sentence: what, where

	roots   roots
	session string
	remove  func(context.Context) error
}

// removeAll removes it, unless another command does so now, and the session's directory with the last of its leftovers.
func (l leftover) removeAll(ctx context.Context) error {
	run := filepath.Join(l.roots.run, l.session)
	lock, err := lockSession(run)
	if err != nil || lock == nil {
		return err
	}
	defer lock.Close()
	if err := os.Remove(filepath.Join(l.roots.tmp, l.session, ballast)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := l.remove(ctx); err != nil {
		return err
	}
	if left, err := os.ReadDir(run); err == nil && len(left) == 1 {
		return removeSessionDir(run) // only the lock is left
	}
	return nil
}

// sessionName matches the end of a working container's name.
var sessionName = lazy(suffixWord + `([0-9a-f]{12})(-[0-9]+)?$`)

func (r roots) find(e *libctr.Engine) ([]leftover, error) {
	var found []leftover
	add := func(session string, remove func(context.Context) error, format string, args ...any) {
		found = append(found, leftover{fmt.Sprintf(format, args...), r, session, remove})
	}
	dead, err := r.dead()
	if err != nil {
		return nil, err
	}
	// Processes first: they may write to the layers and files below.
	for _, id := range dead {
		started, err := r.processes(id)
		if err != nil {
			return nil, err
		}
		for _, p := range started {
			add(id, func(context.Context) error { return end(p.pid) }, "%s of build %s, which was killed: process %d", p.name, id, p.pid)
		}
		names, err := r.containers(id)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			add(id, func(ctx context.Context) error { return r.endContainers(ctx, id) }, "RUN of build %s, which was killed: %s", id, name)
		}
	}
	store, err := e.Store()
	if err != nil {
		return nil, err
	}
	containers, err := store.Containers()
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		id := sessionOf(c)
		if id == "" {
			continue
		}
		if alive, err := r.alive(id); err != nil || alive {
			continue
		}
		add(id, func(context.Context) error {
			err := store.DeleteContainer(c.ID)
			if errors.Is(err, storage.ErrContainerUnknown) {
				return nil // another command has done it
			}
			return err
		}, "working container %s of a build that was killed", c.Names[0])
	}
	for _, id := range dead {
		tmp, run := filepath.Join(r.tmp, id), filepath.Join(r.run, id)
		if _, err := os.Lstat(tmp); err == nil {
			add(id, func(context.Context) error { return removeTree(tmp) }, "files of a build that was killed: %s", tmp)
		}
		if _, err := os.Lstat(run); err == nil {
			add(id, func(context.Context) error { r.removePlaces(id); return removeAllBut(run, lockPath(run)) }, "files of a build that was killed: %s", run)
		}
	}
	return found, nil
}

// sessionOf is the ID of the session that made a working container; empty for all other containers.
func sessionOf(c storage.Container) string {
	for _, name := range c.Names {
		if m := sessionName().FindStringSubmatch(name); m != nil {
			return m[1]
		}
	}
	return ""
}

// dead lists the sessions with directories but without a process.
func (r roots) dead() ([]string, error) {
	var dead []string
	for _, root := range []string{r.run, r.tmp} {
		entries, err := os.ReadDir(root)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, d := range entries {
			alive, err := r.alive(d.Name())
			if err != nil {
				return nil, err
			}
			if !alive && !slices.Contains(dead, d.Name()) {
				dead = append(dead, d.Name())
			}
		}
	}
	return dead, nil
}

// clean is Subsystem.Recover.
func (r roots) clean(ctx context.Context, e *libctr.Engine) error {
	dead, err := r.dead()
	if err != nil || len(dead) == 0 {
		return err
	}
	found, err := r.find(e)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range found {
		errs = append(errs, l.removeAll(ctx))
	}
	store, err := e.Store()
	if err == nil {
		_, err = layer.Sweep(ctx, store)
	}
	return errors.Join(append(errs, err)...)
}

// ociRoot is where the OCI runtime keeps the state of a session's containers, and runtimeFile how it is called.
func (r roots) ociRoot(id string) string     { return filepath.Join(r.run, id, "oci") }
func (r roots) runtimeFile(id string) string { return filepath.Join(r.run, id, "runtime.json") }

// containers lists those that the OCI runtime has of a session.
func (r roots) containers(id string) ([]string, error) {
	entries, err := os.ReadDir(r.ociRoot(id))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var names []string
	for _, d := range entries {
		if d.IsDir() && !strings.HasPrefix(d.Name(), ".") {
			names = append(names, d.Name())
		}
	}
	return names, nil
}

// endContainers kills and deletes the containers that the OCI runtime has of a session.
func (r roots) endContainers(ctx context.Context, id string) error {
	names, err := r.containers(id)
	if err != nil || len(names) == 0 {
		return err
	}
	data, err := os.ReadFile(r.runtimeFile(id))
	if err != nil {
		return fmt.Errorf("end RUN of build %s: %w", id, err)
	}
	var rt record.Runtime
	if err := json.Unmarshal(data, &rt); err != nil {
		return fmt.Errorf("read %s: %w", r.runtimeFile(id), err)
	}
	if rt.HideUnified { // the runtime looks for the cgroups where it made them
		if err := host.HideUnified(); err != nil {
			return err
		}
	}
	var errs []error
	for _, name := range names {
		out, err := exec.CommandContext(ctx, rt.Path, slices.Concat(rt.Args, []string{"delete", "--force", name})...).CombinedOutput()
		if _, gone := os.Stat(filepath.Join(r.ociRoot(id), name)); err != nil && gone == nil {
			errs = append(errs, fmt.Errorf("end RUN of build %s: %w: %s", id, err, bytes.TrimSpace(out)))
		}
	}
	return errors.Join(errs...)
}

// process is one that a build has started.
type process struct {
	pid  int
	name string
}

// processes finds those that a session has started: network helpers, the OCI runtime, buildah's helpers. They have a path in
// its directories in their arguments, or its TMPDIR in their environment.
func (r roots) processes(id string) ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	run, tmp := filepath.Join(r.run, id), filepath.Join(r.tmp, id)
	var found []process
	for _, d := range entries {
		pid, err := strconv.Atoi(d.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", d.Name(), "cmdline"))
		if err != nil {
			continue // it has ended
		}
		environ, _ := os.ReadFile(filepath.Join("/proc", d.Name(), "environ")) // what is not ours we may not read
		environ = append([]byte{0}, environ...)
		argv0, _, _ := bytes.Cut(cmdline, []byte{0})
		if bytes.Contains(cmdline, []byte(run+"/")) || bytes.Contains(environ, []byte("\x00TMPDIR="+tmp+"\x00")) || bytes.Contains(environ, []byte("\x00TMPDIR="+run+"/t\x00")) {
			found = append(found, process{pid, filepath.Base(string(argv0))})
		}
	}
	return found, nil
}

// removeAllBut removes what is in a directory, but for one path.
func removeAllBut(dir, kept string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, d := range entries {
		if path := filepath.Join(dir, d.Name()); path != kept {
			err = errors.Join(err, unmountAt(path), removeTree(path))
		}
	}
	return err
}

func end(pid int) error {
	err := syscall.Kill(pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}
