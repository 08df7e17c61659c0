// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/berth-containers/berth/internal/flock"
	"golang.org/x/sys/unix"
)

// A journal lists the layers that one process may leave without an owner if it dies, one ID a line. Its file is locked
// (flock) while the process lives. It is made with the first line.
type journal struct {
	dir string // of all journals

	mu    sync.Mutex // guards the fields below
	file  *os.File
	noted map[string]bool
}

// journalDir is where the journals of a store are.
func journalDir(graphRoot string) string { return filepath.Join(graphRoot, "berth", "layers") }

// lockDir takes the lock of the directory of journals: shared by those who write to their journals and look whether a layer is
// there, exclusive by those who decide which layers go and remove them. Neither holds it for long.
func lockDir(dir string, how int) (*os.File, error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) && how == unix.LOCK_SH {
		if err = os.MkdirAll(dir, 0o700); err == nil {
			d, err = os.Open(dir)
		}
	}
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(d.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		d.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return d, nil
}

// note writes IDs down that are not there yet.
func (j *journal) note(ids ...string) error {
	return j.noteFound(func() []string { return ids })
}

// noteFound writes down the layers that find returns. Between the look for them and the note nobody removes them.
func (j *journal) noteFound(find func() []string) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	lock, err := lockDir(j.dir, unix.LOCK_SH)
	if err != nil {
		return fmt.Errorf("note a layer: %w", err)
	}
	defer lock.Close()
	var lines strings.Builder
	ids := find()
	for _, id := range ids {
		if id != "" && !j.noted[id] {
			lines.WriteString(id + "\n")
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	if j.file == nil {
		if err := j.create(); err != nil {
			return fmt.Errorf("note a layer: %w", err)
		}
	}
	if _, err := io.WriteString(j.file, lines.String()); err != nil {
		return fmt.Errorf("note a layer: %w", err)
	}
	for _, id := range ids {
		j.noted[id] = true
	}
	return nil
}

// create requires j.mu and the directory's shared lock: nobody takes the file for a dead process's before it is locked.
func (j *journal) create() error {
	var b [6]byte
	rand.Read(b[:]) // never fails: crypto/rand.Read
	f, err := os.OpenFile(filepath.Join(j.dir, hex.EncodeToString(b[:])), os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	j.file, j.noted = f, map[string]bool{}
	return nil
}

// close gives up the lock. What is in the journal is a dead process's then.
func (j *journal) close() (made bool, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.file == nil {
		return false, nil
	}
	err = j.file.Close()
	j.file, j.noted = nil, nil
	return true, err
}

// journals are those of a store at one moment.
type journals struct {
	live map[string]bool     // layers that living processes have noted
	dead map[string]bool     // layers that dead ones have noted
	gone map[string][]string // the same, by the dead ones' files
}

// readJournals requires the directory's exclusive lock.
func readJournals(dir string) (*journals, error) {
	js := &journals{live: map[string]bool{}, dead: map[string]bool{}, gone: map[string][]string{}}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, d := range entries {
		path := filepath.Join(dir, d.Name())
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		into := js.dead
		switch err := flock.Try(f, unix.LOCK_SH); {
		case errors.Is(err, unix.EWOULDBLOCK):
			into = js.live
		case err != nil:
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		default:
			js.gone[path] = nil
		}
		text, err := io.ReadAll(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return nil, err
		}
		for line := range bytes.Lines(text) {
			if id := string(bytes.TrimSuffix(line, []byte("\n"))); len(id) < len(line) { // else it was cut short, and no layer was made
				into[id] = true
				if _, dead := js.gone[path]; dead {
					js.gone[path] = append(js.gone[path], id)
				}
			}
		}
	}
	return js, nil
}

// forget removes the journals of dead processes that name no layer which is needed still.
func (js *journals) forget(needed func(id string) bool) error {
	var errs []error
	for path, ids := range js.gone {
		if slices.ContainsFunc(ids, needed) {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// AnyDead reports whether a process that has died left a journal in a store; it costs one look where there is none.
func AnyDead(graphRoot string) bool {
	entries, err := os.ReadDir(journalDir(graphRoot))
	if err != nil {
		return false
	}
	for _, d := range entries {
		f, err := os.Open(filepath.Join(journalDir(graphRoot), d.Name()))
		if err != nil {
			continue
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		f.Close()
		if err == nil {
			return true
		}
	}
	return false
}
