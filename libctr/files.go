// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/berth-containers/berth/libctr/ctl"
	"golang.org/x/sys/unix"
)

// ownedFiles are what a process in a container gets as stdin, stdout and stderr. A file or a terminal of the caller's would be given
// to the container's user: see ctl.Givable. Such are copied through a pipe.
type ownedFiles struct {
	files  [3]*os.File
	ours   []*os.File // to be closed once the process has them
	copies []outputCopy
	copied sync.WaitGroup
}

// outputCopy is an output that goes through a pipe.
type outputCopy struct{ from, to *os.File }

// processFiles prepares the caller's files; a nil one is /dev/null.
func processFiles(stdin, stdout, stderr *os.File) (o *ownedFiles, err error) {
	o = new(ownedFiles)
	for i, f := range []*os.File{stdin, stdout, stderr} {
		if f == nil {
			if f, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
				o.close()
				return nil, err
			}
			o.ours = append(o.ours, f)
		}
		if o.files[i] = f; ctl.Givable(f) {
			continue
		}
		r, w, err := os.Pipe()
		if err != nil {
			o.close()
			return nil, err
		}
		theirs := w
		if i == 0 {
			theirs = r
		}
		o.files[i], o.ours = theirs, append(o.ours, theirs)
		if err := unix.SetNonblock(int(theirs.Fd()), false); err != nil { // as programs expect of their streams
			o.close()
			return nil, err
		}
		if i == 0 {
			go func() { // it may be left waiting for input when the process has ended
				_, _ = io.Copy(w, f)
				w.Close()
			}()
			continue
		}
		o.copies = append(o.copies, outputCopy{r, f})
		o.copied.Go(func() {
			if _, err := io.Copy(f, r); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				_, _ = io.Copy(io.Discard, r) // the caller's end is closed; the process must not wait for it
			}
		})
	}
	return o, nil
}

// given closes what the process has its own copies of, so that its end can be seen.
func (o *ownedFiles) given() {
	for _, f := range o.ours {
		f.Close()
	}
	o.ours = nil
}

// drain copies what the process, which has ended, has written. It does not wait for processes that
// it left behind and that have its output still open.
func (o *ownedFiles) drain() {
	o.given()
	for _, c := range o.copies {
		_ = c.from.SetReadDeadline(time.Now()) // ends the copy after what it has in hand
	}
	o.copied.Wait()
	for _, c := range o.copies {
		c.rest()
		c.from.Close()
	}
	o.copies = nil
}

// rest copies what is in the pipe without waiting for more.
func (c outputCopy) rest() {
	raw, err := c.from.SyscallConn()
	if err != nil {
		return
	}
	buf := make([]byte, 64<<10)
	_ = raw.Control(func(fd uintptr) {
		for {
			n, err := unix.Read(int(fd), buf) // os.Pipe's are non-blocking
			if err == unix.EINTR {
				continue
			}
			if n <= 0 {
				return
			}
			if _, err := c.to.Write(buf[:n]); err != nil {
				return
			}
		}
	})
}

func (o *ownedFiles) close() { o.given() }
