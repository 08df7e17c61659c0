// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	selinux "github.com/opencontainers/selinux/go-selinux"
)

// Who tells systemd that the service is ready (sd_notify(3)), as CreateOptions.SdNotify has it.
const (
	notifyByContainer = "container" // the container itself, through a socket that the monitor passes messages on from
	notifyByMonitor   = "conmon"    // its start
	notifyHealthy     = "healthy"   // its first health check that passes
	notifyIgnore      = "ignore"    // nobody
)

func parseNotify(mode string) (string, error) {
	switch mode {
	case "":
		return notifyByContainer, nil
	case notifyByContainer, notifyByMonitor, notifyHealthy, notifyIgnore:
		return mode, nil
	}
	return "", field.Errorf("%s: invalid sdnotify value %q: must be conmon, container, ignore or healthy", field.Name("sdnotify"), mode)
}

// prepareNotify has the container's process find a socket for its messages, if it is to have one, and tells the monitor where they go.
func (e *Engine) prepareNotify(c *Container, cfg *record.Config, socket string) error {
	wanted := socket != "" && cfg.SdNotify == notifyByContainer
	to := filepath.Join(c.RunDir, record.NotifyToFile)
	if !wanted {
		if err := os.Remove(to); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if c.made {
			return nil
		}
	}
	path := filepath.Join(c.Dir, record.BundleDir, "config.json")
	if data, err := os.ReadFile(path); err != nil || !wanted && !bytes.Contains(data, []byte(monitor.NotifySocket)) {
		return err
	}
	s, err := readSpec(c.Dir)
	if err != nil {
		return err
	}
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == monitor.NotifyDir })
	s.Process.Env = slices.DeleteFunc(s.Process.Env, func(v string) bool { return v == "NOTIFY_SOCKET="+monitor.NotifySocket })
	if wanted {
		dir := filepath.Join(c.RunDir, record.NotifyDir)
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if cfg.MountLabel != "" {
			if err := selinux.SetFileLabel(dir, cfg.MountLabel); err != nil {
				return err
			}
		}
		if err := os.WriteFile(to, []byte(socket), 0o600); err != nil {
			return err
		}
		s.Mounts = append(s.Mounts, specs.Mount{Type: "bind", Source: dir, Destination: monitor.NotifyDir, Options: []string{"bind", "ro", "nosuid", "nodev", "noexec", "rprivate"}})
		s.Process.Env = slices.DeleteFunc(s.Process.Env, func(v string) bool { return strings.HasPrefix(v, "NOTIFY_SOCKET=") })
		s.Process.Env = append(s.Process.Env, "NOTIFY_SOCKET="+monitor.NotifySocket)
	}
	return writeSpec(c.Dir, s, false)
}

// notify tells systemd of a container's start. Systemd takes messages from the main process alone: so where the container itself
// says when it is ready, it hears of the monitor before the start; else of both at once (for healthy, see notifyHealthy).
func (e *Engine) notify(mode, socket string, pid int, started bool) {
	switch {
	case socket == "":
	case mode == notifyByContainer && !started:
		e.sendNotify(socket, fmt.Sprintf("MAINPID=%d", pid))
	case mode == notifyByMonitor && started:
		e.sendNotify(socket, fmt.Sprintf("MAINPID=%d\nREADY=1", pid))
	}
}

func (e *Engine) sendNotify(socket, text string) {
	if err := monitor.SendNotify(socket, []byte(text)); err != nil {
		e.log.Warn("systemd is not told of the container's start", "socket", socket, "error", err)
	}
}

// notifyHealthy waits until a container that is ready when it is healthy is so, or has ended, and tells systemd.
func (e *Engine) notifyHealthy(ctx context.Context, c *Container, opts StartOptions) error {
	cfg, err := c.Config()
	if err != nil || cfg.SdNotify != notifyHealthy || opts.onlyMake {
		return err
	}
	own := *c // whoever is attached reads the state as well
	wait := func() error {
		if err := e.Refresh(&own); err != nil {
			return err
		}
		if _, err := e.WaitFor(ctx, &own, WaitOptions{Any: []Condition{WaitHealthy, WaitExited}}); err != nil {
			return err
		}
		if opts.NotifySocket != "" && own.meets(WaitHealthy) {
			e.sendNotify(opts.NotifySocket, fmt.Sprintf("MAINPID=%d\nREADY=1", own.State.Monitor))
		}
		return nil
	}
	if opts.Attach != nil {
		go func() { _ = wait() }()
		return nil
	}
	if err := wait(); !errors.Is(err, ErrNoSuchContainer) && !record.IsNotExist(err) { // it has ended, and was to be removed then
		return err
	}
	return nil
}
