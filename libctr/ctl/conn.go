// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxFiles is how many files a packet carries at most; the kernel's bound is 253.
const maxFiles = 64

// Conn is one end of a control connection. One goroutine at a time may receive,
// any number may send; a packet is never torn.
type Conn struct {
	f   *os.File
	raw syscall.RawConn
	buf []byte // of Recv, as large as the largest packet so far
	oob [16 + 4*maxFiles]byte
}

// Packet is what Recv returns: a message (JSON is set) or a piece of a stream.
// Its bytes are valid until the next Recv on the connection.
type Packet struct {
	JSON   []byte // a Request or an Event
	Stream byte   // Stdin, Stdout or Stderr; meaningful without JSON
	Data   []byte // of the stream; empty is end of file (Stdin)
	Files  []*os.File
}

// NewConn makes a connection of a connected SOCK_SEQPACKET socket and takes it over.
func NewConn(fd int) (*Conn, error) {
	unix.CloseOnExec(fd)
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set up control connection: %w", err)
	}
	f := os.NewFile(uintptr(fd), "ctl")
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("set up control connection: %w", err)
	}
	return &Conn{f: f, raw: raw}, nil
}

// Pair makes a connected pair: the caller's end, and the file that a new monitor
// inherits as descriptor 3.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make control connection: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "ctl")
	ours, err := NewConn(fds[0])
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// Close ends the connection and makes a Recv or Send that waits return.
func (c *Conn) Close() error { return c.f.Close() }

// SetReadDeadline makes Recv return os.ErrDeadlineExceeded after t; the zero time is never.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.f.SetReadDeadline(t) }

// SetWriteDeadline makes sending return os.ErrDeadlineExceeded after t; the zero time is never.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.f.SetWriteDeadline(t) }

// SendRequest sends r and files, which stay the caller's.
func (c *Conn) SendRequest(r *Request, files ...*os.File) error { return c.sendJSON(r, files) }

// SendEvent sends e and files, which stay the caller's.
func (c *Conn) SendEvent(e *Event, files ...*os.File) error { return c.sendJSON(e, files) }

// SendStream sends p in as many packets as it needs; an empty p is end of file.
func (c *Conn) SendStream(stream byte, p []byte) error {
	for {
		n := min(len(p), MaxData)
		if err := c.Send(Chunk{Stream: stream, Data: p[:n]}); err != nil {
			return err
		}
		if p = p[n:]; len(p) == 0 {
			return nil
		}
	}
}

// Chunk is an encoded packet without files: a piece of a stream, or a message.
type Chunk struct {
	Stream byte
	Data   []byte
	JSON   bool // Data is the whole packet
}

// Encode makes the packet of a message, for Send and TrySend.
func Encode(message any) (Chunk, error) {
	data, err := json.Marshal(message)
	return Chunk{Data: data, JSON: true}, err
}

// Send sends one packet and waits while the other side's queue is full.
func (c *Conn) Send(p Chunk) error {
	_, err := c.send(p, nil, true)
	return err
}

// TrySend sends one packet, or returns false where it would have to wait.
func (c *Conn) TrySend(p Chunk) (bool, error) { return c.send(p, nil, false) }

func (c *Conn) sendJSON(message any, files []*os.File) error {
	p, err := Encode(message)
	if err != nil {
		return fmt.Errorf("encode control message: %w", err)
	}
	if len(p.Data) > MaxPacket {
		return fmt.Errorf("control message of %d bytes is larger than %d", len(p.Data), MaxPacket)
	}
	fds := make([]int, len(files))
	for i, f := range files {
		// Not Fd: it would make the description blocking for everyone who shares it.
		raw, err := f.SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { fds[i] = int(fd) })
		}
		if err != nil {
			return fmt.Errorf("pass %s: %w", f.Name(), err)
		}
	}
	_, err = c.send(p, fds, true)
	return err
}

func (c *Conn) send(p Chunk, fds []int, wait bool) (bool, error) {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	iov := [][]byte{p.Data}
	if !p.JSON {
		iov = [][]byte{{p.Stream}, p.Data}
	}
	sent, opErr := false, error(nil)
	err := c.raw.Write(func(fd uintptr) bool {
		for {
			_, opErr = unix.SendmsgBuffers(int(fd), iov, oob, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
			switch opErr {
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				return !wait
			}
			sent = opErr == nil
			return true
		}
	})
	if err == nil && opErr != nil && opErr != unix.EAGAIN {
		err = opErr
	}
	if err != nil {
		return false, fmt.Errorf("send on control connection: %w", err)
	}
	return sent, nil
}

// Recv waits for a packet. The error is io.EOF when the other side has gone. The
// files in the packet are the caller's to close.
func (c *Conn) Recv() (Packet, error) {
	var n, oobn, flags int
	var opErr error
	err := c.raw.Read(func(fd uintptr) bool {
		// unix(7): MSG_PEEK|MSG_TRUNC tells the packet's length, so that an idle
		// connection owns no buffer.
		size, err := retry(func() (int, error) {
			size, _, err := unix.Recvfrom(int(fd), nil, unix.MSG_PEEK|unix.MSG_TRUNC|unix.MSG_DONTWAIT)
			return size, err
		})
		if err == unix.EAGAIN {
			return false
		}
		if err != nil {
			opErr = err
			return true
		}
		if cap(c.buf) < size {
			c.buf = make([]byte, min(max(size, 512), MaxPacket))
		}
		n, opErr = retry(func() (n int, err error) {
			n, oobn, flags, _, err = unix.Recvmsg(int(fd), c.buf[:cap(c.buf)], c.oob[:], unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
			return n, err
		})
		return opErr != unix.EAGAIN
	})
	if err == nil {
		err = opErr
	}
	if err != nil {
		return Packet{}, wrapRecv(err)
	}
	if n == 0 {
		return Packet{}, io.EOF
	}
	files, err := receivedFiles(c.oob[:oobn])
	if err == nil && flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0 {
		err = fmt.Errorf("packet is larger than %d bytes or carries more than %d files", MaxPacket, maxFiles)
	}
	if err != nil {
		closeAll(files)
		return Packet{}, wrapRecv(err)
	}
	p := Packet{Files: files}
	if c.buf[0] == '{' {
		p.JSON = c.buf[:n]
	} else {
		p.Stream, p.Data = c.buf[0], c.buf[1:n]
	}
	return p, nil
}

// wrapRecv leaves io.EOF as it is: callers compare it.
func wrapRecv(err error) error {
	if err == io.EOF {
		return err
	}
	return fmt.Errorf("receive on control connection: %w", err)
}

func retry(op func() (int, error)) (int, error) {
	for {
		n, err := op()
		// unix(7): a peer that closes with packets unread leaves ECONNRESET, once, in front
		// of what it has sent before.
		if err != unix.EINTR && err != unix.ECONNRESET {
			return n, err
		}
	}
}

func receivedFiles(oob []byte) ([]*os.File, error) {
	if len(oob) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // not SCM_RIGHTS
		}
		for _, fd := range fds {
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
