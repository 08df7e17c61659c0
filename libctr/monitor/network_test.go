// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network/attach"
)

// newNet gives the container a network namespace that the monitor makes, with a helper.
func newNet(h *attach.Helper) func(*container) {
	return func(c *container) {
		c.cfg.Network = record.Network{Mode: "private", NetNS: "new", Attachments: attachments(h)}
		ns := c.linux()["namespaces"].([]map[string]string)
		c.linux()["namespaces"] = append(ns, map[string]string{"type": "network", "path": filepath.Join(c.cfg.RunDir, record.NetNSFile)})
	}
}

func attachments(h *attach.Helper) []attach.Attachment {
	if h == nil {
		return nil
	}
	return []attach.Attachment{{Network: "test", Helper: h}}
}

// helperPid is 0 where there is none.
func helperPid(c *container) int {
	if pids := c.state().NetHelpers; len(pids) > 0 {
		return pids[0]
	}
	return 0
}

func pasta(t *testing.T, args ...string) *attach.Helper {
	path := must(exec.LookPath("pasta"))
	all := append([]string{"--config-net", "--runas", "0", "-a", "10.0.2.100", "-n", "24", "-g", "10.0.2.2", "--ns-ifname", "eth0"}, args...)
	return &attach.Helper{Path: path, Daemonizes: true, Args: append(all, "-T", "none", "-U", "none", "--quiet", "--netns", "{netns}")}
}

func slirp(t *testing.T) *attach.Helper {
	return &attach.Helper{
		Path: must(exec.LookPath("slirp4netns")),
		Args: []string{"--configure", "--api-socket={apisock}", "--ready-fd={ready}", "--netns-type=path", "{netns}", "eth0"},
	}
}

func freePort(t *testing.T) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestOwnNetworkNamespace(t *testing.T) {
	eachRuntime(t, func(t *testing.T, runtime string) {
		c := newContainer(t, runtime, sh("ip -o addr; readlink /proc/self/ns/net"), newNet(nil))
		out, _, _ := output(t, c.start(ctl.Request{}))
		host := must(os.Readlink("/proc/self/ns/net"))
		if !strings.Contains(out, "127.0.0.1/8") || strings.Contains(out, "eth0") || strings.Contains(out, host) {
			t.Errorf("got %q, want lo with its address only, and not the namespace %s", out, host)
		}
		c.waitMonitor()
	})
}

func TestNetworkHelper(t *testing.T) {
	for name, helper := range map[string]func(*testing.T) *attach.Helper{
		"pasta":       func(t *testing.T) *attach.Helper { return pasta(t) },
		"slirp4netns": slirp,
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, "crun", sh("ip -o addr; echo ready; sleep 100"), newNet(helper(t)))
			conn := c.start(ctl.Request{})
			if out := until(t, conn, "ready\n"); !strings.Contains(out, "eth0") || !strings.Contains(out, "10.0.2.100/24") {
				t.Errorf("the container has %q", out)
			}
			pid := helperPid(c)
			if !alive(pid) {
				t.Fatalf("network helper %d does not run", pid)
			}
			call(t, c.dial(), ctl.Request{Op: "restart"})
			if out := until(t, conn, "ready\n"); !strings.Contains(out, "10.0.2.100/24") || helperPid(c) != pid {
				t.Errorf("after a restart the container has %q and helper %d", out, helperPid(c))
			}
			call(t, c.dial(), ctl.Request{Op: "stop"})
			c.waitMonitor()
			for end := time.Now().Add(3 * time.Second); alive(pid); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(end) {
					t.Fatalf("network helper %d is left", pid)
				}
			}
		})
	}
}

func TestNetworkNamespaceElsewhere(t *testing.T) {
	subreap(t)
	file := filepath.Join(t.TempDir(), "netns", "berth-x") // neither is there
	c := newContainer(t, "crun", sh("ip -o addr; echo ready; sleep 100"), newNet(pasta(t)), func(c *container) {
		c.cfg.Network.Path = file
		ns := c.linux()["namespaces"].([]map[string]string)
		ns[len(ns)-1]["path"] = file
	})
	conn := ready(t, c)
	if data := must(os.ReadFile(file)); string(data) != c.cfg.RunDir {
		t.Errorf("the file holds %q, want %q", data, c.cfg.RunDir)
	}
	helper := helperPid(c)
	if argv := must(os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", helper))); !strings.Contains(string(argv), file) {
		t.Errorf("helper %d is %q", helper, argv)
	}
	c.kill9()
	conn.Close()
	next := c.monitor("--adopt")
	call(t, next, ctl.Request{Op: "attach", Stdout: true})
	call(t, c.dial(), ctl.Request{Op: "restart"})
	if out := until(t, next, "ready\n"); !strings.Contains(out, "10.0.2.100/24") {
		t.Errorf("adopted and restarted, the container has %q", out)
	}
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
	if _, err := os.Lstat(file); err == nil {
		t.Errorf("%s is left", file)
	}
}

func TestPublishedPortAndAdoption(t *testing.T) {
	subreap(t)
	port := fmt.Sprint(freePort(t))
	c := newContainer(t, "crun", sh("echo ready; while :; do echo hello | nc -l -p 8080; done"), newNet(pasta(t, "-t", port+":8080")))
	ready(t, c).Close()
	fetch := func() string {
		for range 50 {
			conn, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
			if err == nil {
				conn.SetDeadline(time.Now().Add(2 * time.Second))
				conn.Write([]byte("hi\n")) // pasta of 2023 waits for the client to speak first
				buf := make([]byte, 100)
				n, _ := conn.Read(buf)
				conn.Close()
				if n > 0 {
					return string(buf[:n])
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		return ""
	}
	if got := fetch(); got != "hello\n" {
		t.Errorf("fetched %q", got)
	}
	helper := helperPid(c)
	c.kill9()
	if got := fetch(); got != "hello\n" {
		t.Errorf("without a monitor: fetched %q", got)
	}
	call(t, c.monitor("--adopt"), ctl.Request{Op: "restart"})
	if got := fetch(); got != "hello\n" || helperPid(c) != helper {
		t.Errorf("after adoption and restart: fetched %q, helper %d then %d", got, helper, helperPid(c))
	}
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
	time.Sleep(100 * time.Millisecond)
	if alive(helper) {
		t.Errorf("network helper %d is left", helper)
		syscall.Kill(helper, syscall.SIGKILL)
	}
}

func TestNetworkOfTheRuntimesMaking(t *testing.T) {
	c := newContainer(t, "crun", sh("ip -o addr; echo ready; sleep 100"), func(c *container) {
		c.cfg.Network = record.Network{Mode: "pasta", NetNS: "runtime", Attachments: attachments(pasta(t))}
		ns := c.linux()["namespaces"].([]map[string]string)
		c.linux()["namespaces"] = append(ns, map[string]string{"type": "network"})
	})
	conn := c.start(ctl.Request{})
	if out := until(t, conn, "ready\n"); !strings.Contains(out, "10.0.2.100/24") {
		t.Errorf("the container has %q", out)
	}
	call(t, c.dial(), ctl.Request{Op: "restart"})
	if out := until(t, conn, "ready\n"); !strings.Contains(out, "10.0.2.100/24") {
		t.Errorf("after a restart the container has %q", out)
	}
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
}

func TestUDPRelayEndsWithItsContainer(t *testing.T) {
	h := pasta(t)
	h.UDPRelay = []string{fmt.Sprintf("127.0.0.1:%d=53", freePort(t))}
	c := newContainer(t, "crun", sh("echo ready; sleep 100"), newNet(h))
	ready(t, c)
	mark := "--udp-relay " + c.cfg.RunDir
	if exec.Command("pgrep", "-f", "--", mark).Run() != nil {
		t.Errorf("no relay runs")
	}
	call(t, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
	time.Sleep(100 * time.Millisecond)
	if exec.Command("pgrep", "-f", "--", mark).Run() == nil {
		t.Errorf("the relay is left")
	}
}

func TestNetworkHelperThatFails(t *testing.T) {
	for name, tc := range map[string]struct {
		helper attach.Helper
		want   string
	}{
		"it says why":          {attach.Helper{Path: "/bin/sh", Args: []string{"-c", "echo no tun here >&2; exit 3"}, Daemonizes: true}, "exited with 3: no tun here"},
		"before it is ready":   {attach.Helper{Path: "/bin/sh", Args: []string{"-c", "echo no route; exit 4"}}, "exited with 4: no route"},
		"it is not there":      {attach.Helper{Path: "/nowhere/pasta"}, "/nowhere/pasta"},
		"it leaves no process": {attach.Helper{Path: "/bin/true", Daemonizes: true}, "left no process"},
		"it has no syslog": {attach.Helper{Path: "/bin/sh", Daemonizes: true, Args: []string{"-c",
			"echo Failed to send 9 bytes to syslog >&2; echo no tun here >&2; echo Failed to send 40 bytes to syslog >&2; exit 3"}}, "exited with 3: no tun here"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, "crun", []string{"true"}, newNet(&tc.helper))
			re := callError(t, c.monitor(), ctl.Request{Op: "start"})
			if re.Code != 125 || !strings.Contains(re.Text, tc.want) || strings.Contains(re.Text, "syslog") {
				t.Errorf("start = %+v, want %q", re, tc.want)
			}
			c.waitMonitor()
			if left, _ := filepath.Glob(filepath.Join(c.cfg.RunDir, "*")); len(left) != 1 {
				t.Errorf("left: %q, want the lock only", left)
			}
		})
	}
}
