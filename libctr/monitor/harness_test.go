// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/host"
	"github.com/berth-containers/berth/libctr/record"
)

// monitorBinary and busyboxRoot are made once, by TestMain.
var monitorBinary, busyboxRoot string

// TestMain runs the tests where monitors live: as root, or inside a user
// namespace with subordinate IDs.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		cmd := exec.Command("unshare", append([]string{"--map-auto", "--map-root-user", "--mount", "--", os.Args[0]}, os.Args[1:]...)...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
		cmd.Env = append(os.Environ(), "BERTH_TEST_ROOTLESS=1")
		err := cmd.Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			os.Exit(exit.ExitCode())
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "enter a user namespace:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	dir, err := os.MkdirTemp("", "monitor-test-")
	if err == nil {
		err = setUp(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "set up the tests:", err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	for _, pattern := range []string{"/sys/fs/cgroup/*/berth-test", "/sys/fs/cgroup/berth-test", "/sys/fs/cgroup/unified/berth/berth-test"} {
		left, _ := filepath.Glob(pattern)
		for _, d := range left {
			unix.Rmdir(d) // the runtime leaves the parents of containers' cgroups
		}
	}
	os.Exit(code)
}

func rootlessTest() bool { return os.Getenv("BERTH_TEST_ROOTLESS") != "" }

func setUp(dir string) error {
	if err := os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if monitorBinary = os.Getenv("BERTH_TEST_MONITOR"); monitorBinary == "" {
		monitorBinary = filepath.Join(dir, "berth-monitor")
		cmd := exec.Command("go", "build", "-o", monitorBinary, "github.com/berth-containers/berth/cmd/berth-monitor")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the monitor: %w: %s", err, out)
		}
	}
	busyboxRoot = filepath.Join(dir, "rootfs")
	for _, d := range []string{"bin", "proc", "dev", "sys", "tmp", "etc"} {
		if err := os.MkdirAll(filepath.Join(busyboxRoot, d), 0o755); err != nil {
			return err
		}
	}
	busybox, err := os.ReadFile("/bin/busybox")
	if err != nil {
		return fmt.Errorf("%w (Debian package busybox-static)", err)
	}
	if err := os.WriteFile(filepath.Join(busyboxRoot, "bin/busybox"), busybox, 0o755); err != nil {
		return err
	}
	for _, name := range strings.Fields("sh true false sleep cat echo id ls test stty head dd yes seq kill trap readlink wc touch rm ps setsid tty ip stat nc") {
		if err := os.Symlink("busybox", filepath.Join(busyboxRoot, "bin", name)); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(busyboxRoot, "etc/plain"), []byte("no program\n"), 0o644)
}

// container is a container of a test, as the CLI would have made it.
type container struct {
	t      testing.TB
	cfg    record.Config
	spec   map[string]any
	proc   *os.Process // the monitor
	waited chan struct{}
}

// newContainer prepares a container that runs args under runtime. change may alter its record.
func newContainer(t testing.TB, runtime string, args []string, change ...func(*container)) *container {
	t.Helper()
	dir := t.TempDir()
	run := filepath.Join(dir, "run", strings.Repeat("r", 64)) // longer than a socket's path may be
	data := filepath.Join(dir, "data")
	c := &container{t: t, cfg: record.Config{Supervised: record.Supervised{
		ID: fmt.Sprintf("%064x", time.Now().UnixNano()), Name: "web", Created: time.Now(), ImageName: "busybox",
		Dir: data, RunDir: run, Command: args, StopTimeout: 10, EventsLog: filepath.Join(dir, "events.log"),
		Log:     record.Log{Driver: "k8s-file", Path: filepath.Join(data, "ctr.log")},
		Runtime: record.Runtime{Name: runtime, Path: must(exec.LookPath(runtime)), Args: []string{"--root", filepath.Join(dir, "oci")}},
		Rootfs:  record.Rootfs{Type: "overlay", Workdir: dir, Options: "lowerdir=" + busyboxRoot + ",upperdir=upper,workdir=work"},
	}}}
	c.cfg.Runtime.HideUnified = runtime == "crun" && host.Hybrid()
	if runtime == "crun" && rootlessTest() {
		c.cfg.Runtime.Args = append(c.cfg.Runtime.Args, "--cgroup-manager=disabled")
	} else if !rootlessTest() {
		c.cfg.CgroupPath = "/berth-test/" + c.cfg.ID
	}
	namespaces := []map[string]string{{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}}
	c.spec = map[string]any{
		"ociVersion": "1.0.0",
		"root":       map[string]any{"path": "rootfs"},
		"process": map[string]any{
			"args": args, "cwd": "/", "user": map[string]int{"uid": 0, "gid": 0},
			"env": []string{"PATH=/bin", "TERM=xterm"},
		},
		"mounts": []map[string]any{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}},
			{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
		},
		"linux": map[string]any{"namespaces": namespaces},
	}
	if c.cfg.CgroupPath != "" {
		c.linux()["cgroupsPath"] = c.cfg.CgroupPath
	}
	for _, f := range change {
		f(c)
	}
	for _, d := range []string{filepath.Join(c.cfg.Dir, "bundle/rootfs"), c.cfg.RunDir, filepath.Join(dir, "upper"), filepath.Join(dir, "work")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	os.Chmod(filepath.Join(dir, "upper"), 0o755)
	check(t, c.cfg.Write(c.cfg.Dir, false))
	check(t, (&record.State{ID: c.cfg.ID, Name: c.cfg.Name, Labels: map[string]string{"kept": "yes"}, Status: record.Created}).Write(c.cfg.Dir, false))
	check(t, os.WriteFile(filepath.Join(c.cfg.Dir, "bundle/config.json"), must(json.Marshal(c.spec)), 0o600))
	t.Cleanup(c.cleanUp)
	return c
}

func (c *container) process() map[string]any { return c.spec["process"].(map[string]any) }
func (c *container) linux() map[string]any   { return c.spec["linux"].(map[string]any) }

func terminal(c *container) { c.cfg.Terminal = true; c.process()["terminal"] = true }

// cleanUp ends whatever the test has left, and fails it for what should not be there.
func (c *container) cleanUp() {
	if s, err := record.ReadState(c.cfg.Dir); err == nil && s.Pid > 0 {
		syscall.Kill(s.Pid, syscall.SIGKILL)
	}
	if c.proc != nil {
		select {
		case <-c.waited:
		case <-time.After(5 * time.Second):
			c.t.Errorf("the monitor is still there")
			c.proc.Kill()
			<-c.waited
		}
	}
	exec.Command(c.cfg.Runtime.Path, append(c.cfg.Runtime.Args, "delete", "--force", c.cfg.ID)...).Run()
}

// monitor starts the container's monitor and returns its first connection.
func (c *container) monitor(args ...string) *ctl.Conn {
	c.t.Helper()
	conn, theirs, err := ctl.Pair()
	check(c.t, err)
	defer theirs.Close()
	lock := must(os.OpenFile(filepath.Join(c.cfg.RunDir, record.LockFile), os.O_RDWR|os.O_CREATE, 0o600))
	defer lock.Close()
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			break
		} else if time.Now().After(end) {
			c.t.Fatalf("lock the container: %v", err)
		}
	}
	null := must(os.OpenFile(os.DevNull, os.O_RDWR, 0))
	defer null.Close()
	files := []*os.File{null, null, os.Stderr, theirs, lock}
	c.proc, err = os.StartProcess(monitorBinary, append(append([]string{monitorBinary}, args...), c.cfg.Dir), &os.ProcAttr{
		Dir: "/", Files: files, Env: append(os.Environ(), "GOMAXPROCS=1"),
		Sys: &syscall.SysProcAttr{Setsid: true, Cloneflags: syscall.CLONE_NEWNS},
	})
	check(c.t, err)
	waited := make(chan struct{})
	c.waited = waited
	proc := c.proc
	go func() { proc.Wait(); close(waited) }()
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

// start starts the container and attaches to it before, on the returned connection.
func (c *container) start(r ctl.Request, files ...*os.File) *ctl.Conn {
	c.t.Helper()
	conn := c.monitor()
	call(c.t, conn, ctl.Request{Op: "attach", Stdin: true, Stdout: true, Stderr: true})
	r.Op = "start"
	if e := call(c.t, conn, r, files...); e.Event != "started" || e.Pid == 0 {
		c.t.Fatalf("start was answered with %+v", e)
	}
	return conn
}

// startDetached starts the container and closes the connection.
func (c *container) startDetached() {
	c.t.Helper()
	conn := c.monitor()
	call(c.t, conn, ctl.Request{Op: "start"})
	conn.Close()
}

// dial connects to the container's socket.
func (c *container) dial() *ctl.Conn {
	c.t.Helper()
	conn, err := ctl.Dial(c.t.Context(), c.cfg.RunDir)
	check(c.t, err)
	c.t.Cleanup(func() { conn.Close() })
	return conn
}

func (c *container) state() *record.State {
	c.t.Helper()
	s, err := record.ReadState(c.cfg.Dir)
	check(c.t, err)
	return s
}

// waitState waits until the container's snapshot is as wanted.
func (c *container) waitState(what string, is func(*record.State) bool) *record.State {
	c.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if s := c.state(); is(s) {
			return s
		}
	}
	c.t.Fatalf("waited for %s in vain; the state is %+v", what, c.state())
	return nil
}

func (c *container) log() string {
	data, err := os.ReadFile(c.cfg.Log.Path)
	check(c.t, err)
	return string(data)
}

func (c *container) waitMonitor() {
	c.t.Helper()
	select {
	case <-c.waited:
	case <-time.After(10 * time.Second):
		c.t.Fatal("the monitor does not end")
	}
}

// call sends a request whose answer is no error.
func call(t testing.TB, conn *ctl.Conn, r ctl.Request, files ...*os.File) *ctl.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, passed, err := conn.Call(ctx, &r, files...)
	if err != nil {
		t.Fatalf("%s: %v", r.Op, err)
	}
	for _, f := range passed {
		f.Close()
	}
	return e
}

// callError sends a request whose answer is an error.
func callError(t testing.TB, conn *ctl.Conn, r ctl.Request, files ...*os.File) *ctl.RequestError {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, _, err := conn.Call(ctx, &r, files...)
	var re *ctl.RequestError
	if !errors.As(err, &re) {
		t.Fatalf("%s was answered with %+v, %v; want an error", r.Op, e, err)
	}
	return re
}

// event waits for the next event on a connection.
func event(t testing.TB, conn *ctl.Conn, want string) *ctl.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	e, _, err := conn.Event(ctx)
	if err != nil || e.Event != want {
		t.Fatalf("event = %+v, %v; want %s", e, err, want)
	}
	return e
}

// output reads streams until exited.
func output(t testing.TB, conn *ctl.Conn) (stdout, stderr string, exited *ctl.Event) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	for {
		p, err := conn.Recv()
		if err != nil {
			t.Fatalf("receive: %v (so far %.200q, %.200q)", err, stdout, stderr)
		}
		switch {
		case p.JSON != nil:
			e, err := ctl.DecodeEvent(p)
			if err != nil || e.Event != "exited" {
				t.Fatalf("got event %s, %v; want exited", p.JSON, err)
			}
			return stdout, stderr, e
		case p.Stream == ctl.Stdout:
			stdout += string(p.Data)
		default:
			stderr += string(p.Data)
		}
	}
}

// until reads stdout until it contains want.
func until(t testing.TB, conn *ctl.Conn, want string) string {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	var got string
	for !strings.Contains(got, want) {
		p, err := conn.Recv()
		if err != nil || p.JSON != nil {
			t.Fatalf("receive: %q, %v while waiting for %q in %q", p.JSON, err, want, got)
		}
		got += string(p.Data)
	}
	return got
}

// eachRuntime runs a test under every runtime.
func eachRuntime(t *testing.T, test func(t *testing.T, runtime string)) {
	for _, runtime := range []string{"crun", "runc"} {
		t.Run(runtime, func(t *testing.T) { test(t, runtime) })
	}
}

func sh(script string) []string { return []string{"sh", "-c", script} }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	check(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// readAll reads a pipe to its end.
func readAll(t testing.TB, r *os.File) string {
	t.Helper()
	r.SetReadDeadline(time.Now().Add(20 * time.Second))
	data, err := io.ReadAll(r)
	check(t, err)
	return string(data)
}
