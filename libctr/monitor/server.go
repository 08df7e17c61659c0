// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
)

// client is one connection.
type client struct {
	conn    *ctl.Conn
	box     outbox
	gone    chan struct{} // closed when the other side has closed the connection
	removed chan struct{} // closed when it has answered exited with removed

	// Written by its own requests only, before the monitor's end reads them (under Monitor.mu).
	wants   [ctl.Stderr + 1]bool // attached streams, by number
	gives   bool                 // its input goes to the container
	gave    bool                 // it has given some, or the end
	waits   bool                 // it is to get exited
	next    bool                 // … at the next end, though a restart follows
	owner   bool                 // it removes the container
	starter bool                 // it started the container
	ward    string               // it is the monitor of the container with this ID
	asked   chan<- struct{}      // takes a value after its first request; nil where nobody waits for that
}

func newClient(conn *ctl.Conn) *client {
	return &client{conn: conn, box: outbox{conn: conn}, gone: make(chan struct{}), removed: make(chan struct{})}
}

// maxClients is how many connections a monitor serves at once. There is no use for so many; a bound keeps
// descriptors and memory for the container.
const maxClients = 512

// addClient begins to serve a connection.
func (m *Monitor) addClient(c *client) {
	m.mu.Lock()
	full := len(m.clients) >= maxClients
	if !full {
		m.clients[c] = struct{}{}
	}
	m.mu.Unlock()
	if full {
		c.fail(fmt.Errorf("the container's monitor serves %d connections already, and no more", maxClients))
		c.conn.Close()
		return
	}
	go m.serve(c)
}

// accept serves the socket until it is closed.
func (m *Monitor) accept(l *ctl.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		m.addClient(newClient(conn))
	}
}

func (m *Monitor) serve(c *client) {
	defer m.dropClient(c)
	for {
		p, err := c.conn.Recv()
		if err != nil {
			return
		}
		if p.JSON != nil {
			m.request(c, p)
			// Who asks and never reads the answers is asked nothing more; the output alone does not get that far behind.
			c.box.wait(2*maxQueue, 0, nil)
			continue
		}
		closeFiles(p.Files)
		if p.Stream == ctl.Stdin && c.gives {
			m.takeInput(c, p.Data)
		}
	}
}

// takeInput gives data, or the end of file, to the container. Before there is a
// start to wait for, it would wait for good.
func (m *Monitor) takeInput(c *client, data []byte) {
	m.mu.Lock()
	early := m.first != nil && !m.startAsked
	m.mu.Unlock()
	if early {
		c.fail(errors.New("input comes after the start request"))
		return
	}
	c.gave = true
	if len(data) == 0 {
		m.in.eof()
	} else {
		m.in.write(data)
	}
}

// dropClient forgets a client that has gone. What waits for it in its queue cannot be sent any more.
func (m *Monitor) dropClient(c *client) {
	if c.gave {
		m.in.eof()
	}
	m.out.detach(c)
	m.mu.Lock()
	delete(m.clients, c)
	m.mu.Unlock()
	c.box.kill()
	close(c.gone)
	m.tidySoon()
	if c.ward != "" {
		m.sweep()
	}
}

// request handles one request. It takes no client but the first before the start is over: see handle.
func (m *Monitor) request(c *client, p ctl.Packet) {
	r, err := ctl.DecodeRequest(p.JSON)
	if err != nil {
		closeFiles(p.Files)
		c.fail(err)
		return
	}
	if r.Op != "start" && r.Op != "init" && r.Op != "exec" {
		closeFiles(p.Files)
	}
	m.handle(c, r, p.Files)
	if c.asked != nil {
		c.asked <- struct{}{} // it has room
		c.asked = nil
	}
}

func closeFiles(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// event answers the client, after whatever was sent to it before.
func (c *client) event(e ctl.Event) {
	p, err := ctl.Encode(&e)
	if err != nil {
		return
	}
	c.box.push(p)
}

func (c *client) ok() { c.event(ctl.Event{Event: "ok"}) }

// fail answers with an error, its hint, code and kind.
func (c *client) fail(err error) { c.event(errorEvent(err)) }

func errorEvent(err error) ctl.Event {
	e := ctl.Event{Event: "error", Error: err.Error()}
	var h *hint.Error
	if errors.As(err, &h) {
		e.Hint = h.Hint
	}
	var re *ctl.RequestError
	if errors.As(err, &re) {
		e.Code, e.Kind = re.Code, re.Kind
	}
	return e
}
