// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/lockfile"
	"golang.org/x/sys/unix"
)

// Stray is a file or directory of a store that no record names.
type Stray struct {
	What string // a sentence: what, where
	Path string

	lock string // whoever writes there holds this lock
}

// walker compares directories with records. The locks are those of the storage library, which any engine takes to make a
// directory and its record: with one held, what has no record is of a process that has died.
type walker struct {
	graph, run, driver string
	home               string // of the driver
	found              []Stray
}

// Strays walks a store's directories and lists what no record names.
func Strays(store storage.Store) ([]Stray, error) {
	w := newWalker(store)
	err := w.walk()
	return w.found, err
}

// Remove removes a stray, unless it has a record by now, or is in use.
func (s Stray) Remove(store storage.Store) error {
	l, err := lockfile.GetLockFile(s.lock)
	if err != nil {
		return fmt.Errorf("lock %s: %w", s.lock, err)
	}
	l.Lock()
	defer l.Unlock()
	w := newWalker(store)
	for _, step := range w.steps() {
		if step.lock == s.lock {
			if err := step.look(step.lock); err != nil {
				return err
			}
		}
	}
	if !slices.ContainsFunc(w.found, func(f Stray) bool { return f.Path == s.Path }) {
		return nil
	}
	if strings.HasPrefix(s.Path, w.home+"/") {
		if at := usedBy(s.Path); at != "" {
			return fmt.Errorf("it is mounted still, in process %s", at)
		}
	}
	return os.RemoveAll(s.Path)
}

func newWalker(store storage.Store) *walker {
	w := &walker{graph: store.GraphRoot(), run: store.RunRoot(), driver: store.GraphDriverName()}
	w.home = filepath.Join(w.graph, w.driver)
	if w.driver == "vfs" {
		w.home = filepath.Join(w.home, "dir")
	}
	return w
}

type step struct {
	lock string
	look func(lock string) error
}

func (w *walker) steps() []step {
	runLayers := w.dir(w.run, "layers")
	images, containers := w.dir(w.graph, "images"), w.dir(w.graph, "containers")
	return []step{
		{w.layersLock(), w.layers},
		{filepath.Join(runLayers, "mountpoints.lock"), func(lock string) error { return w.temporary(runLayers, lock) }},
		{filepath.Join(images, "images.lock"), w.images},
		{filepath.Join(containers, "containers.lock"), w.containers},
	}
}

func (w *walker) walk() error {
	for _, step := range w.steps() {
		if _, err := os.Lstat(step.lock); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		l, err := lockfile.GetLockFile(step.lock)
		if err != nil {
			return fmt.Errorf("lock %s: %w", step.lock, err)
		}
		l.RLock()
		err = step.look(step.lock)
		l.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// layersLock is the lock of whoever changes layers or their records.
func (w *walker) layersLock() string { return filepath.Join(w.dir(w.graph, "layers"), "layers.lock") }

func (w *walker) dir(root, kind string) string { return filepath.Join(root, w.driver+"-"+kind) }

func (w *walker) stray(lock, path, format string, args ...any) {
	w.found = append(w.found, Stray{What: fmt.Sprintf(format, args...) + ": " + path, Path: path, lock: lock})
}

// entry is what the records of layers, images and containers have in common here.
type entry struct {
	ID   string   `json:"id"`
	Data []string `json:"big-data-names"`
}

// read reads records; a file that is not there has none.
func read(files ...string) (map[string]entry, error) {
	all := map[string]entry{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
			continue
		}
		if err != nil {
			return nil, err
		}
		var list []entry
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("read %s: %w", f, err)
		}
		for _, e := range list {
			all[e.ID] = e
		}
	}
	return all, nil
}

// isID matches the names that the library gives layers, images and containers; other names are not its own.
var isID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9a-f]{64}$`) })

func (w *walker) layers(lock string) error {
	dir := w.dir(w.graph, "layers")
	known, err := read(filepath.Join(dir, "layers.json"), filepath.Join(dir, "volatile-layers.json"),
		filepath.Join(w.dir(w.run, "layers"), "volatile-layers.json"))
	if err != nil {
		return err
	}
	if err := w.temporary(dir, lock); err != nil {
		return err
	}
	if err := w.unnamed(w.home, lock, "directory of a layer that is in no record", known); err != nil {
		return err
	}
	if err := w.unnamed(dir, lock, "data of a layer that is in no record", known); err != nil {
		return err
	}
	for id, l := range known {
		if err := w.data(filepath.Join(dir, id), lock, l); err != nil {
			return err
		}
	}
	if w.driver != "overlay" {
		return nil
	}
	if err := w.links(lock, known); err != nil {
		return err
	}
	return w.staging(lock)
}

// links looks for short links that no layer has.
func (w *walker) links(lock string, known map[string]entry) error {
	entries, err := readDir(filepath.Join(w.home, "l"))
	if err != nil {
		return err
	}
	for _, d := range entries {
		path := filepath.Join(w.home, "l", d.Name())
		to, err := os.Readlink(path)
		if err != nil {
			continue
		}
		id := filepath.Base(filepath.Dir(to))
		if _, ok := known[id]; ok {
			// One that was killed while its link was made has none, or gets another.
			if name, err := os.ReadFile(filepath.Join(w.home, id, "link")); err != nil || string(name) == d.Name() || len(name) == 0 {
				continue
			}
		}
		w.stray(lock, path, "short link of a layer that is gone")
	}
	return nil
}

// staging looks for directories that pulls of parts of layers (zstd:chunked) were unpacked to. Each has a lock of its own.
func (w *walker) staging(lock string) error {
	dir := filepath.Join(w.home, "staging")
	entries, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, d := range entries {
		path := filepath.Join(dir, d.Name())
		f, err := os.OpenFile(filepath.Join(path, "staging.lock"), os.O_RDWR, 0)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err != nil {
			if st, err := os.Lstat(path); err != nil || st.ModTime().After(bootTime()) {
				continue // its lock comes right after it
			}
		} else {
			err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
			f.Close()
			if err != nil {
				continue // somebody is at work there
			}
		}
		w.stray(lock, path, "half a layer of a killed pull")
	}
	return nil
}

func (w *walker) images(lock string) error {
	dir := w.dir(w.graph, "images")
	known, err := read(filepath.Join(dir, "images.json"))
	if err != nil {
		return err
	}
	if err := w.temporary(dir, lock); err != nil {
		return err
	}
	for id, img := range known {
		if err := w.data(filepath.Join(dir, id), lock, img); err != nil {
			return err
		}
	}
	return w.unnamed(dir, lock, "data of an image that is in no record", known)
}

func (w *walker) containers(lock string) error {
	dir, runDir := w.dir(w.graph, "containers"), w.dir(w.run, "containers")
	known, err := read(filepath.Join(dir, "containers.json"), filepath.Join(dir, "volatile-containers.json"), filepath.Join(runDir, "volatile-containers.json"))
	if err != nil {
		return err
	}
	for _, d := range []string{dir, runDir} {
		if err := w.temporary(d, lock); err != nil {
			return err
		}
		if err := w.unnamed(d, lock, "directory of a container that is in no record", known); err != nil {
			return err
		}
	}
	for id := range known {
		if err := w.temporary(filepath.Join(dir, id), lock); err != nil {
			return err
		}
	}
	return nil
}

// unnamed finds what is called by an ID that has no record.
func (w *walker) unnamed(dir, lock, what string, known map[string]entry) error {
	entries, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, d := range entries {
		id := strings.TrimSuffix(d.Name(), ".tar-split.gz")
		if _, ok := known[id]; !ok && isID().MatchString(id) {
			w.stray(lock, filepath.Join(dir, d.Name()), "%s", what)
		}
	}
	return nil
}

// data finds files in a directory of data items that the record does not list.
func (w *walker) data(dir, lock string, e entry) error {
	entries, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, d := range entries {
		if !slices.ContainsFunc(e.Data, func(key string) bool { return dataName(key) == d.Name() }) {
			w.stray(lock, filepath.Join(dir, d.Name()), "data that is in no record")
		}
	}
	return nil
}

// temporary finds what was to replace a file when its writer was killed.
func (w *walker) temporary(dir, lock string) error {
	entries, err := readDir(dir)
	if err != nil {
		return err
	}
	for _, d := range entries {
		if strings.HasPrefix(d.Name(), ".tmp-") {
			w.stray(lock, filepath.Join(dir, d.Name()), "temporary file of a command that was killed")
		}
	}
	return nil
}

// dataName is the name of the file that a data item is in (containers/storage, makeBigDataBaseName).
func dataName(key string) string {
	if strings.Trim(key, ".0123456789abcdefghijklmnopqrstuvwxyz") == "" {
		return key
	}
	return "=" + base64.StdEncoding.EncodeToString([]byte(key))
}

// usedBy names a process in whose namespace a layer's directory is mounted, as an overlay or otherwise; or none. Whoever has the
// store with another RUNROOT may have records that are not in this one.
func usedBy(path string) string {
	tables, err := filepath.Glob("/proc/[0-9]*/mountinfo")
	if err != nil {
		return ""
	}
	seen := map[string]bool{}
	for _, t := range tables {
		ns, err := os.Readlink(filepath.Join(filepath.Dir(t), "ns/mnt"))
		if err == nil && seen[ns] {
			continue
		}
		text, err := os.ReadFile(t)
		if err != nil {
			continue
		}
		if seen[ns] = true; strings.Contains(string(text), filepath.Base(path)) {
			return filepath.Base(filepath.Dir(t))
		}
	}
	return ""
}

func readDir(dir string) ([]fs.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return entries, err
}
