// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/berth-containers/berth/rootless"
	"go.podman.io/common/pkg/config"
	imagetypes "go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/reexec"
)

// Options are an engine's roots and settings. The zero value takes everything
// from storage.conf and containers.conf.
type Options struct {
	GraphRoot      string         // images, container layers, and Berth's records below berth/
	RunRoot        string         // what ends with the boot
	TmpDir         string         // Berth's own runtime directory; empty is RUNROOT/berth, or RUNROOT/berth-HASH for a GraphRoot without a RunRoot of its own
	StorageDriver  string         // overlay or vfs
	TransientStore bool           // records of containers end with the boot
	ImageStore     string         // images, apart from the containers; empty is storage.conf's
	StorageOpts    []string       // driver options, as in storage.conf: overlay.mountopt=nodev
	Runtime        string         // OCI runtime, name or path; empty is containers.conf's
	RuntimeFlags   []string       // global flags for it, without the leading dashes
	CgroupManager  string         // systemd, cgroupfs, disabled; empty is chosen by the host
	EventsBackend  string         // file or none; empty is containers.conf's
	Modules        []string       // containers.conf modules
	Program        string         // path of berth, for what needs a process of its own: what outlives this one, and builds; empty is the running program, as berth itself has it. See Leash
	Pull           Puller         `json:"-"` // fetches an image that a new container needs; nil: it must be in the store
	CDI            DeviceInjector `json:"-"` // adds devices VENDOR/CLASS=NAME; nil: there are none
	HooksDirs      []string       // of OCI hooks (oci-hooks(5)); nil is containers.conf's
	CDISpecDirs    []string       // of the files that describe them; nil is containers.conf's
	Log            *slog.Logger   `json:"-"`
}

// Puller makes sure that the image called name is in the store, as opts.Policy says, and returns the
// IDs of the images it has found or fetched. Pull of package libctr/image/library is one; libctr itself
// does not link it (docs/decisions/0005).
type Puller func(ctx context.Context, e *Engine, name string, opts image.PullOptions) ([]string, error)

// Engine works on one store. It holds no locks and no connections between calls.
type Engine struct {
	opts  Options
	log   *slog.Logger
	store struct {
		sync.Once
		storage.Store
		err error
	}
	storeConf *storeConf
	storeOpts storage.StoreOptions // of storeConf
	conf      func() (*config.Config, error)

	data    string // GRAPHROOT/berth
	runtime string // see Options.TmpDir
}

// Open prepares an engine. It reads storage.conf, and makes nothing on disk.
func Open(_ context.Context, opts Options) (*Engine, error) {
	e := &Engine{opts: opts, log: opts.Log}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	so, err := loadStoreConf()
	if err != nil {
		return nil, storeConfHint(fmt.Errorf("read the storage configuration: %w", err))
	}
	configured := so.GraphRoot
	if opts.GraphRoot != "" {
		if so.GraphRoot, err = filepath.Abs(opts.GraphRoot); err != nil {
			return nil, err
		}
		so.ImageStore = ""
	}
	if opts.ImageStore != "" {
		if so.ImageStore, err = filepath.Abs(opts.ImageStore); err != nil {
			return nil, err
		}
	}
	so.TransientStore = so.TransientStore || opts.TransientStore
	if opts.RunRoot != "" {
		if so.RunRoot, err = filepath.Abs(opts.RunRoot); err != nil {
			return nil, err
		}
	}
	if err := so.chooseDriver(opts.StorageDriver); err != nil {
		return nil, err
	}
	if len(opts.StorageOpts) > 0 {
		so.GraphDriverOptions = opts.StorageOpts
	}
	if so.GraphRoot != configured {
		so.writeConf = "" // a store that other tools do not look for
	}
	e.storeConf, e.storeOpts = so, so.StoreOptions
	e.data = filepath.Join(so.GraphRoot, "berth")
	e.runtime = filepath.Join(so.RunRoot, "berth")
	if opts.RunRoot == "" && so.GraphRoot != configured {
		// Another store, and no other RunRoot: what runs of the one must not look like remains of the other's.
		sum := sha256.Sum256([]byte(so.GraphRoot))
		e.runtime += "-" + hex.EncodeToString(sum[:6])
	}
	if opts.TmpDir != "" {
		if e.runtime, err = filepath.Abs(opts.TmpDir); err != nil {
			return nil, err
		}
	}
	if err := e.checkDirs(); err != nil {
		return nil, err
	}
	e.conf = sync.OnceValues(func() (*config.Config, error) {
		c, err := config.New(&config.Options{Modules: opts.Modules, SetDefault: true})
		if err != nil {
			return nil, hint.Add(fmt.Errorf("read containers.conf: %w", err), "see containers.conf(5)")
		}
		return c, nil
	})
	if len(opts.Modules) > 0 { // a module that does not exist is an error for every command
		if _, err := e.conf(); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// Store opens the containers/storage store, once. The process has to be in the
// user namespace.
func (e *Engine) Store() (storage.Store, error) {
	e.store.Do(func() {
		if os.Geteuid() != 0 {
			e.store.err = fmt.Errorf("open the store %s: this command has not entered the user namespace", e.storeOpts.GraphRoot)
			return
		}
		if e.store.Store, e.store.err = e.openStore(); e.store.err == nil {
			e.storeConf.tellOthers()
		}
	})
	return e.store.Store, e.store.err
}

func (e *Engine) openStore() (storage.Store, error) {
	opts := e.storeOpts
	if opts.GraphDriverName == "overlay" {
		// Each layer is mounted in its monitor's namespace: the driver has no mount to keep private.
		opts.GraphDriverOptions = append(slices.Clip(opts.GraphDriverOptions), "overlay.skip_mount_home=true")
	}
	s, err := layer.Open(opts)
	if err != nil {
		return nil, storeHint(fmt.Errorf("open the store %s: %w", e.storeOpts.GraphRoot, err), e.storeOpts.GraphRoot)
	}
	return s, nil
}

// reopenStore has the store forget what it keeps in memory, which is wrong after it could not be written. Nobody else may be
// using it in this process.
func (e *Engine) reopenStore() (err error) {
	if e.store.Store != nil {
		e.store.Store.Free()
	}
	e.store.Store, err = e.openStore()
	return err
}

// Options returns what the engine was opened with; another process that opens one with them works on the same store. Paths are absolute.
func (e *Engine) Options() Options {
	o := e.opts
	for _, path := range []*string{&o.GraphRoot, &o.RunRoot, &o.TmpDir} {
		if *path == "" {
			continue
		}
		if abs, err := filepath.Abs(*path); err == nil { // Open has done the same
			*path = abs
		}
	}
	return o
}

// StoreOptions returns the roots and the driver in use.
func (e *Engine) StoreOptions() storage.StoreOptions { return e.storeOpts }

// Config returns containers.conf, read once.
func (e *Engine) Config() (*config.Config, error) { return e.conf() }

// SystemContext is what the image library needs to know of files and policies.
func (e *Engine) SystemContext() *imagetypes.SystemContext {
	return &imagetypes.SystemContext{
		AuthFilePath: os.Getenv("REGISTRY_AUTH_FILE"),
	}
}

// DataDir is where records that last are, and RuntimeDir where those of this boot are.
func (e *Engine) DataDir() string    { return e.data }
func (e *Engine) RuntimeDir() string { return e.runtime }

// Rootless reports whether the engine works for an unprivileged user.
func (e *Engine) Rootless() bool { return rootless.IsRootless() }

// storeHint adds what a user can do about a store that cannot be written.
func storeHint(err error, root string) error {
	switch {
	case isErrno(err, errROFS):
		return hint.Add(err, "%s is on a read-only file system: remount it, or choose another with %s", root, field.Name("root"))
	case isErrno(err, errNoSpace...):
		return hint.Add(err, "the disk is full: see %s, or df -h %s", hint.To(hint.ShowDiskUsage), root)
	case isErrno(err, errAccess):
		return hint.Add(err, "%s must belong to you: check its owner with ls -ld %s", root, root)
	}
	return err
}

// Enter prepares the process for this package; main calls it before anything else. The libraries run the program again for some of
// their work: Enter does it then, and ends the process. An ordinary user's program is executed again, with the same
// arguments, inside the user namespace of the user's containers (package rootless).
func Enter() error {
	if reexec.Init() {
		os.Exit(0)
	}
	return rootless.Enter()
}
