// SPDX-License-Identifier: Apache-2.0

package attach

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/lastwords"
)

// CNI connects a namespace to a network that containers share, through CNI plugins. The program berth-net runs them: plugins and
// their library are too large for each monitor.
type CNI struct {
	Program    string          `json:"program"`    // berth-net
	List       json.RawMessage `json:"list"`       // the network's configuration list as it was at the start: what undoes it has to be the same
	PluginDirs []string        `json:"pluginDirs"` // where plugins are, the first that has one counts
	StateDir   string          `json:"stateDir"`   // what lasts as long as the host is up: leases, results, who is connected

	Container string `json:"container"` // its ID
	Interface string `json:"interface"` // its name in the container

	// What the user asked for; empty is whatever the network gives.
	IPs []string `json:"ips,omitempty"`
	MAC string   `json:"mac,omitempty"`

	// Names are what others of the network may call the container, if the network has names (DNS is set).
	Names []string `json:"names,omitempty"`
	DNS   bool     `json:"dns,omitempty"`
	// Upstream are the name servers that know all other names.
	Upstream []string `json:"upstream,omitempty"`

	Ports []PortMapping `json:"ports,omitempty"`

	// Outside connects the namespace that has the bridges of a user's networks; nil for root, whose bridges are on the host. OutsideNS is where
	// that namespace is mounted for it.
	Outside   *Helper `json:"outside,omitempty"`
	OutsideNS string  `json:"outsideNS,omitempty"`
}

// Joined is what a container has of a shared network.
type Joined struct {
	Network   string    `json:"network"`
	Interface string    `json:"interface"`
	MAC       string    `json:"mac,omitempty"`
	Addresses []Address `json:"addresses,omitempty"`
	// Keeper is the process that keeps the user's bridges and answers for names; 0 where there is none.
	Keeper int `json:"keeper,omitempty"`
	// Warnings are sentences for the user: what the network cannot do for this container.
	Warnings []string `json:"warnings,omitempty"`
}

// Address is one address of a container.
type Address struct {
	IP      string `json:"ip"`
	Prefix  int    `json:"prefix"` // its length
	Gateway string `json:"gateway,omitempty"`
}

// Request is what berth-net reads on its standard input. The verb is its argument: add, del, or reload, which is both, with the same addresses; see also Ask. The answer is a
// Joined, empty to del; it comes as soon as the caller can go on, and berth-net may still have work after it, that of closing a socket of nftables at least: some
// milliseconds.
type Request struct {
	Network string `json:"network"`
	NetNS   string `json:"netns"` // the container's
	CNI     *CNI   `json:"cni"`
	// Ending says that the namespace ends after del: the kernel then removes what is in it, of many containers at once in the time that one takes.
	Ending bool `json:"ending,omitempty"`
}

// cniTimeout bounds how long the plugins of one network may take together; berth-net itself bounds them by less.
const cniTimeout = 60 * time.Second

func (r *Runner) join(a Attachment, ns Namespace) (*Endpoint, error) {
	e := &Endpoint{attachment: a, netns: ns.Path, runner: r}
	err := e.hold(a.CNI.Ports)
	var joined *Joined
	if err == nil {
		joined, _, err = r.berthNet("add", e.request())
	}
	if err != nil {
		e.release()
		return nil, fmt.Errorf("connect to network %s: %w", a.Network, err)
	}
	e.joined = joined
	e.helper = see(e.joined.Keeper)
	return e, nil
}

// hold takes the host ports that rules of the firewall publish: a user's are the keeper's.
func (e *Endpoint) hold(ports []PortMapping) (err error) {
	e.release()
	if e.attachment.CNI.Outside == nil {
		e.held, err = hold(ports)
	}
	return err
}

func (e *Endpoint) release() {
	e.held.release()
	e.held = nil
}

// Hold takes the host ports again that a process held which has ended before the container. Who has taken one meanwhile keeps it.
func (e *Endpoint) Hold() {
	if c := e.attachment.CNI; c != nil && e.joined != nil {
		_ = e.hold(c.Ports)
	}
}

func (e *Endpoint) request() Request {
	return Request{Network: e.attachment.Network, NetNS: e.netns, CNI: e.attachment.CNI}
}

// Leave is Detach of a shared network from a namespace that stays, and says what could not be undone.
func (e *Endpoint) Leave() error { return e.leave(false) }

func (e *Endpoint) leave(ending bool) error {
	if e.left {
		return nil
	}
	e.leaving.Store(true)
	req := e.request()
	req.Ending = ending
	_, gone, err := e.run().berthNet("del", req)
	if err != nil {
		e.leaving.Store(false)
		return fmt.Errorf("disconnect from network %s: %w", e.attachment.Network, err)
	}
	e.gone, e.left = gone, true
	e.release()
	return nil
}

func (e *Endpoint) run() *Runner {
	if e.runner != nil {
		return e.runner
	}
	return &Runner{Env: os.Environ()}
}

// Rejoin makes anew what is outside of the namespace for a shared network, with the same addresses, and with ports published.
func (e *Endpoint) Rejoin(ports []PortMapping) error {
	c := *e.attachment.CNI
	c.Ports = ports
	e.attachment.CNI = &c
	req := e.request()
	if j := e.joined; j != nil {
		same := c
		same.IPs, same.MAC = nil, j.MAC
		for _, a := range j.Addresses {
			same.IPs = append(same.IPs, a.IP)
		}
		req.CNI = &same
	}
	err := e.hold(ports)
	var j *Joined
	if err == nil {
		j, _, err = e.run().berthNet("reload", req)
	}
	if err != nil {
		return fmt.Errorf("reload network %s: %w", e.attachment.Network, err)
	}
	e.joined, e.helper = j, see(j.Keeper)
	return nil
}

// Attachment is what the endpoint is of.
func (e *Endpoint) Attachment() Attachment { return e.attachment }

// Left returns an Endpoint for what another process has joined to the namespace, to be detached. r is to do that; nil is for a process
// without a Runner.
func Left(a Attachment, netns string, joined *Joined, r *Runner) *Endpoint {
	e := &Endpoint{attachment: a, netns: netns, joined: joined, runner: r}
	if joined != nil {
		e.helper = see(joined.Keeper)
	}
	return e
}

// Watch returns a function that waits until the process that keeps the network has ended, and reports whether that is to be repaired: not after
// Detach, nor where there is no such process.
func (e *Endpoint) Watch() (lost func() bool) {
	keeper := e.helper
	if e.attachment.CNI == nil || keeper.pid == 0 {
		return func() bool { return false }
	}
	return func() bool {
		await(keeper)
		return !e.leaving.Load()
	}
}

// Revive replaces the process that keeps the network if it has ended. It is false where the namespace is not connected any more. The bridges
// stay where they are as long as one of the processes that have called it, or Attach, has not ended.
func (e *Endpoint) Revive() (bool, error) {
	joined, _, err := e.run().berthNet("revive", e.request())
	if err != nil {
		return false, fmt.Errorf("revive network %s: %w", e.attachment.Network, err)
	}
	if joined.Keeper != 0 {
		e.helper = see(joined.Keeper)
		now := *e.joined
		now.Keeper = joined.Keeper
		e.joined = &now
	}
	return joined.Keeper != 0, nil
}

// await sleeps until a process has ended, without a thread of its own.
func await(p running) {
	fd, err := unix.PidfdOpen(p.pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return // it has ended
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	raw, err := f.SyscallConn()
	if err != nil || !p.alive() {
		return
	}
	_ = raw.Read(func(fd uintptr) bool {
		n, _ := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return n > 0
	})
}

// Joined is what the namespace has of a shared network; nil where a helper connects it.
func (e *Endpoint) Joined() *Joined { return e.joined }

// Finding is one thing that berth-net's check has tried.
type Finding struct {
	Check string // a word: connect, gateway, outside, …
	OK    bool
	Text  string // what was found
	Do    string `json:",omitempty"` // what the user can do, if it is not as it should be
}

// Ask has berth-net answer about a network that no container is connected to for that: the verbs are check and update.
func Ask(verb string, req Request, answer any) error {
	_, err := (&Runner{Env: os.Environ()}).ask(verb, req, answer)
	return err
}

// berthNet runs berth-net, and returns its answer. Its end comes through the channel.
func (r *Runner) berthNet(verb string, req Request) (*Joined, <-chan syscall.WaitStatus, error) {
	answer := new(Joined)
	ended, err := r.ask(verb, req, answer)
	if err != nil {
		return nil, nil, err
	}
	return answer, ended, nil
}

func (r *Runner) ask(verb string, req Request, answer any) (<-chan syscall.WaitStatus, error) {
	program := req.CNI.Program
	in, err := memfile("berth-net-request")
	if err != nil {
		return nil, err
	}
	defer in.Close()
	if err := json.NewEncoder(in).Encode(req); err != nil {
		return nil, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer out.Close()
	words, err := lastwords.New()
	if err != nil {
		w.Close()
		return nil, err
	}
	defer words.Close()
	pid, ended, err := r.spawn(program, []string{"berth-net", verb}, &syscall.ProcAttr{
		Dir: "/", Env: r.Env, Files: []uintptr{in.Fd(), w.Fd(), uintptr(words.FD)},
	})
	w.Close()
	if err != nil {
		return nil, fmt.Errorf("run %s: %w", program, err)
	}
	out.SetReadDeadline(time.Now().Add(cniTimeout))
	err = json.NewDecoder(io.LimitReader(out, 1<<20)).Decode(answer)
	switch {
	case err == nil:
		return ended, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		syscall.Kill(pid, syscall.SIGKILL)
		<-ended
		return nil, errors.New("it did not end in time")
	}
	<-ended
	return nil, errors.New(string(bytes.TrimSpace([]byte(words.Tail()))))
}

func memfile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
