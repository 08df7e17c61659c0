// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

// replace removes the container whose name the new one is to have.
func (e *Engine) replace(ctx context.Context, m *making) error {
	if !m.opts.Replace {
		return nil
	}
	if m.opts.Name == "" {
		return hint.Add(field.Errorf("cannot replace container without %s being set", field.Name("name")), "give the container's %s", field.Name("name"))
	}
	name := strings.TrimPrefix(m.opts.Name, "/") // as docker writes names
	c, err := e.Lookup(ctx, name)
	if errors.Is(err, ErrNoSuchContainer) || err == nil && c.State.Name != name { // that is another's ID
		return nil
	}
	if err != nil {
		return err
	}
	if err := e.keepImage(c, m.img.ID); err != nil {
		return err
	}
	return e.Remove(ctx, c, RemoveOptions{Force: true})
}

// keepImage has a container that was made with --rmi leave the image, which its successor needs.
func (e *Engine) keepImage(c *Container, image string) error {
	names, err := e.lockNames() // who replaces a container's configuration holds it
	if err != nil {
		return err
	}
	defer names.Close()
	cfg, err := c.Config()
	if err != nil || !cfg.RemoveImage || cfg.ImageID != image {
		return nil // a record that cannot be read is no reason to keep the container
	}
	cfg.RemoveImage = false
	return storeHint(cfg.Write(c.Dir, c.Dir != c.RunDir), e.storeOpts.GraphRoot)
}

// removeImageOf removes a container's image after it, by another process: this one may not have what that takes. An image that others use stays.
func (e *Engine) removeImageOf(ctx context.Context, cfg *record.Config) {
	if err := e.RemoveImageOf(ctx, cfg); err != nil {
		e.log.Error("the container's image is not removed", "error", err)
	}
}

// RemoveImageOf removes the image that a container was made of, as rmi does: one that containers use stays, and that is an error.
func (e *Engine) RemoveImageOf(ctx context.Context, cfg *record.Config) error {
	argv := append(e.callBack(), "rmi", cfg.ImageName)
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("remove image %s: %s", cfg.ImageName, strings.TrimPrefix(strings.TrimSpace(string(out)), "Error: "))
	}
	return nil
}

// readTimezone reads the file of a time zone; local is the host's own.
func readTimezone(name string) ([]byte, error) {
	if name == "local" {
		return os.ReadFile("/etc/localtime")
	}
	zones, err := os.OpenRoot("/usr/share/zoneinfo")
	if err != nil {
		return nil, err
	}
	defer zones.Close()
	data, err := zones.ReadFile(name)
	if err != nil {
		return nil, errors.New("there is no such time zone in /usr/share/zoneinfo")
	}
	return data, nil
}

// setLocaltime makes what is bound over the container's /etc/localtime.
func (m *making) setLocaltime() error {
	if m.timezone == "" {
		return nil
	}
	data, err := readTimezone(m.timezone)
	if err != nil {
		return err
	}
	m.spec.Files.Localtime = filepath.Join(m.dir, "localtime")
	return os.WriteFile(m.spec.Files.Localtime, data, 0o644)
}

// pidFiles makes the paths of the files absolute: the monitor has another working directory. It follows no links, so they are followed here.
func (m *making) pidFiles() (err error) {
	for _, f := range []struct {
		name field.Name
		path string
		to   *string
	}{{"pidfile", m.opts.PidFile, &m.cfg.PidFile}, {"conmon-pidfile", m.opts.MonitorPidFile, &m.cfg.MonitorPidFile}} {
		if f.path == "" {
			continue
		}
		if *f.to, err = filepath.Abs(f.path); err != nil {
			return field.Errorf("%s: %w", f.name, err)
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(*f.to))
		if err != nil {
			return field.Errorf("%s: %w", f.name, err)
		}
		*f.to = filepath.Join(dir, filepath.Base(*f.to))
	}
	return nil
}

// imageSeccomp takes the seccomp profile from the image where that is asked for, and no profile is.
func (m *making) imageSeccomp() {
	if profile := m.conf.Image.Config.Labels["io.containers.seccomp.profile"]; m.opts.SeccompPolicy == "image" && profile != "" && m.spec.Security.Seccomp == "" {
		m.spec.Security.Seccomp, m.spec.Security.Profile = "image", []byte(profile)
	}
}

// sigRTMin3 has systemd end (systemd(1), "SIGRTMIN+3").
const sigRTMin3 = 37

// forSystemd prepares the container for systemd, if that is what it runs, or if it is wanted whatever it runs.
func (m *making) forSystemd() {
	cfg := m.cfg
	inits := []string{"/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"}
	is := len(cfg.Command) > 0 && (slices.Contains(inits, cfg.Command[0]) || filepath.Base(cfg.Command[0]) == "systemd")
	if m.opts.Systemd == "false" || m.opts.Systemd != "always" && !is {
		return
	}
	m.spec.Systemd = true
	if m.stopSignal == 0 && m.conf.Image.Config.StopSignal == "" {
		cfg.StopSignal = sigRTMin3
	}
	id := cfg.ID
	m.env.Defaults = append(slices.Clone(m.env.Defaults), "container_uuid="+strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:32]}, "-"))
}

// imageHosts reads the image's /etc/hosts, where the container's is to begin with it.
func (e *Engine) imageHosts(m *making) string {
	if m.net.BaseHosts != "image" {
		return ""
	}
	data, err := spec.NewRootfs(e.layerDirs(m)...).ReadFile("/etc/hosts")
	if err != nil {
		return ""
	}
	return string(data)
}

// elsewhere reports whether an image's name is that of an archive or a directory, with a transport in front: docker-archive:PATH and the like. An image of
// the store may be called oci or dir.
func elsewhere(name string) bool {
	kind, path, _ := strings.Cut(name, ":")
	switch kind {
	case "docker-archive", "oci-archive":
		return path != ""
	case "oci", "dir":
		path, _, _ = strings.Cut(path, ":")
		st, err := os.Stat(path)
		return err == nil && st.IsDir()
	}
	return false
}
