// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/logfile"
)

// output hands what the container writes to its log and to the attached clients.
type output struct {
	mu      sync.Mutex // guards the fields below; held while a chunk is read, logged and sent
	log     logWriter  // nil for none
	clients []*client
	buf     []byte // one for all streams: most of the time nobody writes
}

// logWriter is a log driver. Its methods are not called at the same time.
type logWriter interface {
	// Write logs a piece of a stream's output, which came at t.
	Write(stream logfile.Stream, t time.Time, data []byte) error
	// Flush logs what Write has held back of streams that have ended.
	Flush() error
	Close() error
}

// pump reads one stream until its end, until its deadline, or until stop is closed.
type pump struct {
	stream
	stop chan struct{} // closed to end it
	done chan struct{} // closed when it has ended
}

func (o *output) start(s stream) *pump {
	p := &pump{stream: s, stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		o.run(p)
	}()
	return p
}

func (o *output) run(p *pump) {
	raw, err := p.f.SyscallConn()
	if err != nil {
		return
	}
	var n int
	var behind []*client
	var readErr error
	// Like File.Read, but the buffer is taken only when there is something to read.
	// One closure for all chunks: they come for months, and are to leave no garbage.
	read := func(fd uintptr) bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		n, readErr = o.readOnce(int(fd))
		if readErr == unix.EAGAIN {
			return false
		}
		if n > 0 {
			behind = o.deliver(p.name, o.buf[:n])
		}
		return true
	}
	for {
		n, behind, readErr = 0, nil, nil
		if err := raw.Read(read); err != nil || readErr != nil || n == 0 {
			return // also EIO: a terminal whose last process has gone
		}
		o.await(behind, p.stop)
	}
}

// readOnce requires o.mu.
func (o *output) readOnce(fd int) (int, error) {
	if o.buf == nil {
		o.buf = make([]byte, ctl.MaxData)
	}
	for {
		n, err := unix.Read(fd, o.buf)
		if err != unix.EINTR {
			return n, err
		}
	}
}

// deliver requires o.mu. It returns the clients that are too far behind.
func (o *output) deliver(name byte, data []byte) (behind []*client) {
	if o.log != nil {
		// A full disk, or a journald that is gone, loses lines, not the container.
		_ = o.log.Write(logfile.Stream(name), time.Now(), data)
	}
	for _, c := range o.clients {
		if c.wants[name] && c.box.push(ctl.Chunk{Stream: name, Data: data}) {
			behind = append(behind, c)
		}
	}
	return behind
}

// await makes the container wait for clients that are behind, and drops those that are stuck.
func (o *output) await(behind []*client, stop <-chan struct{}) {
	for _, c := range behind {
		patience := stuckAfter
		if c.starter {
			patience = 0
		}
		if c.box.wait(maxQueue/2, patience, stop) {
			continue
		}
		select {
		case <-stop: // the container has ended
		default:
			c.box.kill()
		}
	}
}

// drain ends a pump and takes what is left in its FIFO or terminal, without
// waiting for who may still hold the other end.
func (o *output) drain(p *pump) {
	close(p.stop)
	p.f.SetReadDeadline(time.Unix(1, 0))
	<-p.done
	defer p.close()
	raw, err := p.f.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		o.mu.Lock()
		defer o.mu.Unlock()
		const most = 1 << 20 // a FIFO's largest size; more is still being written, by a process left over
		for total := 0; total < most; {
			n, err := o.readOnce(int(fd))
			if err != nil || n == 0 {
				return
			}
			o.deliver(p.name, o.buf[:n])
			total += n
		}
	})
}

// attach adds a client. Between answer and first output nothing is lost.
func (o *output) attach(c *client, answer func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clients = append(o.clients, c)
	answer()
}

func (o *output) detach(c *client) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.clients = slices.DeleteFunc(o.clients, func(other *client) bool { return other == c })
}

func (o *output) logTo(w logWriter) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.log = w
}

func (o *output) flushLog() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log != nil {
		_ = o.log.Flush()
	}
}

func (o *output) closeLog() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.log != nil {
		o.log.Close()
		o.log = nil
	}
}
