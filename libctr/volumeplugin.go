// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/libctr/volplugin"
)

// A volume of a plugin is known to the plugin by its name. Here it is a record and an empty directory; its containers' monitors have the plugin mount it.

// ErrMissingPlugin comes wrapped where a volume's plugin is not there.
var ErrMissingPlugin = errors.New("required plugin missing")

// dockerPlugins is where Docker's plugins have their sockets.
const dockerPlugins = "/run/docker/plugins"

// plugin reports whether a plugin has the volume.
func (m *volumeMeta) plugin() bool { return m.Driver != "" && m.Driver != imageDriver }

// VolumePlugins are the names of the plugins: those that containers.conf names, and those that have a socket in Docker's directory.
func (e *Engine) VolumePlugins() ([]string, error) {
	conf, err := e.conf()
	if err != nil {
		return nil, err
	}
	var names []string
	for name := range conf.Engine.VolumePlugins {
		names = append(names, name)
	}
	sockets, _ := filepath.Glob(dockerPlugins + "/*.sock")
	for _, s := range sockets {
		names = append(names, strings.TrimSuffix(filepath.Base(s), ".sock"))
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// volumePlugin finds a plugin, and asks it whether it is one.
func (e *Engine) volumePlugin(name string) (*volplugin.Client, error) {
	conf, err := e.conf()
	if err != nil {
		return nil, err
	}
	c := &volplugin.Client{Name: name, Socket: conf.Engine.VolumePlugins[name], Timeout: time.Duration(conf.Engine.VolumePluginTimeout) * time.Second}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Socket == "" && spec.ValidName(name) {
		c.Socket = filepath.Join(dockerPlugins, name+".sock")
	}
	if st, err := os.Stat(c.Socket); err != nil || st.Mode()&os.ModeSocket == 0 {
		return nil, hint.Add(fmt.Errorf("no volume plugin with name %s available: %w", name, ErrMissingPlugin), "start it, and name its socket in containers.conf, [engine.volume_plugins]: %s = \"/run/%s.sock\"", name, name)
	}
	return c, c.Activate()
}

// pluginOf is that of a volume.
func (e *Engine) pluginOf(name string, meta *volumeMeta) (*volplugin.Client, error) {
	c, err := e.volumePlugin(meta.Driver)
	if err != nil {
		return nil, hint.With(fmt.Errorf("volume %s uses volume plugin %s but it could not be retrieved: %w", name, meta.Driver, err), hint.Of(err))
	}
	return c, nil
}

// makeInPlugin has the plugin make a volume, unless it has it already.
func (e *Engine) makeInPlugin(name string, meta *volumeMeta) error {
	c, err := e.pluginOf(name, meta)
	if err != nil {
		return err
	}
	if there, err := c.Get(name); err == nil && there != nil {
		return nil
	}
	return c.Create(name, meta.Options)
}

// pluginVolume has the monitor mount the volume.
func (p *preparing) pluginVolume(m *spec.Mount, meta *volumeMeta) error {
	if v := p.monitors(m.Name); v != nil { // at a second place
		return p.useMounted(m, v, meta)
	}
	c, err := p.e.pluginOf(m.Name, meta)
	if err != nil {
		return err
	}
	return p.useMounted(m, p.addVolume(record.Volume{Name: m.Name, Plugin: c}), meta)
}

// DescribePluginVolumes fills in what plugins say of their volumes: where they are mounted, and their state. A plugin that is not there says nothing.
func (e *Engine) DescribePluginVolumes(list []Volume) {
	for i := range list {
		v := &list[i]
		meta := volumeMeta{Driver: v.Driver}
		if v.Driver == "local" || !meta.plugin() {
			continue
		}
		v.Mountpoint = ""
		c, err := e.pluginOf(v.Name, &meta)
		if err != nil {
			continue
		}
		if there, err := c.Get(v.Name); err == nil && there != nil {
			v.Mountpoint, v.Status = there.Mountpoint, there.Status
		}
		if scope, err := c.Scope(); err == nil && scope != "" {
			v.Scope = scope
		}
	}
}

// Reloaded is what ReloadVolumes has found.
type Reloaded struct{ Added, Removed []string }

// ReloadVolumes takes up the volumes that plugins have, and forgets those that their plugins have no more, unless containers have them. It does what it
// can; the error is of all that it could not.
func (e *Engine) ReloadVolumes(ctx context.Context) (done Reloaded, err error) {
	plugins, err := e.VolumePlugins()
	if err != nil {
		return done, err
	}
	var errs []error
	there := map[string]map[string]bool{} // by plugin, of those that answer
	for _, name := range plugins {
		c, err := e.volumePlugin(name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		volumes, err := c.List()
		if err != nil {
			errs = append(errs, fmt.Errorf("failed to read volumes from plugin %q: %w", name, err))
			continue
		}
		there[name] = map[string]bool{}
		for _, v := range volumes {
			there[name][v.Name] = true
			added, err := e.takeUp(ctx, v.Name, name)
			if added {
				done.Added = append(done.Added, v.Name)
			}
			errs = append(errs, err)
		}
	}
	list, err := e.Volumes()
	errs = append(errs, err)
	for _, v := range list {
		if has, ok := there[v.Driver]; !ok || has[v.Name] {
			continue
		}
		switch err := e.forgetVolume(ctx, v.Name, ""); {
		case errors.Is(err, ErrVolumeInUse):
			errs = append(errs, fmt.Errorf("volume was removed from the plugin %q but containers still require it: %w", v.Driver, err))
		case err == nil:
			done.Removed = append(done.Removed, v.Name)
		case !errors.Is(err, ErrNoSuchVolume):
			errs = append(errs, err)
		}
	}
	return done, errors.Join(errs...)
}

// takeUp records a volume that a plugin has.
func (e *Engine) takeUp(ctx context.Context, name, plugin string) (bool, error) {
	if err := checkVolumeName(name); err != nil {
		return false, fmt.Errorf("volume plugin %s: %w", plugin, err)
	}
	lock, made, err := e.lockOrMakeVolume(ctx, name, volumeMeta{Driver: plugin, known: true})
	if err != nil {
		return false, err
	}
	if made {
		e.note(Event{Type: "volume", Status: "create", Name: name})
	}
	return made, lock.Close()
}
