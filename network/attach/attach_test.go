// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/thread"
)

const insideEnv = "BERTH_ATTACH_INSIDE"

// inside runs the calling test again in user, mount and network namespaces of its own; true means that this is that run.
func inside(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=100s")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   unix.SIGKILL,
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("in namespaces: %v\n%s", err, out)
	}
	return false
}

// newNamespace makes a network namespace, mounted on a file.
func newNamespace(t *testing.T) Namespace {
	t.Helper()
	path := filepath.Join(t.TempDir(), "netns")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := thread.Own(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeNamespace(path) })
	return Namespace{Path: path}
}

func removeNamespace(path string) {
	_ = unix.Unmount(path, unix.MNT_DETACH)
	_ = os.Remove(path)
}

func newRunner(t *testing.T) *Runner {
	dir := t.TempDir()
	return &Runner{Socket: filepath.Join(dir, "sock"), PidFile: filepath.Join(dir, "pid"), Env: os.Environ()}
}

// pasta and slirp are helpers as package network plans them.
func pasta(path string) *Helper {
	return &Helper{Path: path, Daemonizes: true, Args: []string{"--config-net", "-a", "10.0.2.100", "-n", "24", "-g", "10.0.2.2",
		"--ns-ifname", "eth0", "-t", "none", "-u", "none", "-T", "none", "-U", "none", "--quiet", "--netns", "{netns}"}}
}

func slirp(path string) *Helper {
	return &Helper{Path: path, Args: []string{"--configure", "--ready-fd={ready}", "--exit-fd={exit}", "--netns-type=path", "{netns}", "eth0"}}
}

func awaitEnd(t *testing.T, e *Endpoint) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); e.Alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("helper %d is left", e.Pid())
		}
	}
}

// Whatever wraps a helper, the namespace has its address when Attach returns, the endpoint is the process that serves it, and
// both ways of ending it work.
func TestAttachThroughWrappers(t *testing.T) {
	if !inside(t) {
		return
	}
	if out, err := exec.Command("sh", "-c", "ip link add v0 type veth peer name v1 && ip addr add 192.0.2.1/24 dev v0 && "+
		"ip link set v0 up && ip link set v1 up && ip route add default via 192.0.2.2").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out) // pasta of 2023 needs an interface
	}
	for name, text := range map[string]string{
		"becomes it":                        `exec "$REAL" "$@"`,
		"waits for it":                      `"$REAL" "$@"; exit $?`,
		"leaves it in the background":       `"$REAL" "$@" & exit 0`,
		"keeps its output":                  `exec "$REAL" "$@" >/dev/null`,
		"waits, and keeps its output":       `"$REAL" "$@" >/dev/null 2>&1; exit $?`,
		"background, and keeps its output":  `"$REAL" "$@" >/dev/null 2>&1 & exit 0`,
		"starts it later":                   `(sleep 0.3; exec "$REAL" "$@") >/dev/null 2>&1 & exit 0`,
		"becomes itself again":              `[ -n "$AGAIN" ] || AGAIN=1 exec "$0" "$@"; "$REAL" "$@" & exit 0`,
		"becomes another with other words":  `exec sh -c 'exec "$REAL" "$@"' "$0" "$@"`,
		"in a session of its own":           `setsid "$REAL" "$@" >/dev/null 2>&1 & exit 0`,
		"says more than fits into a pipe":   `i=0; while [ $i -lt 2000 ]; do echo "a word that a wrapper has to say, number $i"; i=$((i+1)); done; exec "$REAL" "$@"`,
		"says more than fits, to the error": `i=0; while [ $i -lt 2000 ]; do echo "a word that a wrapper has to say, number $i" >&2; i=$((i+1)); done; exec "$REAL" "$@"`,
	} {
		for program, helper := range map[string]func(string) *Helper{"pasta": pasta, "slirp4netns": slirp} {
			realPath, err := exec.LookPath(program)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("REAL", realPath)
			ns := newNamespace(t)
			e, err := newRunner(t).Attach(Attachment{Network: program, Helper: helper(script(t, program, text+"\n"))}, ns)
			if err != nil {
				t.Errorf("%s, wrapper that %s: %v", program, name, err)
				continue
			}
			exe, _ := os.Readlink("/proc/" + strconv.Itoa(e.Pid()) + "/exe")
			if !hasAddress(ns.Path) || !e.Alive() || !strings.HasPrefix(filepath.Base(exe), program[:3]) {
				t.Errorf("%s, wrapper that %s: process %d is %s", program, name, e.Pid(), exe)
			}
			if found := Find(ns.Path, e.Pid()); found == nil || !found.Alive() {
				t.Errorf("%s, wrapper that %s: not found by its process", program, name)
			}
			e.Detach()
			awaitEnd(t, e)
		}
	}
}

// A helper that cannot be signalled, as under AppArmor, ends with its namespace's file.
func TestDetachThroughTheNamespace(t *testing.T) {
	if !inside(t) {
		return
	}
	ns := newNamespace(t)
	deaf := script(t, "deaf", `trap "" TERM; echo $$; while [ -e "$1" ]; do sleep 0.05; done`+"\n")
	e, err := newRunner(t).Attach(Attachment{Network: "deaf", Helper: &Helper{Path: deaf, Args: []string{"{netns}"}, Daemonizes: true}}, ns)
	if err != nil {
		t.Fatal(err)
	}
	e.Detach()
	time.Sleep(100 * time.Millisecond)
	if !e.Alive() {
		t.Error("it takes signals: this tests nothing")
	}
	removeNamespace(ns.Path)
	awaitEnd(t, e)
}

// What a helper says last is in the error, wherever it says it, and nothing of it is left.
func TestLastWords(t *testing.T) {
	for name, c := range map[string]struct {
		text   string
		daemon bool
		want   string
	}{
		"to its error":              {`echo "no tun here" >&2; exit 3`, true, "helper: exited with 3: no tun here"},
		"to its output":             {`echo "no tun here"; exit 3`, true, "helper: exited with 3: no tun here"},
		"to both":                   {`echo starting; echo "no tun here" >&2; exit 3`, true, "helper: exited with 3: no tun here"},
		"nothing":                   {`exit 3`, true, "helper: exited with 3: it said nothing"},
		"killed":                    {`echo "out of memory" >&2; kill -9 $$`, true, "helper: exited with 137: out of memory"},
		"in the background":         {`(echo "no tun here" >&2; exit 3) & exit 0`, true, "helper: left no process: no tun here"},
		"in the background, late":   {`(sleep 0.3; echo "no tun here" >&2; exit 3) >/dev/null & exit 0`, true, "helper: left no process: no tun here"},
		"through the syslog":        {`echo "no tun here" >&2; echo "Failed to send 40 bytes to syslog" >&2; exit 3`, true, "helper: exited with 3: no tun here"},
		"through the syslog alone":  {`echo "Failed to send 40 bytes to syslog" >&2; exit 3`, true, "helper: exited with 3: it said nothing"},
		"no daemon":                 {`echo "no route"; exit 4`, false, "helper: exited with 4: no route"},
		"no daemon, not ready":      {`exec 3>&-; echo "no route" >&2; sleep 0.2; exit 4`, false, "helper: exited with 4: no route"},
		"no daemon, in background":  {`(echo "no route" >&2) 3>&- & exit 0`, false, "helper: left no process: no route"},
		"more than a message takes": {`i=0; while [ $i -lt 999 ]; do echo "word $i" >&2; i=$((i+1)); done; echo last >&2; exit 3`, true, "word 998; last"},
	} {
		ns := Namespace{Path: filepath.Join(t.TempDir(), "netns")}
		h := &Helper{Path: script(t, "helper", c.text+"\n"), Args: []string{"{netns}"}, Daemonizes: c.daemon}
		e, err := newRunner(t).Attach(Attachment{Network: "test", Helper: h}, ns)
		if e != nil || err == nil || !strings.HasSuffix(err.Error(), c.want) || len(err.Error()) > 800 {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
		if pid := findHelper(ns.Path); pid != 0 {
			t.Errorf("%s: process %d is left", name, pid)
		}
	}
}

func TestAttachOfAnotherKind(t *testing.T) {
	if e, err := newRunner(t).Attach(Attachment{Network: "web"}, Namespace{}); e != nil || err == nil || !strings.Contains(err.Error(), `network "web"`) {
		t.Errorf("got %v, %v", e, err)
	}
}

// A process that has the recorded number and serves something else is not the helper, and is left alone.
func TestFindOfAStranger(t *testing.T) {
	cmd := exec.Command("sleep", "100")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	if e := Find("/no/such/namespace", cmd.Process.Pid); e != nil {
		t.Errorf("found %d", e.Pid())
	}
	e := &Endpoint{helper: running{pid: cmd.Process.Pid, start: 1}}
	e.Detach()
	time.Sleep(20 * time.Millisecond)
	if !see(cmd.Process.Pid).alive() {
		t.Error("a process with the same number was ended")
	}
	var none *Endpoint
	none.Detach()
	if none.Alive() {
		t.Error("none is alive")
	}
}
