// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network/attach"
)

// Options say which container Run is the monitor of.
type Options struct {
	Dir   string // the container's directory, with its config.json
	Adopt bool   // the container runs, and its monitor was killed
	Early bool   // the container is being made: its records are there when the first client asks for something

	// ConnFD is the first client's connection, LockFD the container's locked lock
	// file. Both are taken over.
	ConnFD, LockFD int
}

// Monitor is the state of one monitor process.
type Monitor struct {
	cfg    *record.Supervised // never changes; networks of the container may, see attachments
	env    []string           // for programs it runs
	null   int                // /dev/null, open for reading and writing
	runDir int                // RunDir, as O_PATH
	lock   *os.File
	serial atomic.Uint64 // for names of files that are needed for a moment

	tidying atomic.Bool // tidy is about to run

	reap   *reaper
	in     input
	out    output
	starts chan startRequest
	// launched is closed when the first start has succeeded or failed. Until then starting is the
	// process group of the OCI runtime that is at work for it, or 0.
	launched chan struct{}
	starting atomic.Int32
	aborted  atomic.Bool   // it has been killed
	wake     chan struct{} // has a token when a pause before a restart is to end

	joining  <-chan time.Time // when it is time to join the other monitors
	sweepMu  sync.Mutex       // one sweep at a time; no other lock is held meanwhile
	sweeping atomic.Bool      // a sweep is about to begin

	volumeLocks []int        // while a start mounts volumes
	passthrough [3]*os.File  // log driver passthrough: the container's own
	notify      *os.File     // socket for the container's messages to systemd; nil is none
	preserve    []*os.File   // what its process gets besides; during the first start only
	restore     *ctl.Restore // how the first start is made from a checkpoint; nil: it is not, or is over
	dumping     sync.Mutex   // held while a checkpoint is made; taken before probeMu
	probeMu     sync.Mutex   // one health check at a time; taken before mu

	netMu       sync.Mutex          // held while networks are attached or detached, which takes its time; taken before mu
	attachments []attach.Attachment // the container's networks as they are now; guarded by netMu

	mu         sync.Mutex // guards the fields below; may be held while output.mu is taken, never the other way
	state      *record.State
	init       *process // nil unless the container runs, or is made
	made       bool     // init waits to execute the command: see initialize
	dropped    bool     // … and never will
	startCode  int      // … since that failed, with this exit code
	pumps      []*pump
	master     *os.File // of the container's terminal, or nil
	rows, cols uint16   // of the last resize; 0 before
	clients    map[*client]struct{}
	execs      map[*process]struct{}
	first      *client
	startAsked bool
	forced     *ctl.Forced // how the last stop had to kill; nil where it had not
	restart    bool        // the user asked for it: the policy is not
	restarters []*client
	dumper     *client // gets the lock at the end, which its checkpoint has brought about; nil for none
	dumpTook   time.Duration
	ended      bool      // for good: nothing can begin any more
	reported   bool      // exited has been sent to everybody
	endpoints  endpoints // of its network namespace
	memory     string    // directory of the container's memory cgroup, or empty
	oom        *oomWatch
	// for a container that ends before it is watched: a cgroup around its own, or empty, and how many kills that has counted before it was started
	around      string
	killsBefore int
	mounted     bool
	listener    *ctl.Listener
	policy      record.Restart
	health      *record.Healthcheck // nil for none; replaced as a whole
	startup     startup
	probing     chan struct{} // closed to end the health checks of this start; nil for none
}

// Run is the whole life of a monitor. The process must have a mount namespace of its
// own. When ctx ends the container is stopped, and Run returns once that is
// recorded. The error is for a log: whoever asked for something has had an answer.
func Run(ctx context.Context, opts Options) error {
	limitMemory()
	m, conn, err := open(opts)
	if errors.Is(err, errNotMade) {
		return nil
	}
	if err != nil {
		return err
	}
	if opts.Adopt {
		return m.runAdopted(ctx, conn)
	}
	return m.runNew(ctx, conn)
}

// open reads the records and sets the process up.
func open(opts Options) (*Monitor, *ctl.Conn, error) {
	conn, err := ctl.NewConn(opts.ConnFD)
	if err != nil {
		return nil, nil, err
	}
	unix.CloseOnExec(opts.LockFD)
	m := &Monitor{
		env:      Environ(os.Environ()),
		lock:     os.NewFile(uintptr(opts.LockFD), record.LockFile),
		in:       input{ready: make(chan struct{})},
		starts:   make(chan startRequest, 1),
		launched: make(chan struct{}),
		wake:     make(chan struct{}, 1),
		clients:  make(map[*client]struct{}),
		execs:    make(map[*process]struct{}),
	}
	m.settleIn()
	if opts.Early && !asked(opts.ConnFD) {
		return nil, nil, errNotMade
	}
	if err := m.open(opts.Dir); err != nil {
		conn.SendEvent(&ctl.Event{Event: "error", Error: err.Error()})
		conn.Close()
		return nil, nil, err
	}
	m.reap = newReaper()
	return m, conn, nil
}

// settleIn does what needs no record.
func (m *Monitor) settleIn() {
	closeInherited(m.lock)
	unix.Umask(0o022)
}

// errNotMade is returned where the container could not be made that the monitor was started for.
var errNotMade = errors.New("the container was not made")

// asked waits for the first request, and reports whether there is one: a client that could not make the container goes away.
func asked(conn int) bool {
	fds := []unix.PollFd{{Fd: int32(conn), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, -1)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n != 1 || fds[0].Revents&unix.POLLIN == 0 {
			return false
		}
		var first [1]byte
		n, _, err = unix.Recvfrom(conn, first[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return err == nil && n > 0 // the end of a connection can be read as well
	}
}

func (m *Monitor) open(dir string) (err error) {
	if m.cfg, err = record.ReadSupervised(dir); err != nil {
		return err
	}
	if m.state, err = record.ReadState(dir); err != nil {
		return err
	}
	m.policy, m.health, m.attachments = m.cfg.Restart, m.cfg.Health, m.cfg.Network.Attachments
	if m.runDir, err = openDir(m.cfg.RunDir); err != nil {
		return err
	}
	if m.null, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	// prctl(2): the orphans of its descendants become its children.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become a subreaper: %w", err)
	}
	if err := privateMounts(); err != nil {
		return err
	}
	detachGuards()
	return nil
}

// closeInherited closes what the CLI's own parents had open: a pipe that
// somebody waits on to end, say. Whatever this process has opened itself is close-on-exec.
func closeInherited(keep *os.File) {
	d, err := os.Open("/proc/self/fd")
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1)
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < 3 || uintptr(fd) == keep.Fd() {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			unix.Close(fd)
		}
	}
}

// runNew is the life of a container's first monitor.
func (m *Monitor) runNew(ctx context.Context, conn *ctl.Conn) error {
	// Not beside serving the client: its requests wait in the socket, and the thread
	// that this would take costs memory for good.
	err := m.prepare()
	first := newClient(conn)
	m.first = first
	m.addClient(first)

	var asked startRequest
	select {
	case asked = <-m.starts:
	case <-first.gone: // nobody wants the container any more
		m.tearDown()
		return errors.New("the client went away before it asked for a start")
	case <-ctx.Done():
		m.tearDown()
		return ctx.Err()
	}
	if err == nil {
		err = m.firstStart(asked)
	}
	closeFiles(asked.files)
	if err != nil {
		return m.startFailed(asked.client, err)
	}
	close(m.launched)
	return m.supervise(ctx)
}

// writeState puts the snapshot in its place. It requires m.mu.
func (m *Monitor) writeState() error {
	return m.state.Write(m.cfg.Dir, !m.cfg.AutoRemove)
}

// noteState is writeState where nobody waits for the answer: the next snapshot says the same.
func (m *Monitor) noteState() { _ = m.state.Write(m.cfg.Dir, false) }

func (m *Monitor) runPath(name string) string { return filepath.Join(m.cfg.RunDir, name) }

// now is the time as records have it.
func now() time.Time { return time.Now().UTC() }
