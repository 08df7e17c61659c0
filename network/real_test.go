// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/udprelay"
)

// The tests in this file run the helpers for real, between three network namespaces that they
// make: the "host", a client's, joined to the host by a veth pair, and the
// container's. No packet leaves them.
const (
	hostAddr4, clientAddr4 = "10.89.77.1", "10.89.77.2"
	hostAddr6, clientAddr6 = "fd89:77::1", "fd89:77::2"
)

const rigEnv = "BERTH_NETWORK_RIG"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "--udp-relay" {
		os.Exit(udprelay.Main(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// inRig runs the calling test again in namespaces of its own; true means that this is that run. With
// rootless set it has no privilege outside them, whoever runs the test.
func inRig(t *testing.T, rootless bool) bool {
	t.Helper()
	if os.Getenv(rigEnv) != "" {
		return true
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v", "-test.timeout=100s")
	cmd.Env = append(os.Environ(), rigEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if rootless {
		cmd.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("in namespaces: %v\n%s", err, out)
	}
	return false
}

func run(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(argv, " "), err, out)
	}
}

// rig is the three namespaces.
type rig struct {
	dir      string
	rootless bool
	client   string // path of the client's namespace
	netns    string // mount point of the container's
	endpoint *attach.Endpoint
}

func newRig(t *testing.T, rootless bool) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "berth-network")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, ns := range []string{"client", "netns"} {
			unix.Unmount(filepath.Join(dir, ns), unix.MNT_DETACH)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	r := &rig{dir: dir, rootless: rootless, netns: filepath.Join(dir, "netns")}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	run(t, "ip", "link", "set", "lo", "up")
	r.client = r.newNS(t, "client")
	r.newNS(t, "netns")
	return r
}

// addLink joins the client to the host, whose default route it becomes.
func (r *rig) addLink(t *testing.T) {
	t.Helper()
	run(t, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	run(t, "ip", "link", "set", "v1", "netns", r.client)
	in := []string{"nsenter", "--net=" + r.client, "ip"}
	for _, c := range []string{"addr add " + hostAddr4 + "/24 dev v0", "addr add " + hostAddr6 + "/64 dev v0 nodad", "link set v0 up", "route add default via " + clientAddr4} {
		run(t, append([]string{"ip"}, strings.Fields(c)...)...)
	}
	for _, c := range []string{"link set lo up", "addr add " + clientAddr4 + "/24 dev v1", "addr add " + clientAddr6 + "/64 dev v1 nodad", "link set v1 up"} {
		run(t, append(in, strings.Fields(c)...)...)
	}
}

// newNS makes a network namespace with lo up, mounted on a file in the rig's directory.
func (r *rig) newNS(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, "nsenter", "--net="+path, "ip", "link", "set", "lo", "up")
	return path
}

func onThread(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and not unlocked: the thread ends with the goroutine
		done <- do()
	}()
	return <-done
}

// inNS runs do in a network namespace; sockets made there stay in it.
func inNS(path string, do func() error) error {
	if path == "" {
		return do()
	}
	return onThread(func() error {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
			return err
		}
		return do()
	})
}

// start does what the monitor does with a plan.
func (r *rig) start(t *testing.T, n attach.Network) {
	t.Helper()
	if len(n.Attachments) != 1 {
		t.Fatalf("the plan has %d attachments", len(n.Attachments))
	}
	runner := attach.Runner{Socket: filepath.Join(r.dir, "api"), Env: os.Environ(), Relay: "/proc/self/exe"}
	e, err := runner.Attach(n.Attachments[0], attach.Namespace{Path: r.netns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Detach)
	r.endpoint = e
}

func (r *rig) relay(t *testing.T, ports []string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", append([]string{"--udp-relay", r.netns}, ports...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	buf := make([]byte, 4096)
	if n, _ := out.Read(buf); n > 0 {
		t.Fatalf("udp relay: %s", buf[:n])
	}
	return cmd
}

// serve runs servers in the container that answer with the client's address, on ports 80/tcp and 53/udp when
// the client has spoken, on 22/tcp before that.
func (r *rig) serve(t *testing.T) {
	t.Helper()
	var l, ssh net.Listener
	var p net.PacketConn
	err := inNS(r.netns, func() (err error) {
		if l, err = net.Listen("tcp", ":80"); err == nil {
			ssh, err = net.Listen("tcp", ":22")
		}
		if err == nil {
			p, err = net.ListenPacket("udp", ":53")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); ssh.Close(); p.Close() })
	accept := func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, port, _ := net.SplitHostPort(c.LocalAddr().String()); port != "22" {
					c.Read(make([]byte, 1))
				}
				fmt.Fprint(c, host(c.RemoteAddr()))
			}()
		}
	}
	go accept(l)
	go accept(ssh)
	go func() {
		buf := make([]byte, 1500)
		for {
			_, from, err := p.ReadFrom(buf)
			if err != nil {
				return
			}
			p.WriteTo([]byte(host(from)), from)
		}
	}()
}

func host(a net.Addr) string {
	h, _, _ := net.SplitHostPort(a.String())
	return h
}

// fetch asks a server from a namespace, "" being the host's, and gives its answer, or the error's text.
func fetch(ns, network, addr string) string {
	var answer string
	err := inNS(ns, func() error {
		c, err := net.DialTimeout(network, addr, 2*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(2 * time.Second))
		if ns != "" || !strings.HasSuffix(addr, ":18022") {
			c.Write([]byte("x"))
		}
		buf := make([]byte, 100)
		n, err := c.Read(buf)
		answer = string(buf[:n])
		return err
	})
	if err != nil {
		return "error: " + err.Error()
	}
	return answer
}

// check fetches until the answer is the wanted one, for some seconds: interfaces need time to come up.
func check(t *testing.T, ns, network, addr, want string) {
	t.Helper()
	from := map[bool]string{true: "the host", false: "the client"}[ns == ""]
	var got string
	for range 5 {
		if got = fetch(ns, network, addr); got == want {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("%s asked %s %s: the server saw %q, want %q", from, network, addr, got, want)
}

func plan(t *testing.T, o Options) Result {
	t.Helper()
	r, err := Plan(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPastaRootless(t *testing.T) {
	if inRig(t, true) {
		testPasta(t, true)
	}
}

func TestPastaRoot(t *testing.T) {
	if os.Getenv(rigEnv) == "" && os.Getuid() != 0 {
		t.Skip("only root can run this: an ordinary user has TestPastaRootless")
	}
	if inRig(t, false) {
		testPasta(t, false)
	}
}

func testPasta(t *testing.T, rootless bool) {
	r := newRig(t, rootless)
	r.addLink(t)
	ports := mappings(t, "18080:80", "18053:53/udp", "127.0.0.1:18081:80", "[::1]:18082:80", hostAddr4+":18083:80", "127.0.0.1:18054:53/udp", "[::1]:18055:53/udp")
	p := plan(t, Options{Mode: Mode{Kind: Pasta}, Rootless: rootless, Ports: ports})
	r.serve(t)
	r.start(t, p.Network)

	// Clients on other machines keep their address.
	check(t, r.client, "tcp", hostAddr4+":18080", clientAddr4)
	check(t, r.client, "udp", hostAddr4+":18053", clientAddr4)
	check(t, r.client, "tcp", "["+hostAddr6+"]:18080", clientAddr6)
	check(t, r.client, "udp", "["+hostAddr6+"]:18053", clientAddr6)
	// So do clients on this one.
	check(t, "", "tcp", hostAddr4+":18080", hostAddr4)
	check(t, "", "udp", hostAddr4+":18053", hostAddr4)
	check(t, "", "tcp", "["+hostAddr6+"]:18080", hostAddr6)
	check(t, "", "udp", "["+hostAddr6+"]:18053", hostAddr6)
	loopback(t, r, p)

	// Addresses of the host that were named are the only ones.
	check(t, "", "tcp", hostAddr4+":18083", hostAddr4)
	for _, addr := range []string{hostAddr4 + ":18081", hostAddr4 + ":18082", "[::1]:18081", "127.0.0.1:18083"} {
		if got := fetch("", "tcp", addr); !strings.HasPrefix(got, "error: ") {
			t.Errorf("%s is published, although its mapping names another address", addr)
		}
	}
	hostFromContainer(t, r, p)
	nothingElse(t, r)
	endsWithNamespace(t, r)
}

// loopback checks clients on the host's loopback.
func loopback(t *testing.T, r *rig, p Result) {
	t.Helper()
	prog, err := findProgram(context.Background(), "pasta", nil, "")
	if err != nil {
		t.Fatal(err)
	}
	want4, want6 := "127.0.0.1", "::1"
	if prog.released() > 20241000 { // since then pasta does not take a short cut through the container's loopback
		want4, want6 = pastaGateway4, ""
	}
	check(t, "", "tcp", "127.0.0.1:18080", want4)
	check(t, "", "tcp", "127.0.0.1:18081", want4)
	check(t, "", "udp", "127.0.0.1:18053", want4)
	check(t, "", "udp", "127.0.0.1:18054", want4)
	if want6 != "" {
		check(t, "", "tcp", "[::1]:18080", want6)
		check(t, "", "tcp", "[::1]:18082", want6)
		check(t, "", "udp", "[::1]:18053", want6)
		check(t, "", "udp", "[::1]:18055", want6)
	}
}

// hostFromContainer checks that host.containers.internal is the host, and its loopback is not.
func hostFromContainer(t *testing.T, r *rig, p Result) {
	t.Helper()
	if !strings.Contains(string(p.Hosts), hostAddr4+"\thost.containers.internal") {
		t.Errorf("hosts: %q, want host.containers.internal at %s", p.Hosts, hostAddr4)
	}
	for _, addr := range []string{hostAddr4 + ":7070", "127.0.0.1:7071"} {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				c.Read(make([]byte, 1))
				fmt.Fprint(c, "host")
				c.Close()
			}
		}()
	}
	check(t, r.netns, "tcp", hostAddr4+":7070", "host")
	for _, addr := range []string{"10.0.2.2:7071", "127.0.0.1:7071", "127.0.0.1:7070"} {
		if got := fetch(r.netns, "tcp", addr); got == "host" {
			t.Errorf("the container reached the host's loopback through %s", addr)
		}
	}
}

// nothingElse checks that a port the container listens on is not forwarded unless published.
func nothingElse(t *testing.T, r *rig) {
	t.Helper()
	var l net.Listener
	err := inNS(r.netns, func() (err error) { l, err = net.Listen("tcp", ":18099"); return err })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	time.Sleep(1500 * time.Millisecond) // pasta looks for new listeners each second, if it does
	if c, err := net.DialTimeout("tcp", "127.0.0.1:18099", time.Second); err == nil {
		c.Close()
		t.Error("a port that was not published is reachable")
	}
}

// endsWithNamespace checks that removing the namespace's file ends pasta, also for a
// monitor that was killed.
func endsWithNamespace(t *testing.T, r *rig) {
	t.Helper()
	unix.Unmount(r.netns, unix.MNT_DETACH)
	if err := os.Remove(r.netns); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		if !r.endpoint.Alive() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("pasta, process %d, did not end with its namespace", r.endpoint.Pid())
}

// TestPastaWithoutRoute is a host with an interface, but no address on it and no route.
func TestPastaWithoutRoute(t *testing.T) {
	if !inRig(t, true) {
		return
	}
	r := newRig(t, true)
	run(t, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
	run(t, "ip", "link", "set", "v1", "up")
	run(t, "ip", "link", "set", "v0", "up")
	p := plan(t, Options{Rootless: true, Ports: mappings(t, "18080:80")})
	if p.Network.Mode != "pasta" {
		t.Errorf("mode %s, want pasta", p.Network.Mode)
	}
	r.serve(t)
	r.start(t, p.Network)
	check(t, "", "tcp", "127.0.0.1:18080", "127.0.0.1")
	check(t, "", "tcp", "[::1]:18080", "::1")
}

// TestNoInterface is a host with nothing but lo, for which Debian 12's pasta is not made.
func TestNoInterface(t *testing.T) {
	if !inRig(t, true) {
		return
	}
	r := newRig(t, true)
	p := plan(t, Options{Rootless: true, Ports: mappings(t, "18080:80")})
	r.serve(t)
	r.start(t, p.Network)
	for range 5 {
		if got := fetch("", "tcp", "127.0.0.1:18080"); !strings.HasPrefix(got, "error: ") {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Errorf("with %s the published port does not answer", p.Network.Mode)
}

func TestSlirp4netns(t *testing.T) {
	if !inRig(t, true) {
		return
	}
	r := newRig(t, true)
	r.addLink(t)
	p := plan(t, Options{Mode: Mode{Kind: Slirp4netns}, Rootless: true,
		Ports: mappings(t, "18080:80", "18053:53/udp", "127.0.0.1:18081:80", "127.0.0.1:18054:53/udp")})
	r.serve(t)
	r.start(t, p.Network)
	check(t, r.client, "tcp", hostAddr4+":18080", clientAddr4)
	check(t, r.client, "udp", hostAddr4+":18053", clientAddr4)
	check(t, "", "tcp", hostAddr4+":18080", hostAddr4)
	check(t, "", "udp", hostAddr4+":18053", hostAddr4)
	check(t, "", "tcp", "127.0.0.1:18080", "10.0.2.2")
	check(t, "", "tcp", "127.0.0.1:18081", "10.0.2.2")
	check(t, "", "udp", "127.0.0.1:18053", "127.0.0.1")
	check(t, "", "udp", "127.0.0.1:18054", "127.0.0.1")
	check(t, "", "udp", "[::1]:18053", "::1")
	if got := fetch("", "tcp", hostAddr4+":18081"); !strings.HasPrefix(got, "error: ") {
		t.Errorf("127.0.0.1:18081 is published on %s too", hostAddr4)
	}
	hostFromContainer(t, r, p)
	nothingElse(t, r)
}

// TestServerSpeaksFirst is the default network for a published SSH server.
func TestServerSpeaksFirst(t *testing.T) {
	if !inRig(t, true) {
		return
	}
	r := newRig(t, true)
	r.addLink(t)
	p := plan(t, Options{Rootless: true, Ports: mappings(t, "18022:22")})
	r.serve(t)
	r.start(t, p.Network)
	check(t, "", "tcp", hostAddr4+":18022", hostAddr4)
}

// TestHalfClose is the default network for a client that shuts down its sending side before the answer comes,
// as in `echo question | nc server`. Debian 12's pasta loses the end of the answer or repeats its data.
func TestHalfClose(t *testing.T) {
	if !inRig(t, true) {
		return
	}
	r := newRig(t, true)
	r.addLink(t)
	p := plan(t, Options{Rootless: true})
	r.start(t, p.Network)
	l, err := net.Listen("tcp", hostAddr4+":7070")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.Copy(io.Discard, c)
			fmt.Fprint(c, "answer")
			c.Close()
		}
	}()
	for range 20 {
		var got []byte
		err := inNS(r.netns, func() error {
			c, err := net.DialTimeout("tcp", hostAddr4+":7070", 2*time.Second)
			if err != nil {
				return err
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(2 * time.Second))
			fmt.Fprint(c, "question")
			c.(*net.TCPConn).CloseWrite()
			got, err = io.ReadAll(c)
			return err
		})
		if err != nil || string(got) != "answer" {
			t.Errorf("with %s: got %q, %v; want \"answer\"", p.Network.Mode, got, err)
		}
	}
}

// TestRelayEnds checks that the UDP relay ends with its namespace.
func TestRelayEnds(t *testing.T) {
	if !inRig(t, true) {
		return
	}
	r := newRig(t, true)
	cmd := r.relay(t, []string{"127.0.0.1:18053=53"})
	unix.Unmount(r.netns, unix.MNT_DETACH)
	if err := os.Remove(r.netns); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Error("the relay did not end with its namespace")
	}
}
