// SPDX-License-Identifier: Apache-2.0

// Package journald sends a container's output to systemd's journal, with the fields that conmon gives it.
//
// An entry is one line. The begin of a line is kept until its end has come, so that the journal has lines whole; a line that is
// longer than most, or ends with its stream, is sent in pieces, of which all but the last have CONTAINER_PARTIAL_MESSAGE=true.
//
// Nothing waits for journald without end: see [Writer.Write]. What it did not take is counted, and an entry with the field
// [LostField] says so as soon as it takes entries again.
//
// The package is linked into the monitor: it imports the standard library's leanest parts only. The protocol is systemd's
// "Journal Native Protocol"; docs/decisions/0067 says why no library speaks it here.
package journald

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/logfile"
)

// The fields by which a container's output is read again.
const (
	IDField      = "CONTAINER_ID_FULL"
	PartialField = "CONTAINER_PARTIAL_MESSAGE"
	// LostField is how many bytes of output are missing in front of its entry.
	LostField = "BERTH_LOST_BYTES"
)

// The priorities of the two streams, as conmon has them: info and err.
const (
	StdoutPriority = "6"
	StderrPriority = "3"
	lostPriority   = "4" // a warning
)

// Socket is where journald takes entries.
const Socket = "/run/systemd/journal/socket"

const (
	// most is how much of a line one entry has. It fits into a datagram anywhere, and bounds what is kept of a line that has no end yet.
	most = 32 << 10
	// patience is how long a container waits for a journald that takes nothing. One that is started again, or waits for its disk, needs less.
	patience = 5 * time.Second
)

// Available returns why nothing can be sent to journald, if so.
func Available() error { return available(Socket) }

func available(socket string) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		return &os.PathError{Op: "connect", Path: socket, Err: err}
	}
	return nil
}

// CheckField checks whether journald takes a field of this name from a container's log: capital letters, digits and _,
// neither a digit nor _ at the begin, at most 64.
func CheckField(name string) error {
	for i := range len(name) {
		c := name[i]
		if (c < 'A' || c > 'Z') && (i == 0 || (c < '0' || c > '9') && c != '_') {
			return fmt.Errorf("%q is no name of a field of the journal: want capital letters, digits and _, and a letter first", name)
		}
	}
	if name == "" || len(name) > 64 {
		return errors.New("the name of a field of the journal has 1 to 64 characters")
	}
	switch name {
	case "MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "CONTAINER_ID", IDField, "CONTAINER_NAME", "CONTAINER_TAG", PartialField, LostField:
		return fmt.Errorf("the field %s of the journal is set already", name)
	}
	return nil
}

// FieldName makes the name of a label, or of a variable, into one of a field, as podman and docker do: APP_NAME of app.name.
func FieldName(name string) string {
	upper := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, name)
	return strings.TrimLeft(upper, "_0123456789")
}

// Writer sends entries. Its methods must not be called at the same time.
type Writer struct {
	fd     int
	addr   unix.SockaddrUnix
	fields []byte                     // of every entry, as they are sent
	begun  [logfile.Stderr + 1][]byte // the begin of a line, per stream
	buf    []byte
	stuck  bool  // journald has not taken an entry for as long as patience
	lost   int64 // bytes of output that it has not taken
}

// Open makes a Writer. Each of fields is NAME=value. It asks nothing of journald, which may come and go.
func Open(fields []string) (*Writer, error) { return open(Socket, fields, patience) }

func open(socket string, fields []string, patience time.Duration) (*Writer, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	tv := unix.NsecToTimeval(int64(patience))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open log: %w", err)
	}
	w := &Writer{fd: fd, addr: unix.SockaddrUnix{Name: socket}}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		w.fields = appendField(w.fields, name, []byte(value))
	}
	return w, nil
}

// appendField appends a field as the protocol has it.
func appendField(dst []byte, name string, value []byte) []byte {
	dst = append(dst, name...)
	if bytes.IndexByte(value, '\n') < 0 {
		dst = append(dst, '=')
	} else {
		dst = append(dst, '\n')
		dst = binary.LittleEndian.AppendUint64(dst, uint64(len(value)))
	}
	dst = append(dst, value...)
	return append(dst, '\n')
}

// Write sends the lines of data, a piece of a stream's output; journald has its own time. It waits while journald is slow.
// Once journald takes nothing for as long as patience, or is not there, output is lost without any waiting until it does.
func (w *Writer) Write(stream logfile.Stream, _ time.Time, data []byte) error {
	var errs error
	for len(data) > 0 {
		end := bytes.IndexByte(data, '\n')
		line := data[:max(end, 0)]
		if end < 0 {
			line = data
		}
		room := most - len(w.begun[stream])
		switch {
		case len(line) > room:
			errs = errors.Join(errs, w.send(stream, data[:room], true))
			data = data[room:]
		case end >= 0:
			errs = errors.Join(errs, w.send(stream, line, false))
			data = data[end+1:]
		default:
			w.begun[stream] = append(w.begun[stream], line...)
			return errs
		}
	}
	return errs
}

// Flush sends lines that have no end as they are: their stream has ended.
func (w *Writer) Flush() (errs error) {
	for _, s := range []logfile.Stream{logfile.Stdout, logfile.Stderr} {
		if len(w.begun[s]) > 0 {
			errs = errors.Join(errs, w.send(s, nil, true))
		}
	}
	return errs
}

// Close sends what is left, and waits while journald takes it: whoever is told that the container has ended finds its output.
func (w *Writer) Close() error {
	errs := w.Flush()
	if w.lost > 0 {
		errs = errors.Join(errs, w.tellLost())
	}
	var end time.Time
	for left := math.MaxInt; !w.stuck; time.Sleep(time.Millisecond) {
		// Of a Unix socket these are the bytes that its receiver has not read.
		n, err := unix.IoctlGetInt(w.fd, unix.TIOCOUTQ)
		if now := time.Now(); n < left {
			left, end = n, now.Add(patience)
		} else if now.After(end) {
			break
		}
		if err != nil || n == 0 {
			break
		}
	}
	return errors.Join(errs, unix.Close(w.fd))
}

// send sends what is kept of a line, and more of it.
func (w *Writer) send(stream logfile.Stream, more []byte, partial bool) error {
	begun := w.begun[stream]
	w.begun[stream] = nil // most streams end their lines: nothing is kept for those to come
	if w.lost > 0 {
		if err := w.tellLost(); err != nil {
			w.lost += int64(len(begun) + len(more))
			return err
		}
	}
	priority := StdoutPriority
	if stream == logfile.Stderr {
		priority = StderrPriority
	}
	text := more
	if len(begun) > 0 {
		text = append(begun, more...)
	}
	b := append(w.buf[:0], w.fields...)
	b = appendField(b, "PRIORITY", []byte(priority))
	if partial {
		b = append(b, PartialField+"=true\n"...)
	}
	b = appendField(b, "MESSAGE", text)
	w.buf = b
	err := w.deliver(b)
	if err != nil {
		w.lost += int64(len(text))
	}
	return err
}

// tellLost has the journal say how much is missing.
func (w *Writer) tellLost() error {
	n := strconv.FormatInt(w.lost, 10)
	b := append([]byte(nil), w.fields...)
	b = append(b, "PRIORITY="+lostPriority+"\n"+LostField+"="+n+"\nMESSAGE="+n+" bytes of output are missing here: journald did not take them\n"...)
	err := w.deliver(b)
	if err == nil {
		w.lost = 0
	}
	return err
}

// deliver hands one entry to journald. The socket is not connected: a journald that was started again is found by its path.
func (w *Writer) deliver(entry []byte) error {
	flags := unix.MSG_NOSIGNAL
	if w.stuck {
		flags |= unix.MSG_DONTWAIT
	}
	var err error
	for {
		err = unix.Sendto(w.fd, entry, flags, &w.addr)
		if err == unix.EMSGSIZE || err == unix.ENOBUFS {
			err = w.deliverFile(entry, flags)
		}
		if err != unix.EINTR {
			break
		}
	}
	w.stuck = err != nil
	if err != nil {
		return &os.PathError{Op: "send to", Path: w.addr.Name, Err: err}
	}
	return nil
}

// deliverFile hands over an entry that is too large for a datagram, in a file that cannot change any more.
func (w *Writer) deliverFile(entry []byte, flags int) error {
	fd, err := unix.MemfdCreate("berth-log", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for rest := entry; len(rest) > 0; {
		n, err := unix.Write(fd, rest)
		if err != nil && err != unix.EINTR {
			return err
		}
		rest = rest[max(n, 0):]
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return err
	}
	return unix.Sendmsg(w.fd, nil, unix.UnixRights(fd), &w.addr, flags)
}
