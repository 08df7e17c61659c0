// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
)

// The FIFOs in RunDir.
const (
	stdinFIFO  = "stdin"
	stdoutFIFO = "stdout"
	stderrFIFO = "stderr"
)

// stdio is what a started container has as standard input and output.
type stdio struct {
	files   [3]uintptr // for the runtime; zero is /dev/null
	streams []stream   // to be read
	stdin   *os.File   // to be written, or nil
	close   []func()   // frees what only the runtime needed
}

// stream is an output of the container.
type stream struct {
	name byte // ctl.Stdout or ctl.Stderr
	f    *os.File
	held *os.File // the other end of a terminal; nil for a FIFO
}

func (s stream) close() {
	s.f.Close()
	if s.held != nil {
		s.held.Close()
	}
}

// freeRuntimeEnds closes what the container has got.
func (s *stdio) freeRuntimeEnds() {
	for _, f := range s.close {
		f()
	}
	s.close = nil
}

// abandon closes everything, after a start that failed.
func (s *stdio) abandon() {
	s.freeRuntimeEnds()
	for _, st := range s.streams {
		st.close()
	}
	if s.stdin != nil {
		s.stdin.Close()
	}
}

// openFIFOs makes the container's FIFOs again. The container gets its ends of the output for reading
// and writing: then it sees no EPIPE, and loses nothing, while no monitor reads.
func (m *Monitor) openFIFOs() (*stdio, error) {
	s := new(stdio)
	err := m.openOutputs(s)
	if err == nil && m.cfg.OpenStdin {
		err = m.openStdin(s)
	}
	if err != nil {
		s.abandon()
		return nil, fmt.Errorf("make the container's FIFOs: %w", err)
	}
	return s, nil
}

func (m *Monitor) openOutputs(s *stdio) error {
	for i, name := range []string{stdoutFIFO, stderrFIFO} {
		path := filepath.Join(m.cfg.RunDir, name)
		if m.cfg.Runtime.Checkpoints {
			theirs, ours, err := openPipe(path, false, unix.O_RDWR)
			if err != nil {
				return err
			}
			s.files[1+i] = uintptr(theirs)
			s.close = append(s.close, func() { unix.Close(theirs) })
			s.streams = append(s.streams, stream{name: byte(ctl.Stdout + i), f: os.NewFile(uintptr(ours), path)})
			continue
		}
		if err := makeFIFO(path); err != nil {
			return err
		}
		theirs, err := openFD(path, unix.O_RDWR)
		if err != nil {
			return err
		}
		s.files[1+i] = uintptr(theirs)
		s.close = append(s.close, func() { unix.Close(theirs) })
		if err := s.read(path, byte(ctl.Stdout+i)); err != nil {
			return err
		}
	}
	return nil
}

// read opens the monitor's end of an output.
func (s *stdio) read(path string, name byte) error {
	fd, err := openFD(path, unix.O_RDONLY|unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	s.streams = append(s.streams, stream{name: name, f: os.NewFile(uintptr(fd), path)})
	return nil
}

// openStdin makes the input's FIFO. A container whose input is never to end
// holds both its ends, so that not even the monitor's death ends it.
func (m *Monitor) openStdin(s *stdio) error {
	path := filepath.Join(m.cfg.RunDir, stdinFIFO)
	if m.cfg.Runtime.Checkpoints {
		flags := unix.O_RDWR
		if m.cfg.StdinOnce {
			flags = unix.O_RDONLY
		}
		theirs, ours, err := openPipe(path, true, flags)
		if err != nil {
			return err
		}
		s.close = append(s.close, func() { unix.Close(theirs) })
		s.files[0] = uintptr(theirs)
		s.stdin = os.NewFile(uintptr(ours), path)
		return nil
	}
	if err := makeFIFO(path); err != nil {
		return err
	}
	// fifo(7): with one end open already no open(2) of the other waits.
	both, err := openFD(path, unix.O_RDWR)
	if err != nil {
		return err
	}
	theirs := both
	if m.cfg.StdinOnce {
		theirs, err = openFD(path, unix.O_RDONLY)
	}
	var ours int
	if err == nil {
		ours, err = openFD(path, unix.O_WRONLY|unix.O_NONBLOCK)
	}
	if theirs != both {
		unix.Close(both)
	}
	if theirs >= 0 {
		s.close = append(s.close, func() { unix.Close(theirs) })
	}
	if err != nil {
		return err
	}
	s.files[0] = uintptr(theirs)
	s.stdin = os.NewFile(uintptr(ours), path)
	return nil
}

// reopenFIFOs opens the FIFOs of a container that is adopted. Output that nobody
// has read yet is in them.
func (m *Monitor) reopenFIFOs() (*stdio, error) {
	s := new(stdio)
	if m.cfg.Runtime.Checkpoints {
		return s, m.reopenPipes(s)
	}
	for i, name := range []string{stdoutFIFO, stderrFIFO} {
		if err := s.read(filepath.Join(m.cfg.RunDir, name), byte(ctl.Stdout+i)); err != nil {
			s.abandon()
			return nil, fmt.Errorf("open the container's FIFOs again: %w", err)
		}
	}
	if m.cfg.OpenStdin && !m.cfg.StdinOnce {
		path := filepath.Join(m.cfg.RunDir, stdinFIFO)
		if fd, err := openFD(path, unix.O_WRONLY|unix.O_NONBLOCK); err == nil { // ENXIO: nobody reads it any more
			s.stdin = os.NewFile(uintptr(fd), path)
		}
	}
	return s, nil
}

// reopenPipes is reopenFIFOs for pipes.
func (m *Monitor) reopenPipes(s *stdio) error {
	for i, name := range []string{stdoutFIFO, stderrFIFO} {
		path := filepath.Join(m.cfg.RunDir, name)
		fd, err := m.reopenPipe(path, unix.O_RDONLY)
		if err != nil {
			s.abandon()
			return fmt.Errorf("open the container's pipes again: %w", err)
		}
		if fd >= 0 {
			s.streams = append(s.streams, stream{name: byte(ctl.Stdout + i), f: os.NewFile(uintptr(fd), path)})
		}
	}
	if m.cfg.OpenStdin && !m.cfg.StdinOnce {
		path := filepath.Join(m.cfg.RunDir, stdinFIFO)
		if fd, err := m.reopenPipe(path, unix.O_WRONLY); err == nil && fd >= 0 {
			s.stdin = os.NewFile(uintptr(fd), path)
		}
	}
	return nil
}

func (m *Monitor) removeFIFOs() {
	for _, name := range []string{stdinFIFO, stdoutFIFO, stderrFIFO} {
		os.Remove(filepath.Join(m.cfg.RunDir, name))
	}
}

func makeFIFO(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		return &os.PathError{Op: "mkfifo", Path: path, Err: err}
	}
	return nil
}

func openFD(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, &os.PathError{Op: "open", Path: path, Err: err}
		}
		return fd, nil
	}
}

// input is the container's standard input; the data of all clients goes into it.
type input struct {
	ready chan struct{} // closed when the first start has succeeded or failed

	mu   sync.Mutex // guards the fields below, and is not held while a write waits
	set  bool       // ready is closed
	f    *os.File   // nil for none
	once bool       // its end is told to the container
	tty  bool
}

// open gives the input of a newly started container; f is nil where it has none.
func (in *input) open(f *os.File, once, tty bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.f, in.once, in.tty = f, once, tty
	in.isSet()
}

// isSet requires in.mu.
func (in *input) isSet() {
	if !in.set {
		in.set = true
		close(in.ready)
	}
}

// write waits until the container has been started and has taken the data. A
// container that has closed its input, or has none, loses it.
func (in *input) write(p []byte) {
	<-in.ready
	in.mu.Lock()
	f := in.f
	in.mu.Unlock()
	if f == nil {
		return
	}
	if _, err := f.Write(p); errors.Is(err, syscall.EPIPE) {
		in.close()
	}
}

// eof tells the container that a client's input has ended, where it is to know.
func (in *input) eof() {
	<-in.ready
	in.mu.Lock()
	end := in.once && !in.tty
	in.mu.Unlock()
	if end {
		in.close()
	}
}

// close ends the input; the terminal is closed by who reads it.
func (in *input) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.f != nil && !in.tty {
		in.f.Close()
	}
	in.f = nil
	in.isSet()
}

// checkStreams refuses a caller's file or terminal as a process's standard stream: the OCI runtime would give it away, see ctl.Givable.
func checkStreams(files []*os.File) error {
	if len(files) != 3 {
		return fmt.Errorf("the request has %d files, want stdin, stdout and stderr", len(files))
	}
	for i, f := range files {
		if !ctl.Givable(f) {
			return fmt.Errorf("the request's file %d is neither a pipe nor a socket nor %s", i, os.DevNull)
		}
	}
	return nil
}
