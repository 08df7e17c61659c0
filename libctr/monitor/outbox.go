// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"sync"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
)

// maxQueue is how much a client may be behind, besides what its socket holds
// (some 200 KiB), before the container's output waits for it.
const maxQueue = 256 << 10

// stuckAfter is how long the output waits for a client that does not read. The
// client that started the container is waited for without limit, like a pipe's reader.
const stuckAfter = 5 * time.Second

// outbox sends packets to one client, in order. Sending never waits: what the socket
// does not take is queued.
type outbox struct {
	conn *ctl.Conn

	mu    sync.Mutex // guards the fields below
	queue []ctl.Chunk
	size  int           // of the queue, bytes
	busy  bool          // a goroutine sends the queue
	since time.Time     // when it got shorter, or began
	moved chan struct{} // closed when the queue got shorter; nil while nobody waits
	dead  bool          // the client has gone
}

// push sends p or queues a copy. It reports whether the client is too far behind.
func (b *outbox) push(p ctl.Chunk) (behind bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return false
	}
	if !b.busy {
		sent, err := b.conn.TrySend(p)
		if err != nil {
			b.die()
			return false
		}
		if sent {
			return false
		}
	}
	p.Data = append([]byte(nil), p.Data...)
	b.queue = append(b.queue, p)
	b.size += len(p.Data)
	if !b.busy {
		b.busy, b.since = true, time.Now()
		go b.flush()
	}
	return b.size > maxQueue
}

// flush sends the queue and ends when it is empty.
func (b *outbox) flush() {
	for {
		b.mu.Lock()
		if b.dead || len(b.queue) == 0 {
			b.busy = false
			b.queue = nil
			b.wake()
			b.mu.Unlock()
			return
		}
		p := b.queue[0]
		b.mu.Unlock()
		err := b.conn.Send(p)
		b.mu.Lock()
		if err != nil {
			b.die()
		} else {
			b.queue = b.queue[1:]
			b.size -= len(p.Data)
			b.since = time.Now()
			b.wake()
		}
		b.mu.Unlock()
	}
}

// die requires b.mu.
func (b *outbox) die() {
	b.dead, b.queue, b.size = true, nil, 0
	b.wake()
}

// wake requires b.mu.
func (b *outbox) wake() {
	if b.moved != nil {
		close(b.moved)
		b.moved = nil
	}
}

// kill drops a client: its connection ends, and what it has not read is lost to it.
func (b *outbox) kill() {
	b.mu.Lock()
	b.die()
	b.mu.Unlock()
	b.conn.Close()
}

// wait returns true once the queue holds at most limit bytes or the client has gone,
// false if nothing moved for as long as patience (0 is forever), or when stop is closed.
func (b *outbox) wait(limit int, patience time.Duration, stop <-chan struct{}) bool {
	for {
		b.mu.Lock()
		if b.dead || (b.size <= limit && (limit > 0 || !b.busy)) {
			b.mu.Unlock()
			return true
		}
		if b.moved == nil {
			b.moved = make(chan struct{})
		}
		moved, left := b.moved, patience
		if patience > 0 { // of several that are stuck, each has been for as long
			left = max(patience-time.Since(b.since), 1)
		}
		b.mu.Unlock()
		if !waitFor(moved, left, stop) {
			return false
		}
	}
}

func waitFor(moved <-chan struct{}, patience time.Duration, stop <-chan struct{}) bool {
	var late <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-moved:
		return true
	case <-late:
	case <-stop:
	}
	return false
}
