// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/rootless"
	"go.podman.io/common/pkg/systemd"
	"golang.org/x/sys/unix"
)

// programPath is the path of berth, which is this program if none is given.
func programPath(given string) (string, error) {
	if given != "" {
		return filepath.Abs(given)
	}
	return rootless.Executable()
}

// HelperCommand prepares a process that is berth with the given command word. It will be in the user namespace and in a mount namespace of its own.
func (e *Engine) HelperCommand(word string) (*exec.Cmd, error) {
	path, err := programPath(e.opts.Program)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, word)
	cmd.Args[0] = "berth-" + word // package leash knows it by that
	cmd.Env = rootless.NewMountsEnv()
	return cmd, nil
}

// monitorPath finds the monitor: $BERTH_MONITOR, beside berth, or in ../libexec/berth.
func monitorPath(program string) (string, error) {
	if p := os.Getenv("BERTH_MONITOR"); p != "" {
		return p, nil
	}
	return helperPath(program, "berth-monitor")
}

// helperPath finds what is installed with berth: beside it, or in ../libexec/berth.
func helperPath(program, name string) (string, error) {
	berth, err := programPath(program)
	if err != nil {
		return "", err
	}
	dir := filepath.Dir(berth)
	for _, p := range []string{filepath.Join(dir, name), filepath.Join(dir, "../libexec/berth", name)} {
		if unix.Access(p, unix.X_OK) == nil {
			return p, nil
		}
	}
	return "", hint.Add(fmt.Errorf("find %s: it is neither beside %s nor in ../libexec/berth", name, berth), "build all with: make, or install all with: make install")
}

// Leash has all that this process starts from now on die with it, but for monitors: see package leash. The program is
// Options.Program. A process has one leash; a program that lives long and ends its children itself needs none.
func Leash(program string) error {
	path, err := monitorPath(program)
	if err == nil {
		err = leash.Start(path)
	}
	if err != nil {
		return fmt.Errorf("start what ends this command's children with it: %w", err)
	}
	return nil
}

// startMonitor starts the container's monitor, unless it is there already, and hands it the lock; the connection is its first client.
// The process has to be in the user namespace that the container is to live in.
func (e *Engine) startMonitor(c *Container, lock *os.File) (conn *ctl.Conn, pid int, err error) {
	m := c.early
	if c.early = nil; m == nil {
		if m, err = e.launchMonitor(c.Dir, lock); err != nil {
			return nil, 0, err
		}
	}
	rootless.Pin(m.pid)
	e.moveToUserManager(m.pid, c.ID)
	return m.conn, m.pid, nil
}

// launched is a monitor that has been started.
type launched struct {
	conn *ctl.Conn
	pid  int
}

// launchMonitor starts the monitor of the container in dir. With --early it does not look for the records before a request comes, and
// ends if none does.
func (e *Engine) launchMonitor(dir string, lock *os.File, args ...string) (*launched, error) {
	path, err := monitorPath(e.opts.Program)
	if err != nil {
		return nil, err
	}
	conn, theirs, err := ctl.Pair()
	if err != nil {
		return nil, fmt.Errorf("make a socket for the monitor: %w", err)
	}
	defer theirs.Close()
	devNull, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		conn.Close()
		return nil, err
	}
	defer devNull.Close()
	argv := append(append([]string{path}, args...), dir)
	p, err := os.StartProcess(path, argv, &os.ProcAttr{
		Dir:   "/",
		Env:   monitorEnv(os.Environ()),
		Files: []*os.File{devNull, devNull, e.monitorStderr(devNull), theirs, lock},
		// a mount namespace of its own: the root file system's mount ends with it
		Sys: &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS},
	})
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	m := &launched{conn, p.Pid}
	_ = p.Release()
	go reap(m.pid)
	return m, nil
}

// moveToUserManager puts a monitor below the user's systemd. From a login's session the OCI runtime could not
// put processes into the container's cgroup (cgroup v2, "Delegation Containment"), and the session would not
// end with the logout. A monitor started by a unit of the user's stays where it is.
func (e *Engine) moveToUserManager(pid int, id string) {
	if !e.Rootless() || !hostCgroups().v2 || !systemdRuns(true) {
		return
	}
	if cg, err := e.cgroups(); err != nil || cg.manager != "systemd" {
		return
	}
	own, err := ownCgroup()
	if err != nil || strings.Contains(own, fmt.Sprintf("/user@%d.service/", rootless.UID())) {
		return
	}
	err = systemd.RunUnderSystemdScope(pid, "user.slice", "berth-monitor-"+id+".scope")
	// The user's systemd has the system's move the process; what it forks before that stays behind.
	for end := time.Now().Add(5 * time.Second); err == nil && time.Now().Before(end); time.Sleep(time.Millisecond) {
		if moved, cerr := cgroupOf(pid); cerr != nil || strings.Contains(moved, "/berth-monitor-") {
			return
		}
	}
	e.log.Warn("the container's monitor stays in this login session: exec may be refused", "error", err)
}

// monitorEnv is a monitor's environment: see monitor.Environ. It has the Go runtime keep one processor's caches, which the
// monitor does not pass on. Root's does not get to know of a user's systemd: the OCI runtime would ask that one for cgroups.
func monitorEnv(env []string) []string {
	env = monitor.Environ(env) // without the leash, among others
	if !rootless.IsRootless() {
		env = slices.DeleteFunc(env, func(v string) bool {
			return strings.HasPrefix(v, "DBUS_SESSION_BUS_ADDRESS=") || strings.HasPrefix(v, "XDG_RUNTIME_DIR=")
		})
	}
	return append(env, "GOMAXPROCS=1")
}

// monitorStderr is where a monitor's own complaints go: nowhere, or to the terminal with BERTH_MONITOR_DEBUG.
func (e *Engine) monitorStderr(devNull *os.File) *os.File {
	if os.Getenv("BERTH_MONITOR_DEBUG") != "" {
		return os.Stderr
	}
	return devNull
}

// monitorPatience is how long a command waits for a monitor that does not answer.
const monitorPatience = 10 * time.Second

// connect reaches the monitor of a running container. If it was killed while the container
// goes on, a new one is started that adopts it. The error wraps ErrNotRunning where neither runs,
// ErrBusy where another command works on the container, and a *ctl.SilentError where the monitor does not answer.
func (e *Engine) connect(ctx context.Context, c *Container) (*ctl.Conn, error) {
	end := time.Now().Add(monitorPatience)
	inTime, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		conn, err := ctl.Dial(inTime, c.RunDir)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		var silent *ctl.SilentError
		if errors.As(err, &silent) {
			return nil, hint.Add(err, "end it, and the next command starts another: kill -KILL %d", silent.Pid)
		}
		if !errors.Is(err, ctl.ErrNoMonitor) {
			return nil, fmt.Errorf("connect to its monitor: %w", err)
		}
		// No monitor listens: it starts up or ends (and holds the lock), or there is none.
		lock, err := tryLock(c.RunDir)
		if lock != nil {
			return e.adopt(ctx, c, lock)
		}
		if err != nil && !record.IsNotExist(err) {
			return nil, err
		}
		if record.IsNotExist(err) {
			return nil, ErrNotRunning
		}
		if time.Now().After(end) {
			return nil, ErrBusy
		}
		time.Sleep(pause)
	}
}

// adopt starts a new monitor for a container that lost its own. It takes the lock over.
func (e *Engine) adopt(ctx context.Context, c *Container, lock *os.File) (*ctl.Conn, error) {
	defer lock.Close()
	if err := e.Refresh(c); err != nil {
		return nil, err
	}
	if !Alive(c.State) {
		return nil, ErrNotRunning
	}
	return e.startAdopting(ctx, c, lock)
}

// ReplaceMonitors starts a new monitor for each container in list whose monitor was killed, and does not wait for it: not only
// for those that run, also for those that have ended meanwhile and are to be restarted or removed. What it costs where there is
// none is a look at each running container's monitor. Monitors replace each other, but for the last one
// (docs/decisions/0018). Errors are no matter: the next command that wants the container tells them.
func (e *Engine) ReplaceMonitors(ctx context.Context, list []*Container) {
	for _, c := range list {
		if !c.orphaned() {
			continue
		}
		lock, err := tryLock(c.RunDir)
		if lock == nil {
			e.log.Debug("the container without a monitor is seen to by somebody else", "id", c.ID, "error", err)
			continue
		}
		conn, err := e.startAdopting(ctx, c, lock)
		lock.Close()
		if err != nil {
			e.log.Debug("replace a killed monitor", "id", c.ID, "error", err)
			continue
		}
		conn.Close()
	}
}

// orphaned reports whether the container needs a monitor, and the one in its state is dead.
func (c *Container) orphaned() bool {
	return monitor.Abandoned(c.State) && !c.monitorLives()
}

// startAdopting starts a monitor that takes over the container, and the lock.
func (e *Engine) startAdopting(ctx context.Context, c *Container, lock *os.File) (*ctl.Conn, error) {
	e.log.Debug("adopting a container whose monitor was killed", "id", c.ID)
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	// The new monitor has to live in the user namespace of the old one, and only a process of one thread
	// can join that: this program again, whose constructor does so, and which then becomes the monitor.
	ours, theirs, err := ctl.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	// its file, whatever has taken its place meanwhile
	cmd := exec.CommandContext(ctx, cmp.Or(e.opts.Program, "/proc/self/exe"), "cleanup", "--adopt", c.Dir)
	cmd.Args[0] = "berth"
	cmd.Env = os.Environ()
	if Alive(c.State) { // else it enters the namespace that a start would enter
		cmd.Env = rootless.EnterEnv(c.State.Pid, hasOwnUserNS(cfg))
	}
	cmd.Env = leash.Without(cmd.Env)
	cmd.Stderr = e.monitorStderr(nil)
	cmd.ExtraFiles = []*os.File{theirs, lock}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return nil } // it outlives this command
	if err := cmd.Start(); err != nil {
		ours.Close()
		return nil, fmt.Errorf("start a new monitor: %w", err)
	}
	go cmd.Wait() //nolint:errcheck // it is reaped if it ends before this process; how it ended shows on the connection
	return ours, nil
}

// BecomeMonitor is the second half of an adoption: it replaces this process, which has joined the
// container's user namespace and inherited the connection (3) and the lock (4), by the monitor.
func BecomeMonitor(dir string) error {
	path, err := monitorPath("")
	if err != nil {
		return err
	}
	return unix.Exec(path, []string{path, "--adopt", dir}, monitorEnv(os.Environ()))
}

// hasOwnUserNS reports whether the container is in a user namespace below Berth's.
func hasOwnUserNS(cfg *record.Config) bool {
	switch cfg.UserNS {
	case "", "host":
		return false
	}
	return true
}
