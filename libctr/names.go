// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"syscall"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// A name is taken by making DATA/names/NAME, a symbolic link to the ID: symlink(2) fails where there
// is one. A link whose container is gone, or has another name, counts for nothing: a rename that was killed leaves the latter.

func (e *Engine) namePath(name string) string { return filepath.Join(e.data, "names", name) }

func (e *Engine) nameID(name string) (string, error) {
	if !record.ValidName(name) {
		return "", fs.ErrNotExist
	}
	return os.Readlink(e.namePath(name))
}

// takeName gives name to the container id, whose directory exists already.
// The error wraps ErrNameInUse.
func (e *Engine) takeName(name, id string, durable bool) error {
	return e.takeNameOr(name, id, durable, func() error {
		names, err := e.lockNames()
		if err != nil {
			return err
		}
		defer names.Close()
		return e.takeStaleName(name, id)
	})
}

// takeNameLocked is takeName for who holds the lock of the names.
func (e *Engine) takeNameLocked(name, id string, durable bool) error {
	return e.takeNameOr(name, id, durable, func() error { return e.takeStaleName(name, id) })
}

func (e *Engine) takeNameOr(name, id string, durable bool, takeStale func() error) error {
	if !record.ValidName(name) {
		return fmt.Errorf("name %q: names must match [a-zA-Z0-9][a-zA-Z0-9_.-]*: %w", name, fs.ErrInvalid)
	}
	err := os.Symlink(id, e.namePath(name))
	if errors.Is(err, fs.ErrExist) {
		err = takeStale()
	}
	if err == nil && durable {
		err = atomicfile.Sync(filepath.Dir(e.namePath(name)))
	}
	if err != nil && !errors.Is(err, ErrNameInUse) {
		return fmt.Errorf("take the name %q: %w", name, err)
	}
	return err
}

// lockNames takes the lock of all names, which ends when the file is closed. It is not needed to take a name that is free.
func (e *Engine) lockNames() (*os.File, error) {
	dir, err := os.Open(filepath.Join(e.data, "names"))
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX); err != nil {
		dir.Close()
		return nil, fmt.Errorf("lock %s: %w", dir.Name(), err)
	}
	return dir, nil
}

// takeStaleName takes a name over from a container that is not there any more. Two commands
// may find that at once: the lock, which the caller holds, lets one of them replace the link.
func (e *Engine) takeStaleName(name, id string) error {
	if owner, err := os.Readlink(e.namePath(name)); err == nil && e.bears(owner, name) {
		return hint.Add(fmt.Errorf("the container name %q is already in use by %s. You have to remove that container to be able to reuse that name: %w", name, owner, ErrNameInUse),
			"remove it with: %s, or choose another %s", hint.To(hint.RemoveContainer, name), field.Name("name"))
	}
	if err := os.Remove(e.namePath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(id, e.namePath(name))
}

// bears reports whether a container has that name, or is being made and may. The caller holds the lock of the names, so none is being renamed.
func (e *Engine) bears(id, name string) bool {
	if c, err := e.load(id); err == nil {
		return c.State.Name == name
	}
	return e.exists(id)
}

// exists reports whether a container, perhaps a half-made one, has a directory.
func (e *Engine) exists(id string) bool {
	if !isID(id) {
		return false
	}
	for _, volatile := range []bool{false, true} {
		dir, _ := e.dirs(id, volatile)
		if _, err := os.Lstat(dir); err == nil {
			return true
		}
	}
	return false
}

// dropName gives a name up, if it is the container's own.
func (e *Engine) dropName(name, id string) error {
	if owner, err := e.nameID(name); err != nil || owner != id {
		return nil
	}
	if err := os.Remove(e.namePath(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// dropStaleName gives a name up that leads to a container of another name.
func (e *Engine) dropStaleName(name, id string) error {
	lock, err := e.lockNames()
	if err != nil {
		return err
	}
	defer lock.Close()
	if e.bears(id, name) {
		return nil
	}
	return e.dropName(name, id)
}

func newID() string {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// randomName makes a name for a container that was given none.
func randomName() string {
	pick := func(words []string) string {
		n, _ := rand.Int(rand.Reader, big.NewInt(int64(len(words))))
		return words[n.Int64()]
	}
	return pick(adjectives) + "_" + pick(harbours)
}

var adjectives = []string{"able", "ample", "brave", "brisk", "calm", "clear", "clever", "deft", "eager", "early", "fair", "fleet", "fond", "fresh", "gentle",
	"glad", "grand", "hardy", "hearty", "honest", "humble", "jolly", "keen", "kind", "lively", "loyal", "lucid", "merry", "mild", "neat", "nimble", "noble", "patient",
	"placid", "plain", "proud", "quick", "quiet", "rapid", "ready", "robust", "salty", "sandy", "serene", "sharp", "silent", "smart", "smooth", "sober", "solid", "stable",
	"steady", "stout", "sunny", "swift", "tidal", "tidy", "trim", "true", "vivid", "warm", "wise", "witty", "young", "zesty"}

var harbours = []string{"aalborg", "aden", "algiers", "antwerp", "auckland", "bahia", "bergen", "bilbao", "boston", "bremen", "brest", "brindisi", "busan", "cadiz", "calais",
	"cardiff", "catania", "cork", "corinth", "dakar", "danzig", "darwin", "dover", "durban", "elba", "galway", "genoa", "ghent", "haifa", "halifax", "hamburg", "havana", "hilo",
	"hobart", "izmir", "kiel", "kobe", "lagos", "leith", "lisbon", "lome", "lubeck", "malaga", "malmo", "marseille", "mombasa", "narvik", "odessa", "oporto", "osaka", "oslo",
	"ostend", "palermo", "perth", "piraeus", "ravenna", "riga", "rostock", "rotterdam", "salerno", "santos", "sydney", "tallinn", "tampico", "tangier", "toulon", "trieste",
	"tromso", "turku", "tyre", "valletta", "varna", "venice", "vigo", "yokohama", "zadar"}
