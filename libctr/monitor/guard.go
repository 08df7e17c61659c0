// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// The monitors of a store watch each other, so that one that is killed is replaced although no command comes by
// (docs/decisions/0018). Each keeps one connection, to the monitor with the next smaller ID, or, where none is smaller,
// to the one with the largest. So all are connected with each other over some way, and whichever of them die,
// somebody who lives sees a connection end. Who sees one end sweeps: it replaces every monitor of the store that
// is dead and whose container needs one.

const (
	// linkAfter is how old a monitor is when it joins the others. Most containers that end
	// sooner are commands, which somebody waits for.
	linkAfter = 50 * time.Millisecond
	// calm is how long a sweep waits for the news that come with the first.
	calm = 10 * time.Millisecond
)

// joinOthers is a monitor's part in the mutual watch. Where there is nobody to connect to, whoever comes connects to this one.
func (m *Monitor) joinOthers() {
	m.mu.Lock()
	ended := m.ended
	m.mu.Unlock()
	if ended {
		return
	}
	if conn := m.link(); conn != nil {
		go m.watchNeighbour(conn) // a new goroutine has a small stack, and this one waits for long
	}
}

func (m *Monitor) watchNeighbour(conn *ctl.Conn) {
	for err := error(nil); err == nil; {
		_, err = conn.Recv()
	}
	conn.Close()
	go func() {
		m.sweep()
		m.joinOthers()
	}()
}

// link connects to the neighbour. It does not wait: a connection that a monitor has not taken yet ends with it, too.
// Monitors listen before they look for others: of any two, at least one sees the other.
func (m *Monitor) link() *ctl.Conn {
	own := filepath.Base(m.cfg.RunDir)
	for id := m.listening(own, ""); id != ""; id = m.listening(id, "") {
		if conn := m.offer(own, id); conn != nil {
			return conn
		}
	}
	for id := m.listening("", own); id != ""; id = m.listening(id, own) {
		if conn := m.offer(own, id); conn != nil {
			return conn
		}
	}
	return nil
}

// offer connects to the monitor of another container, or returns nil where it is dead.
func (m *Monitor) offer(own, id string) *ctl.Conn {
	conn, err := ctl.Connect(m.neighbour(id))
	if err != nil {
		return nil
	}
	// Without encoding/json, which keeps what it learns of a type.
	request := []byte(`{"op":"guard","name":"` + own + `"}`)
	if sent, err := conn.TrySend(ctl.Chunk{Data: request, JSON: true}); err != nil || !sent {
		conn.Close()
		return nil
	}
	return conn
}

// neighbour is the RunDir of another container.
func (m *Monitor) neighbour(id string) string {
	return filepath.Join(filepath.Dir(m.cfg.RunDir), id)
}

// listening returns the largest ID below below (if that is not empty) and above above that has a socket, or the empty string.
func (m *Monitor) listening(below, above string) string {
	best := ""
	m.eachNeighbour(func(dir int, id []byte) {
		if (below == "" || string(id) < below) && string(id) > above && string(id) > best && hasSocket(dir, id) {
			best = string(id)
		}
	})
	return best
}

func hasSocket(dir int, id []byte) bool {
	return unix.Faccessat(dir, string(id)+"/"+record.SocketFile, unix.F_OK, 0) == nil
}

// scan is where eachNeighbour reads. It is no part of the heap, where each first object of a size costs 8 KiB for good.
var scan struct {
	sync.Mutex
	buf [1024]byte
}

// eachNeighbour calls do with the ID of each container that has a RunDir, and the directory that those are in.
func (m *Monitor) eachNeighbour(do func(dir int, id []byte)) {
	dir, err := unix.Open(filepath.Dir(m.cfg.RunDir), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(dir)
	scan.Lock()
	defer scan.Unlock()
	for {
		n, err := unix.Getdents(dir, scan.buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		// getdents64(2): 8 bytes inode, 8 offset, 2 length of the record, 1 type, and the name, which ends with a zero.
		for rest := scan.buf[:n]; len(rest) > 19; {
			size := int(rest[16]) | int(rest[17])<<8
			name, _, _ := bytes.Cut(rest[19:size], []byte{0})
			if len(name) == 64 {
				do(dir, name)
			}
			rest = rest[size:]
		}
	}
}

// sweep replaces each monitor of the store that is dead and whose container needs one. What dies
// while one is about to begin is seen by that one.
func (m *Monitor) sweep() {
	if !m.sweeping.CompareAndSwap(false, true) {
		return
	}
	time.Sleep(calm)
	m.sweepMu.Lock()
	defer m.sweepMu.Unlock()
	m.sweeping.Store(false)
	own := filepath.Base(m.cfg.RunDir)
	m.eachNeighbour(func(dir int, id []byte) {
		if string(id) != own && hasSocket(dir, id) { // a monitor that ends has removed it
			m.replace(string(id))
		}
	})
}

// envGuard is set for a monitor that another one has started: what is mounted for that one's container, in the mount
// namespace that they have the same copy of, separated by newlines.
const envGuard = "_BERTH_GUARD_MOUNTS"

// detachGuards lets go of what the mount namespace has of the container whose monitor started this one.
func detachGuards() {
	for path := range bytes.SplitSeq([]byte(os.Getenv(envGuard)), []byte{'\n'}) {
		if len(path) > 0 {
			unix.Unmount(string(path), unix.MNT_DETACH)
		}
	}
}
