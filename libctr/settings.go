// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/berth-containers/berth/internal/unpack"
	"github.com/berth-containers/berth/rootless"
	"go.podman.io/storage/pkg/configfile"
)

// ConfigInfo is the part of Info that says where settings come from.
type ConfigInfo struct {
	Files    []string        `json:"files"`    // that were read, in the order in which they override each other
	Settings []Setting       `json:"settings"` // that are not left to the default
	NotUsed  []UnusedSetting `json:"notUsed"`  // that a file makes, and Berth does not use
}

// Setting is a setting that a file, a variable of the environment or a global flag decided.
type Setting struct {
	Name      string `json:"name"` // containers.pids_limit, storage.driver
	Value     string `json:"value"`
	DecidedBy string `json:"decidedBy"` // a path, or several where lists were joined; a variable; a flag
}

// UnusedSetting is a setting without effect.
type UnusedSetting struct {
	Name      string `json:"name"`
	DecidedBy string `json:"decidedBy"`
	Why       string `json:"why"`
}

// settingsFile is a configuration file as it was read.
type settingsFile struct {
	path string
	tree map[string]any
}

// table returns the file's [name], or nil.
func (f settingsFile) table(name string) map[string]any {
	t, _ := f.tree[name].(map[string]any)
	return t
}

// containersConf reads the files of containers.conf(5) apart; e.conf has them joined. What cannot be read is left out: e.conf
// has told. With words, only the files that mention one of them.
func (e *Engine) containersConf(words ...string) []settingsFile {
	return readConf(&configfile.File{Name: "containers", Extension: "conf", EnvironmentName: "CONTAINERS_CONF", UserId: confUser(), Modules: slices.Clone(e.opts.Modules)}, words...)
}

func confUser() int {
	if rootless.IsRootless() {
		return rootless.UID()
	}
	return 0
}

func readConf(file *configfile.File, words ...string) (files []settingsFile) {
	for item, err := range configfile.Read(file) {
		if err != nil {
			break
		}
		data, err := io.ReadAll(item.Reader)
		if err != nil || len(words) > 0 && !mentions(data, words) {
			continue // a distribution's file is long, and all comments: to decode it takes milliseconds
		}
		f := settingsFile{path: item.Name}
		if err := toml.Unmarshal(data, &f.tree); err == nil {
			files = append(files, f)
		}
	}
	return files
}

// mentions reports whether a line of a file that is no comment has one of the words in it.
func mentions(data []byte, words []string) bool {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' && slices.ContainsFunc(words, func(w string) bool { return bytes.Contains(line, []byte(w)) }) {
			return true
		}
	}
	return false
}

// configInfo finds out who decided what. Each kind of file is read by the rules of the library that uses it.
func (e *Engine) configInfo() (*ConfigInfo, error) {
	conf, err := e.conf()
	if err != nil {
		return nil, err
	}
	c := &ConfigInfo{Files: []string{}, Settings: []Setting{}, NotUsed: []UnusedSetting{}}
	containers := e.containersConf()
	storage := readConf(storageConfSearch(confUser()))
	registries := readConf(&configfile.File{Name: "registries", Extension: "conf", EnvironmentName: "CONTAINERS_REGISTRIES_CONF", UserId: confUser()})
	for _, f := range slices.Concat(containers, storage, registries) {
		c.Files = append(c.Files, f.path)
	}

	decided := map[string]*Setting{}
	for _, f := range containers {
		for section, table := range f.tree {
			keys, ok := table.(map[string]any)
			if !ok { // a key outside of any section
				c.unused(section, f.path, "it is in no section")
				continue
			}
			for key, value := range keys {
				name := section + "." + key
				why, _ := confKey(name)
				if why = cmp.Or(why, confValue(name, value)); why != "" {
					c.unused(name, f.path, why)
					continue
				}
				decide(decided, name, value, f.path)
				if effective, ok := tomlField(reflect.ValueOf(*conf), section, key); ok {
					decided[name].Value = settingText(effective)
				}
			}
		}
	}
	foreign, err := e.foreignRoots()
	if err != nil {
		return nil, err
	}
	for _, f := range storage {
		flatten(f.tree, "", func(name string, value any) {
			if slices.Contains(foreign, f.path+" "+name) {
				c.unused(name, f.path, "it is root's: a system-wide path counts for a user only where it holds a variable")
				return
			}
			decide(decided, name, value, f.path)
		})
	}
	e.storageOverrides(decided)
	for _, f := range registries {
		for key, value := range f.tree {
			if list, ok := value.([]map[string]any); ok && key == "registry" {
				for _, r := range list {
					decide(decided, "registries.registry."+fmt.Sprint(cmp.Or(r["prefix"], r["location"])), r, f.path)
				}
				continue
			}
			decide(decided, "registries."+key, value, f.path)
			if table, ok := value.(map[string]any); ok && key == "aliases" {
				decided["registries."+key].Value = fmt.Sprintf("%d names", len(table))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(decided)) {
		c.Settings = append(c.Settings, *decided[name])
	}
	slices.SortFunc(c.NotUsed, func(a, b UnusedSetting) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.DecidedBy, b.DecidedBy))
	})
	return c, nil
}

// foreignRoots lists the "FILE SETTING" that name root's store, which a user's engine does not use (storeConf.forUser).
func (e *Engine) foreignRoots() (foreign []string, err error) {
	if e.storeConf.rootReason == "" {
		return nil, nil
	}
	files, err := storageConfFiles(confUser())
	for _, f := range files {
		for _, key := range []string{"graphroot", "runroot", "imagestore"} {
			if raw := f.raw(key); f.everyones && raw != "" && !strings.Contains(raw, "$") {
				foreign = append(foreign, f.path+" storage."+key)
			}
		}
	}
	return foreign, err
}

// storageOverrides notes what environment and flags say over storage.conf.
func (e *Engine) storageOverrides(decided map[string]*Setting) {
	set := func(name, value, by string) {
		if value != "" {
			decided[name] = &Setting{Name: name, Value: value, DecidedBy: by}
		}
	}
	set("storage.driver", os.Getenv("STORAGE_DRIVER"), "STORAGE_DRIVER")
	set("storage.options", os.Getenv("STORAGE_OPTS"), "STORAGE_OPTS")
	set("unpack.limit", os.Getenv(unpack.SizeVar), unpack.SizeVar)
	set("unpack.ratio", os.Getenv(unpack.RatioVar), unpack.RatioVar)
	o := e.opts
	set("storage.graphroot", o.GraphRoot, "--root")
	set("storage.runroot", o.RunRoot, "--runroot")
	set("storage.driver", o.StorageDriver, "--storage-driver")
	set("storage.options", strings.Join(o.StorageOpts, ","), "--storage-opt")
	set("engine.runtime", o.Runtime, "--runtime")
	set("engine.cgroup_manager", o.CgroupManager, "--cgroup-manager")
}

func (c *ConfigInfo) unused(name, path, why string) {
	c.NotUsed = append(c.NotUsed, UnusedSetting{Name: name, DecidedBy: path, Why: why})
}

// decide notes that path sets name. A list that is appended to (containers.conf(5), "Appending to String Arrays") is
// decided by all of its files.
func decide(decided map[string]*Setting, name string, value any, path string) {
	s := decided[name]
	if s != nil && appends(value) {
		s.DecidedBy += ", " + path
	} else {
		decided[name] = &Setting{Name: name, DecidedBy: path}
	}
	decided[name].Value = settingText(value)
}

func appends(value any) bool {
	list, _ := value.([]any)
	return slices.ContainsFunc(list, func(v any) bool {
		attributes, _ := v.(map[string]any)
		on, _ := attributes["append"].(bool)
		return on
	})
}

// flatten calls found for every value in a tree of tables, under its dotted name.
func flatten(tree map[string]any, prefix string, found func(name string, value any)) {
	for key, value := range tree {
		if table, ok := value.(map[string]any); ok {
			flatten(table, prefix+key+".", found)
		} else {
			found(prefix+key, value)
		}
	}
}

// settingText is a value in one line: a word as it is, lists and tables as JSON.
func settingText(value any) string {
	if s, ok := value.(string); ok {
		return s
	}
	if data, err := json.Marshal(value); err == nil {
		return string(data)
	}
	return fmt.Sprint(value)
}

// tomlField is the field of conf that the library reads from key of section, a list as []string.
func tomlField(conf reflect.Value, section, key string) (any, bool) {
	named := func(v reflect.Value, name string) (reflect.Value, bool) {
		for i := range v.NumField() {
			if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("toml"), ","); tag == name && v.Type().Field(i).IsExported() {
				return v.Field(i), true
			}
		}
		return reflect.Value{}, false
	}
	s, ok := named(conf, section)
	if !ok {
		return nil, false
	}
	f, ok := named(s, key)
	if !ok {
		return nil, false
	}
	if list, ok := f.Interface().(configfile.Slice); ok {
		return list.Get(), true
	}
	if f.Kind() == reflect.Pointer && !f.IsNil() {
		f = f.Elem()
	}
	return f.Interface(), true
}
