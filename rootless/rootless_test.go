// SPDX-License-Identifier: Apache-2.0

package rootless

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// helpEnv has this program do what a test wants of a process of its own.
const helpEnv = "BERTH_ROOTLESS_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(helpEnv) != "" {
		if err := help(); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// help enters, and says what it sees there.
func help() error {
	if err := Enter(); err != nil {
		return err
	}
	uids, gids, err := IDMaps()
	if err != nil {
		return err
	}
	userns, err := os.Readlink("/proc/self/ns/user")
	mntns, merr := os.Readlink("/proc/self/ns/mnt")
	if err := errors.Join(err, merr); err != nil {
		return err
	}
	fmt.Printf("entered %v rootless %v single %v first %v\n", Entered(), IsRootless(), SingleID(), FirstUserNS())
	fmt.Printf("uid %d gid %d euid %d inside %d outside %d gids %d\n", UID(), GID(), os.Geteuid(), uids[0].Inside, uids[0].Outside, len(gids))
	warning, again := WarnSingleID(), WarnSingleID()
	fmt.Printf("warned %v twice %v\n", warning != "", warning == again)
	fmt.Printf("args %q runtime %s\n", os.Args[1:], RuntimeDir())
	fmt.Printf("left %v\n", slices.ContainsFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "_BERTH_ENTER") }))
	fmt.Println("ns", userns, mntns)
	if os.Getenv(helpEnv) == "stay" {
		Pin(os.Getpid())
		fmt.Println("pinned")
		_, _ = os.Stdin.Read(make([]byte, 1))
	}
	return nil
}

// user is an ordinary user without subordinate IDs, if root runs the tests, and else the one who runs them.
type user struct {
	id      int
	dir     string // XDG_RUNTIME_DIR
	program string // this one, where the user may execute it
}

func newUser(t *testing.T) *user {
	t.Helper()
	// t.TempDir is below directories that others may not enter.
	dir, err := os.MkdirTemp("", "berth-rootless")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	u := &user{id: os.Getuid(), dir: filepath.Join(dir, "run"), program: filepath.Join(dir, "program")}
	self, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = errors.Join(os.Chmod(dir, 0o755), os.WriteFile(u.program, self, 0o755), os.Mkdir(u.dir, 0o700))
	}
	if err == nil && u.id == 0 {
		u.id = 54321
		err = os.Chown(u.dir, u.id, u.id)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func (u *user) command(help string, args ...string) *exec.Cmd {
	cmd := exec.Command(u.program, args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), helpEnv+"="+help, "XDG_RUNTIME_DIR="+u.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(u.id), Gid: uint32(u.id)}
	}
	return cmd
}

func TestEnter(t *testing.T) {
	u := newUser(t)
	out, err := u.command("enter", "an argument", "--another").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	single := os.Getuid() == 0
	for _, want := range []string{
		fmt.Sprintf("entered true rootless true single %v first false\n", single),
		fmt.Sprintf("uid %d gid ", u.id), " euid 0 inside 0 outside " + strconv.Itoa(u.id) + " ",
		fmt.Sprintf("warned %v twice true\n", single),
		`args ["an argument" "--another"] runtime ` + u.dir + "/berth\n",
		"left false\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// A user whom only the C library's name services know is asked for with getent, which has them.
func TestEnterAsUnknownUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the user who runs the tests is in /etc/passwd")
	}
	u := newUser(t)
	getent := filepath.Join(filepath.Dir(u.program), "getent")
	if err := os.WriteFile(getent, []byte("#!/bin/sh\necho \"$@\" >\"$XDG_RUNTIME_DIR/asked\"\necho ghost:x:54321:54321::/:/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := u.command("enter")
	cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(getent)+":"+os.Getenv("PATH"))
	if out, err := cmd.Output(); err != nil || !strings.Contains(string(out), "entered true") {
		t.Errorf("%v: %s", err, out)
	}
	if asked, err := os.ReadFile(filepath.Join(u.dir, "asked")); err != nil || string(asked) != "passwd 54321\n" {
		t.Errorf("getent was asked for %q, %v", asked, err)
	}
}

// A user's processes share one user namespace while one of them lives, and each has a mount namespace of its own.
func TestEnterAfterAnother(t *testing.T) {
	u := newUser(t)
	first := u.command("stay")
	stdin, err := first.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := first.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	for buf := make([]byte, 4096); !strings.Contains(said.String(), "pinned"); {
		n, err := stdout.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
	}
	pinned, err := os.ReadFile(filepath.Join(u.dir, "berth", "userns"))
	if pid, _, _ := strings.Cut(string(pinned), " "); err != nil || pid != strconv.Itoa(first.Process.Pid) {
		t.Errorf("pinned: %q, %v; want %d", pinned, err, first.Process.Pid)
	}

	out, err := u.command("enter").Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mine, others := strings.Fields(line(said.String(), "ns ")), strings.Fields(line(string(out), "ns "))
	if len(mine) != 3 || len(others) != 3 || mine[1] != others[1] || mine[2] == others[2] {
		t.Errorf("namespaces %q, then %q", mine, others)
	}
	_ = stdin.Close()
	if err := first.Wait(); err != nil {
		t.Error(err)
	}
}

func line(text, prefix string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, prefix) {
			return l
		}
	}
	return ""
}

// Root stays where it is.
func TestEnterAsRoot(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), helpEnv+"=enter")
	if os.Getuid() != 0 {
		exe, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd = exec.Command("unshare", "--map-root-user", "--", exe)
		cmd.Env = append(os.Environ(), helpEnv+"=enter")
	}
	out, err := cmd.Output()
	if err != nil || !strings.HasPrefix(string(out), "entered false rootless false single false ") || !strings.Contains(string(out), "runtime /run/berth\n") {
		t.Errorf("%v: %s", err, out)
	}
}

// as sets the environment that a process in the namespace of a user has.
func as(t *testing.T, uid, gid, xdg string) {
	t.Setenv(envConfigured, "done")
	t.Setenv(envUID, uid)
	t.Setenv(envGID, gid)
	t.Setenv("XDG_RUNTIME_DIR", xdg)
}

func TestInside(t *testing.T) {
	as(t, "4321", "8765", "/run/x")
	if !Entered() || !IsRootless() || UID() != 4321 || GID() != 8765 || RuntimeDir() != "/run/x/berth" {
		t.Errorf("entered %v, rootless %v, %d:%d, %s", Entered(), IsRootless(), UID(), GID(), RuntimeDir())
	}
	for _, none := range []string{"", "relative"} {
		as(t, "4321", "8765", none)
		if dir := RuntimeDir(); dir != "/tmp/berth-run-4321" && dir != "/run/user/4321/berth" {
			t.Errorf("XDG_RUNTIME_DIR=%q: %s", none, dir)
		}
	}
}

// Only a process that has entered believes what the environment says of the user.
func TestOutside(t *testing.T) {
	as(t, "4321", "8765", "")
	t.Setenv(envConfigured, "")
	if Entered() || UID() == 4321 || GID() == 8765 {
		t.Errorf("entered %v, %d:%d", Entered(), UID(), GID())
	}
}

func TestMustEnterIsTheProgramsToSay(t *testing.T) {
	for _, args := range [][]string{nil, {"berth"}, {"berth", "run", "busybox"}} {
		if MustEnter(args) {
			t.Errorf("%q enters, in a program that has no command lines", args)
		}
	}
}

func TestPin(t *testing.T) {
	dir := t.TempDir()
	as(t, "4321", "8765", dir)
	path := filepath.Join(dir, "berth", "userns")
	Pin(7) // nothing to change
	if _, err := os.Stat(path); err == nil {
		t.Error("it was made")
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	other := exec.Command("sleep", "100")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	alive := strconv.Itoa(other.Process.Pid)
	for was, want := range map[string]string{
		strconv.Itoa(os.Getpid()) + " rest\n":      "7 rest\n",
		strconv.Itoa(gone.Process.Pid) + " rest\n": "7 rest\n",
		alive + " rest\n":                          alive + " rest\n",
		"no number rest\n":                         "no number rest\n",
		"12":                                       "12",
		"":                                         "",
	} {
		if err := os.WriteFile(path, []byte(was), 0o600); err != nil {
			t.Fatal(err)
		}
		Pin(7)
		if is, err := os.ReadFile(path); err != nil || string(is) != want {
			t.Errorf("%q became %q, %v; want %q", was, is, err, want)
		}
	}
}

func TestReadMap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "map")
	for text, want := range map[string][]IDMap{
		"":                                   nil,
		"         0          0 4294967295\n": {{0, 0, 4294967295}},
		"0 1000 1\n1 100000 65536\n":         {{0, 1000, 1}, {1, 100000, 65536}},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readMap(path); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0 1000\n", "a b c\n", "0 0 4294967296\n", "-1 0 1\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := readMap(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	if uids, gids, err := IDMaps(); err != nil || len(uids) == 0 || len(gids) == 0 {
		t.Errorf("%v, %v, %v", uids, gids, err)
	}
}

func TestEnvironments(t *testing.T) {
	t.Setenv("KEPT", "yes")
	for name, c := range map[string]struct {
		env        []string
		want, none []string
	}{
		"EnterEnv":         {EnterEnv(7, false), []string{"KEPT=yes", "_BERTH_ENTER_PID=7"}, []string{"_BERTH_ENTER_PARENT=1", "_BERTH_ENTER=1"}},
		"EnterEnv, nested": {EnterEnv(7, true), []string{"KEPT=yes", "_BERTH_ENTER_PID=7", "_BERTH_ENTER_PARENT=1"}, []string{"_BERTH_ENTER=1"}},
		"NewMountsEnv":     {NewMountsEnv(), []string{"KEPT=yes", "_BERTH_ENTER=1"}, []string{"_BERTH_ENTER_PID=7"}},
	} {
		for _, w := range c.want {
			if !slices.Contains(c.env, w) {
				t.Errorf("%s has no %s", name, w)
			}
		}
		for _, w := range c.none {
			if slices.Contains(c.env, w) {
				t.Errorf("%s has %s", name, w)
			}
		}
	}
}
