// SPDX-License-Identifier: Apache-2.0

package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/build/copier"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/rootless"
	"go.podman.io/common/libimage"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/storage"
)

// A memo remembers what a whole build made. buildah finds each cached step by making a container of the step before,
// copying files into it and reading all images: a build of 30 steps of which none is new takes seconds. When nothing
// at all that a build depends on has changed since an equal one, its memo has the answer at once.
//
// What a build depends on is hashed to the memo's name: the flags, the Containerfiles, the names of all local images
// and what they stand for, configuration files, this program, and of each file in the context that is not ignored all that
// stat(2) says: a file cannot be changed without a new change time. Where a flag or an instruction could depend on anything
// else, there is no memo, and buildah looks step by step.
type memo struct {
	Version int     `json:"version"`
	Image   string  `json:"image"`
	Steps   []Event `json:"steps"` // StepDone of each, to be shown again; and warnings
}

const memoVersion = 1

// keptMemos is how many there are at most.
const keptMemos = 256

// racy is how much older than the build a file's last change must be: a change right after the look at it
// may have got the same time.
const racy = 100 * time.Millisecond

// memoFlags are the flags that a build with a memo may have: those whose effect is in the image, and is the same each
// time, or that have none on it. With any other there is no memo.
const memoFlags = ` 
	add-host annotation arch authfile build-arg build-arg-file cap-add cap-drop cert-dir compat-volumes cpu-period cpu-quota
	cpu-shares cpuset-cpus cpuset-mems created-annotation creds device dns dns-option dns-search env file force-rm format group-add
	http-proxy identity-label ignorefile iidfile iidfile-raw inherit-annotations inherit-labels isolation jobs label layers memory
	memory-swap network no-hostname no-hosts omit-history os platform progress pull quiet retry retry-delay rewrite-timestamp rm secret
	security-opt shm-size skip-unused-stages source-date-epoch ssh tag target timestamp tls-verify ulimit unsetannotation unsetenv
	unsetlabel userns variant
	load push builder provenance attest allow
	locked offline profile param
	root runroot tmpdir storage-driver storage-opt runtime runtime-flag cgroup-manager events-backend module log-level noout`

// resultFlags are those of them that do not change what is built.
const resultFlags = "load push builder provenance attest allow tag quiet progress iidfile iidfile-raw jobs retry retry-delay rm force-rm log-level noout events-backend authfile creds"

// memoKeeper looks for a build's memo, and writes it.
type memoKeeper struct {
	dir   string
	store storage.Store
	opts  *Options
	began time.Time

	fixed    []byte            // hash of what is not in the context or the store
	excludes []string          // what is not hashed of the context
	context  []byte            // hash of the context
	names    map[string]string // names of local images
	steps    []Event
}

// memoDir is where the memos are.
func memoDir(e *libctr.Engine) string { return filepath.Join(e.DataDir(), "buildmemos") }

// newMemoKeeper returns nil for a build that can have no memo.
func newMemoKeeper(e *libctr.Engine, store storage.Store, o *Options) (*memoKeeper, error) {
	if o.Flags == nil || !o.Layers || o.NoCache || len(o.Platforms) > 1 || len(o.AdditionalBuildContexts) > 0 {
		return nil, nil
	}
	allowed := strings.Fields(memoFlags)
	for name, value := range o.Flags {
		if !slices.Contains(allowed, name) || name == "pull" && value != "missing" && value != "never" {
			return nil, nil
		}
	}
	k := &memoKeeper{dir: memoDir(e), store: store, opts: o, began: time.Now()}
	h := sha256.New()
	texts, err := k.texts()
	if err != nil || texts == nil {
		return nil, err
	}
	if err := k.hashFixed(h, texts, e); err != nil {
		return nil, err
	}
	k.fixed = h.Sum(nil)
	if k.names, err = imageNames(store); err != nil {
		return nil, err
	}
	var newest time.Time
	k.excludes = o.Excludes
	if slices.ContainsFunc(texts, func(t []byte) bool { return strings.Contains(string(t), "--mount") }) {
		k.excludes = nil // RUN --mount of the context has all files
	}
	k.context, newest, err = hashContext(o.ContextDirectory, k.excludes)
	if err != nil {
		return nil, err
	}
	if k.began.Sub(newest) < racy {
		k.began = time.Time{} // there may be a memo, but none is written
	}
	return k, nil
}

var (
	addWord    = lazy(`(?im)^\s*(ONBUILD\s+)?ADD\b`)
	sourceWord = lazy(`(?im)(?:^\s*FROM(?:\s+--\S+)*\s+|--from=|\bfrom=)"?([^\s,"]+)`)
	transport  = lazy(`^(oci|oci-archive|docker-archive|dir|docker|docker-daemon|ostree|sif|containers-storage|https?|git):`)
)

// texts returns the Containerfiles, or nil if one of them fetches something again each time.
func (k *memoKeeper) texts() ([][]byte, error) {
	var texts [][]byte
	for _, f := range k.opts.Files {
		text, err := os.ReadFile(f)
		if errors.Is(err, fs.ErrNotExist) && !filepath.IsAbs(f) {
			text, err = os.ReadFile(filepath.Join(k.opts.ContextDirectory, f))
		}
		if err != nil {
			return nil, nil // buildah says so
		}
		remote := slices.ContainsFunc([]string{"://", "git@", "github.com/", "$"}, func(s string) bool { return strings.Contains(string(text), s) })
		if addWord().Match(text) && remote {
			return nil, nil
		}
		for _, m := range sourceWord().FindAllSubmatch(text, -1) {
			if transport().Match(m[1]) {
				return nil, nil
			}
		}
		texts = append(texts, text)
	}
	return texts, nil
}

func (k *memoKeeper) hashFixed(h hash.Hash, texts [][]byte, e *libctr.Engine) error {
	flags := maps.Clone(k.opts.Flags)
	for _, name := range strings.Fields(resultFlags) {
		delete(flags, name)
	}
	delete(flags, "file") // its text is hashed; its name may be a temporary one
	in := struct {
		Version  int
		Flags    map[string]string
		Args     map[string]string
		Env      []string
		Texts    [][]byte
		Excludes []string
		Context  string
		User     int
		Proxies  []string
	}{memoVersion, flags, k.opts.Args, k.opts.Envs, texts, k.opts.Excludes, k.opts.ContextDirectory, rootless.UID(), nil}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "BUILDAH_") || strings.HasPrefix(name, "CONTAINERS_") || name == "SOURCE_DATE_EPOCH" || strings.HasSuffix(strings.ToLower(name), "_proxy") {
			in.Proxies = append(in.Proxies, kv)
		}
	}
	slices.Sort(in.Proxies)
	if err := json.NewEncoder(h).Encode(in); err != nil {
		return err
	}
	home, _ := os.UserHomeDir() // without one there are no files in it
	paths := []string{"/proc/self/exe", "/etc/subuid", "/etc/subgid", "/usr/share/containers", "/etc/containers"}
	if home != "" {
		paths = append(paths, filepath.Join(home, ".config/containers"), filepath.Join(home, ".cache/containers/short-name-aliases.conf"))
	}
	for _, name := range []string{"CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE", "CONTAINERS_STORAGE_CONF", "CONTAINERS_REGISTRIES_CONF"} {
		if p := os.Getenv(name); p != "" {
			paths = append(paths, p)
		}
	}
	for _, p := range paths {
		if err := hashConfig(h, p); err != nil {
			return err
		}
	}
	return nil
}

// hashConfig hashes the stat of a configuration file or of the files in a directory of them.
func hashConfig(h hash.Hash, path string) error {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	hashStat(h, path, st)
	if !st.IsDir() {
		return nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, d := range entries {
		// certs.d, sigstore and the like are about transfers, and auth.json changes with each login
		if d.IsDir() && !strings.HasSuffix(d.Name(), ".conf.d") || strings.HasPrefix(d.Name(), "auth.json") {
			continue
		}
		if err := hashConfig(h, filepath.Join(path, d.Name())); err != nil {
			return err
		}
	}
	return nil
}

func hashStat(h io.Writer, name string, st fs.FileInfo) {
	s := st.Sys().(*syscall.Stat_t)
	fmt.Fprintf(h, "%q %o %d %d %d %d %d %d %d\n", name, st.Mode(), s.Uid, s.Gid, st.Size(), s.Mtim.Nano(), s.Ctim.Nano(), s.Ino, s.Rdev)
}

// hashContext hashes what stat(2) says of all files that the excludes leave, and tells when the last of them was changed.
func hashContext(dir string, excludes []string) (sum []byte, newest time.Time, err error) {
	match, err := copier.NewMatcher(excludes)
	if err != nil {
		return nil, newest, err
	}
	h := sha256.New()
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if name != "." {
			out, err := match.Out(name)
			if err != nil {
				return err
			}
			switch {
			case out && d.IsDir() && !match.Exceptions():
				return filepath.SkipDir
			case out:
				return nil
			}
		}
		st, err := d.Info()
		if err != nil {
			return err
		}
		s := st.Sys().(*syscall.Stat_t)
		if t := time.Unix(s.Ctim.Unix()); t.After(newest) {
			newest = t
		}
		if name == "." || d.IsDir() && match.Exceptions() {
			// The directory changes with files that are ignored; those that are not are hashed themselves.
			fmt.Fprintf(h, "%q %o %d %d\n", name, st.Mode(), s.Uid, s.Gid)
			return nil
		}
		hashStat(h, name, st)
		if st.Mode()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(h, "%q\n", target)
		}
		return nil
	})
	return h.Sum(nil), newest, err
}

func imageNames(store storage.Store) (map[string]string, error) {
	images, err := store.Images()
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, img := range images {
		for _, n := range img.Names {
			names[n] = img.ID
		}
	}
	return names, nil
}

// path is where the memo for the names given is.
func (k *memoKeeper) path(names map[string]string) string {
	h := sha256.New()
	h.Write(k.fixed)
	h.Write(k.context)
	for _, n := range slices.Sorted(maps.Keys(names)) {
		fmt.Fprintf(h, "%s %s\n", n, names[n])
	}
	return filepath.Join(k.dir, hex.EncodeToString(h.Sum(nil)))
}

// find returns the memo of an equal build whose image is there still, or nil.
func (k *memoKeeper) find() *memo {
	data, err := os.ReadFile(k.path(k.names))
	if err != nil {
		return nil
	}
	m := new(memo)
	if json.Unmarshal(data, m) != nil || m.Version != memoVersion {
		return nil
	}
	if _, err := k.store.Image(m.Image); err != nil {
		return nil
	}
	return m
}

// note keeps the steps of a build that is at work.
func (k *memoKeeper) note(e Event) {
	if e.Kind == StepDone || e.Kind == Warning {
		k.steps = append(k.steps, e)
	}
}

// keep writes the memo of a build that made an image, unless something it depends on was changed meanwhile.
func (k *memoKeeper) keep(image string) error {
	if k.began.IsZero() || image == "" {
		return nil
	}
	now, _, err := hashContext(k.opts.ContextDirectory, k.excludes)
	if err != nil || string(now) != string(k.context) {
		return err
	}
	after, err := imageNames(k.store)
	if err != nil {
		return err
	}
	own := k.ownNames()
	before, rest := maps.Clone(k.names), maps.Clone(after)
	for _, n := range own {
		delete(before, n)
		delete(rest, n)
	}
	if !maps.Equal(before, rest) {
		return nil
	}
	data, err := json.Marshal(memo{Version: memoVersion, Image: image, Steps: k.steps})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(k.dir, 0o700); err != nil {
		return err
	}
	paths := []string{k.path(k.names)}
	if !k.readsOwn(own) {
		paths = append(paths, k.path(after))
	}
	for _, p := range paths {
		if err := atomicfile.Write(p, data, 0o600, false); err != nil {
			return err
		}
	}
	return k.forget()
}

// ownNames are the names that the build gives.
func (k *memoKeeper) ownNames() []string {
	var own []string
	for _, n := range append([]string{k.opts.Output}, k.opts.AdditionalTags...) {
		if named, err := libimage.NormalizeName(n); n != "" && err == nil {
			own = append(own, named.String())
		}
	}
	return own
}

// readsOwn reports whether the build may begin with an image that it gives its own name to: then the next
// build is another one.
func (k *memoKeeper) readsOwn(own []string) bool {
	texts, _ := k.texts() // read before
	for _, text := range texts {
		for _, m := range sourceWord().FindAllSubmatch(text, -1) {
			word := string(m[1])
			if strings.Contains(word, "$") {
				return true
			}
			for _, n := range own {
				named, err := reference.ParseNormalizedNamed(n)
				if err != nil || strings.HasSuffix(reference.Path(named), lastPart(word)) {
					return true
				}
			}
		}
	}
	return false
}

// lastPart is a name's last component, without tag and digest.
func lastPart(name string) string {
	name, _, _ = strings.Cut(name[strings.LastIndex(name, "/")+1:], "@")
	name, _, _ = strings.Cut(name, ":")
	return name
}

// forget removes the oldest memos where there are too many.
func (k *memoKeeper) forget() error {
	entries, err := os.ReadDir(k.dir)
	if err != nil || len(entries) <= keptMemos {
		return err
	}
	age := func(d fs.DirEntry) time.Time {
		if st, err := d.Info(); err == nil {
			return st.ModTime()
		}
		return time.Time{}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return age(a).Compare(age(b)) })
	for _, d := range entries[:len(entries)-keptMemos/2] {
		if err := os.Remove(filepath.Join(k.dir, d.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// recall does what is left to do for a build that has a memo: names and files with the ID, and telling of it.
func (k *memoKeeper) recall(m *memo) error {
	show := k.opts.Progress.Show
	for _, e := range m.Steps {
		e.Time = time.Now()
		if e.Kind == Warning {
			show(e)
			continue
		}
		begin, cached, done := e, e, e
		begin.Kind, begin.Image, begin.Seconds, begin.Cached = StepBegins, "", 0, false
		cached.Kind, cached.Text, cached.Seconds, cached.Cached = StepCached, "", 0, false
		done.Cached, done.Seconds = true, 0
		show(begin)
		if e.Image != "" {
			show(cached)
		}
		show(done)
	}
	if own := k.ownNames(); len(own) > 0 {
		for _, n := range own {
			if k.names[n] != m.Image {
				if err := k.store.AddNames(m.Image, []string{n}); err != nil {
					return fmt.Errorf("name the image %s: %w", n, err)
				}
			}
			show(Event{Time: time.Now(), Kind: Tagged, Text: n})
		}
	}
	for _, f := range []struct{ path, text string }{{k.opts.IIDFile, "sha256:" + m.Image}, {k.opts.IIDFileRaw, m.Image}} {
		if f.path == "" {
			continue
		}
		if err := os.WriteFile(f.path, []byte(f.text), 0o644); err != nil {
			return fmt.Errorf("write the image's ID: %w", err)
		}
	}
	if k.opts.IIDFile == "" && k.opts.IIDFileRaw == "" {
		show(Event{Time: time.Now(), Kind: Built, Image: m.Image})
	}
	return nil
}
