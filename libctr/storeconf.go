// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/homedir"
	"go.podman.io/storage/pkg/unshare"
	storagetypes "go.podman.io/storage/types"
	"golang.org/x/sys/unix"
)

// storeConf is what storage.conf, the environment and the store itself say of a store (docs/decisions/0006).
type storeConf struct {
	storage.StoreOptions
	rootReason   string // why GraphRoot is what it is, where that is not what a reader would expect
	driverReason string // who chose the driver
	writeConf    string // a storage.conf to write when the store is made, so that other tools take the same driver; or empty
}

// loadStoreConf reads storage.conf(5), and finds roots and driver. It makes nothing.
func loadStoreConf() (*storeConf, error) {
	so, err := storagetypes.DefaultStoreOptions()
	if err != nil {
		return nil, err
	}
	c := &storeConf{StoreOptions: so}
	if uid := unshare.GetRootlessUID(); unshare.IsRootless() && uid != 0 {
		if err := c.forUser(uid); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// forUser keeps an ordinary user from root's store. Up to containers/storage 1.58 graphroot, runroot and imagestore of a
// system-wide storage.conf were root's alone, and distributions still ship files that name them; later releases take them for
// every user. Here they count for a user only where they differ from user to user, as "/data/$USER" does.
func (c *storeConf) forUser(uid int) error {
	data, err := homedir.GetDataHome()
	if err != nil {
		return err
	}
	run, err := homedir.GetRuntimeDir()
	if err != nil {
		return err
	}
	own := storagetypes.StoreOptions{GraphRoot: filepath.Join(data, "containers/storage"), RunRoot: filepath.Join(run, "containers")}
	if c.GraphRoot == own.GraphRoot && c.RunRoot == own.RunRoot && c.ImageStore == "" {
		return nil
	}
	var foreign string // the file whose setting is root's
	files, err := storageConfFiles(uid)
	if err != nil {
		return err
	}
	for _, f := range files {
		root := f.set("rootless_storage_path", uid)
		if root != "" {
			own.GraphRoot = root
		}
		for key, to := range map[string]*string{"graphroot": &own.GraphRoot, "runroot": &own.RunRoot, "imagestore": &own.ImageStore} {
			switch value := f.set(key, uid); {
			case value == "":
			case f.everyones && !strings.Contains(f.raw(key), "$"):
				foreign = f.path
			default:
				*to = value
			}
		}
	}
	c.GraphRoot, c.RunRoot, c.ImageStore = own.GraphRoot, own.RunRoot, own.ImageStore
	if foreign != "" {
		c.rootReason = fmt.Sprintf("the roots that %s names are root's", foreign)
	}
	return nil
}

// confFile is one storage.conf.
type confFile struct {
	path      string
	everyones bool // root reads it too
	storage   map[string]any
}

func (f *confFile) raw(key string) string {
	s, _ := f.storage[key].(string)
	return s
}

// set is the value of a path, with variables filled in as the storage library does; empty if it is not set.
func (f *confFile) set(key string, uid int) string {
	raw := f.raw(key)
	if raw == "" {
		return ""
	}
	path := os.ExpandEnv(strings.ReplaceAll(raw, "$UID", strconv.Itoa(uid)))
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
}

func storageConfSearch(uid int) *configfile.File {
	return &configfile.File{Name: "storage", Extension: "conf", EnvironmentName: "CONTAINERS_STORAGE_CONF", UserId: uid}
}

// storageConfFiles are the files that the storage library reads, in its order: a later one wins.
func storageConfFiles(uid int) ([]*confFile, error) {
	user, err := configfile.UserConfigPath()
	if err != nil {
		return nil, err
	}
	var files []*confFile
	for item, err := range configfile.Read(storageConfSearch(uid)) {
		if err != nil {
			return nil, err
		}
		var text struct {
			Storage map[string]any `toml:"storage"`
		}
		if _, err := toml.NewDecoder(item.Reader).Decode(&text); err != nil {
			return nil, fmt.Errorf("parse %s: %w", item.Name, err)
		}
		named := item.Name == os.Getenv("CONTAINERS_STORAGE_CONF") || item.Name == os.Getenv("CONTAINERS_STORAGE_CONF_OVERRIDE")
		files = append(files, &confFile{
			path:      item.Name,
			everyones: !named && !strings.HasPrefix(item.Name, user+"/") && !strings.Contains(item.Name, "/storage.rootless.conf.d/"),
			storage:   text.Storage,
		})
	}
	return files, nil
}

// storageConfFile is the main storage.conf in use, or where it would be.
func storageConfFile() string {
	paths, err := configfile.GetSearchPaths(storageConfSearch(unshare.GetRootlessUID()))
	if err != nil || len(paths.MainFiles) == 0 {
		return ""
	}
	for _, p := range paths.MainFiles {
		if exists(p) {
			return p
		}
	}
	if rootlessStore() {
		return paths.MainFiles[0]
	}
	return paths.MainFiles[min(1, len(paths.MainFiles)-1)] // root's is in /etc
}

func rootlessStore() bool { return unshare.IsRootless() && unshare.GetRootlessUID() != 0 }

// chooseDriver sets the driver: as named, else the one that the store was made with, else overlay.
func (c *storeConf) chooseDriver(flag string) error {
	switch {
	case flag != "":
		c.driverReason = "--storage-driver"
		if flag != c.GraphDriverName {
			c.GraphDriverOptions = nil
		}
		c.GraphDriverName = flag
	case os.Getenv("STORAGE_DRIVER") != "":
		c.driverReason = "STORAGE_DRIVER"
	case c.GraphDriverName != "":
		c.driverReason = "storage.conf"
	}
	switch c.GraphDriverName {
	case "":
		c.GraphDriverName, c.driverReason = "overlay", "the default for a new store"
		for _, driver := range []string{"overlay", "vfs"} {
			if exists(filepath.Join(c.GraphRoot, driver+"-layers")) {
				c.GraphDriverName, c.driverReason = driver, "the store was made with it"
				return nil
			}
		}
		if onOverlay(c.GraphRoot) {
			c.GraphDriverName, c.driverReason = "vfs", "the store is on an overlay file system, which takes no other on top: give it a volume"
			return nil
		}
		if rootlessStore() {
			c.writeConf = confForOthers()
		}
	case "overlay", "overlay2":
		c.GraphDriverName = "overlay"
	case "vfs":
	default:
		return hint.Add(fmt.Errorf("storage driver %q is not supported", c.GraphDriverName), "use %s overlay or vfs", field.Name("storage-driver"))
	}
	return nil
}

// confForOthers is where a user's storage.conf would be if there is none at all; empty if there is one.
func confForOthers() string {
	paths, err := configfile.GetSearchPaths(storageConfSearch(unshare.GetRootlessUID()))
	if err != nil || len(paths.MainFiles) == 0 || os.Getenv("CONTAINERS_STORAGE_CONF") != "" {
		return ""
	}
	for _, p := range paths.MainFiles {
		if exists(p) {
			return ""
		}
	}
	return paths.MainFiles[0]
}

const confForOthersText = `# Written by Berth when it made this user's store and found no storage.conf(5). Without this file podman 4, buildah and
# skopeo of their time use vfs in the same directory, and do not see these images. Berth does not write it again.
[storage]
driver = "overlay"
`

// tellOthers writes storage.conf for a store that was just made. A home that cannot be written keeps nobody from work.
func (c *storeConf) tellOthers() {
	if c.writeConf == "" {
		return
	}
	if err := os.MkdirAll(filepath.Dir(c.writeConf), 0o755); err != nil {
		return
	}
	if _, err := os.Lstat(c.writeConf); errors.Is(err, fs.ErrNotExist) {
		_ = atomicfile.Write(c.writeConf, []byte(confForOthersText), 0o644, false)
	}
	c.writeConf = ""
}

// onOverlay reports whether path, which may not exist yet, is on an overlay file system: in a container, most likely.
func onOverlay(path string) bool {
	var st unix.Statfs_t
	err := unix.Statfs(path, &st)
	for ; err == unix.ENOENT && path != "/"; err = unix.Statfs(path, &st) {
		path = filepath.Dir(path)
	}
	return err == nil && st.Type == unix.OVERLAYFS_SUPER_MAGIC
}
