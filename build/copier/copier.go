// SPDX-License-Identifier: Apache-2.0

// Package copier is what this program does in place of buildah's own helper when that is to copy files for ADD and COPY: see
// docs/decisions/0019. buildah (1.44, copier/copier.go) runs this program again, with a request as JSON on standard
// input and a tar stream on descriptor 3 or 4. Here the request and the stream go through what Docker's rules ask for, and
// then to buildah's helper, in the same process.
package copier

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"go.podman.io/storage/pkg/reexec"
	"golang.org/x/sys/unix"
)

const (
	helperName = "buildah-copier"
	planFile   = "copier.json"   // in TMPDIR, which is the build's own
	mountsFile = "copier.mounts" // likewise
)

// Plan is what all copies of a build have to know.
type Plan struct {
	Ignore   []string            `json:"ignore,omitempty"`   // patterns of the context's ignore file
	Contexts map[string][]string `json:"contexts,omitempty"` // those of other contexts, by directory
}

// Write keeps the plan in the build's temporary directory, for the helpers to find.
func (p Plan) Write(tmp string) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(tmp, planFile), data, 0o600)
}

// mounted is a working container and where its root file system is.
type mounted struct {
	Container string `json:"container"`
	Dir       string `json:"dir"`
}

// Mounts tells the helpers where working containers are. It is safe for use by several goroutines.
type Mounts struct {
	tmp  string
	mu   sync.Mutex
	told map[mounted]bool
}

// NewMounts returns what notes the mounts of the build whose temporary directory is given.
func NewMounts(tmp string) *Mounts { return &Mounts{tmp: tmp, told: map[mounted]bool{}} }

// Note notes that a container is mounted at a directory.
func (m *Mounts) Note(container, dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := mounted{container, dir}
	if m.told[c] {
		return nil
	}
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(m.tmp, mountsFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	m.told[c] = err == nil
	return errors.Join(err, f.Close())
}

func readMounts(tmp string) ([]mounted, error) {
	f, err := os.Open(filepath.Join(tmp, mountsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []mounted
	for d := json.NewDecoder(f); ; {
		var m mounted
		if err := d.Decode(&m); err == io.EOF {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
}

// Help does the helper's work, where this program was started for that in a build that has a plan. It returns false where
// it has nothing to do.
func Help(args []string) bool {
	if len(args) == 0 || args[0] != helperName {
		return false
	}
	tmp := os.Getenv("TMPDIR")
	data, err := os.ReadFile(filepath.Join(tmp, planFile))
	if err != nil {
		return false // no build of ours
	}
	h := &helper{tmp: tmp}
	if err = json.Unmarshal(data, &h.plan); err == nil {
		err = h.run()
	}
	if err != nil {
		fail(err)
	}
	return true
}

// fail ends the helper; what it prints is the error that buildah tells.
func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

type helper struct {
	tmp  string
	plan Plan
	work sync.WaitGroup
	ends []io.Closer // to be closed when buildah's helper is done
}

// request is the part of buildah's request that is looked at; the rest is passed on as it is.
type request struct {
	kind, root, dir string
	globs           []string
	fields          map[string]json.RawMessage
}

func (q *request) set(name string, value any) error {
	data, err := json.Marshal(value)
	q.fields[name] = data
	return err
}

func parseRequest(d *json.Decoder) (*request, error) {
	q := &request{}
	if err := d.Decode(&q.fields); err != nil {
		return nil, fmt.Errorf("read what to copy: %w", err)
	}
	for name, to := range map[string]any{"Request": &q.kind, "Root": &q.root, "Directory": &q.dir, "Globs": &q.globs} {
		if data, ok := q.fields[name]; ok {
			if err := json.Unmarshal(data, to); err != nil {
				return nil, fmt.Errorf("read what to copy: %s: %w", name, err)
			}
		}
	}
	return q, nil
}

// run reads the first request, puts itself between buildah's two sides, and is then buildah's helper.
func (h *helper) run() error {
	d := json.NewDecoder(os.Stdin)
	q, err := parseRequest(d)
	if err != nil {
		return err
	}
	switch q.kind {
	case "STAT":
		err = h.stat(q)
	case "GET":
		err = h.get(q)
	case "PUT":
		err = h.put(q)
	case "MKDIR":
		err = h.mkdir(q)
	}
	if err != nil {
		return err
	}
	first, err := json.Marshal(q.fields)
	if err != nil {
		return err
	}
	in := io.MultiReader(strings.NewReader(string(first)+"\n"), d.Buffered(), os.Stdin)
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	go func() { // ends with the process: buildah may leave its end open
		_, _ = io.Copy(w, in)
		w.Close()
	}()
	os.Stdin = r
	if !reexec.Init() {
		return errors.New("buildah has no helper of this name any more")
	}
	for _, c := range h.ends {
		c.Close()
	}
	h.work.Wait()
	return nil
}

// output puts a filter behind a descriptor that buildah's helper writes to.
func (h *helper) output(fd int, filter func(w io.Writer, r io.Reader) error) error {
	to, err := moved(fd)
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if err := unix.Dup2(int(w.Fd()), fd); err != nil {
		return err
	}
	h.ends = append(h.ends, w, descriptor(fd))
	h.work.Go(func() {
		if err := filter(to, r); err != nil {
			fail(err)
		}
		to.Close()
	})
	return nil
}

// input puts a filter before a descriptor that buildah's helper reads from.
func (h *helper) input(fd int, filter func(w io.Writer, r io.Reader) error) error {
	from, err := moved(fd)
	if err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	if err := unix.Dup2(int(r.Fd()), fd); err != nil {
		return err
	}
	r.Close()
	go func() { // buildah's helper fails, or reads to the end
		if err := filter(w, from); err != nil {
			// Else buildah tells that its writer failed, too, and that first. What was refused may have no end.
			_, _ = io.CopyN(io.Discard, from, 64<<20)
			fail(err)
		}
		w.Close()
	}()
	return nil
}

// moved gives a descriptor another number.
func moved(fd int) (*os.File, error) {
	n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 10)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(n), "stream"), nil
}

type descriptor int

func (d descriptor) Close() error { return unix.Close(int(d)) }
