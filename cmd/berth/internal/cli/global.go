// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/version"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
)

// Global is the program as it was started, with its global flags; commands open their engines with it.
type Global struct {
	Argv []string
	// Pull fetches the image of a new container.
	Pull libctr.Puller
	// CDI adds the devices of a new container that files describe.
	CDI libctr.DeviceInjector
	// Live shows the live view of containers; global are the program and its global flags.
	Live func(ctx context.Context, call Call, global []string) error
	// PassesSignals is set by a command that goes on after a signal, which it has passed on to its container.
	PassesSignals atomic.Bool

	opts     libctr.Options
	logLevel string
	noOut    bool
	out      string
}

// AsPodman reports whether the program was called by podman's or docker's name: through a link, by a tool that knows no other.
func (g *Global) AsPodman() bool {
	if len(g.Argv) == 0 {
		return false
	}
	name := filepath.Base(g.Argv[0])
	return name == "podman" || name == "docker"
}

// Version is the version that goes with the name that the program was called by: Berth's, or that of the podman whose commands it has.
func (g *Global) Version() string {
	if g.AsPodman() {
		return version.Podman
	}
	return version.Version
}

// Open prepares the engine for a command. Where the command has entered the user
// namespace it first finishes what killed commands left undone.
func (g *Global) Open(ctx context.Context) (*libctr.Engine, error) {
	e, err := g.OpenOnly(ctx)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 && rootless.MustEnter(g.Argv) {
		if w := rootless.WarnSingleID(); w != "" {
			slog.Warn(w)
		}
		if err := doctor.Recover(ctx, e.Recover); err != nil {
			slog.Warn("finish what a killed command left undone", "error", err, "see", hint.To(hint.Repair))
		}
	}
	return e, nil
}

// OpenOnly prepares the engine, and leaves alone what killed commands left undone.
func (g *Global) OpenOnly(ctx context.Context) (*libctr.Engine, error) {
	opts := g.opts
	opts.Log = slog.Default()
	opts.Pull, opts.CDI = g.Pull, g.CDI
	return libctr.Open(ctx, opts)
}

// Bind adds the global flags; they are podman's.
func (g *Global) Bind(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	o := &g.opts
	f.StringVar(&o.GraphRoot, "root", "", "`DIR` of images, container layers and records")
	f.StringVar(&o.RunRoot, "runroot", "", "`DIR` of state that does not outlive the boot")
	f.StringVar(&o.TmpDir, "tmpdir", "", "`DIR` of Berth's own runtime files (default below the runroot)")
	f.StringVar(&o.StorageDriver, "storage-driver", "", "storage driver: overlay or vfs")
	f.StringArrayVar(&o.StorageOpts, "storage-opt", nil, "storage driver option (repeatable)")
	f.StringVar(&o.Runtime, "runtime", "", "OCI runtime, by name or path (default from containers.conf: crun)")
	f.StringArrayVar(&o.RuntimeFlags, "runtime-flag", nil, "global flag for the OCI runtime, without dashes (repeatable)")
	f.StringVar(&o.CgroupManager, "cgroup-manager", "", "cgroup manager: systemd, cgroupfs or disabled (default depends on the host)")
	f.StringVar(&o.EventsBackend, "events-backend", "", "where to write events: file or none (default from containers.conf: file)")
	f.StringArrayVar(&o.Modules, "module", nil, "containers.conf module to load (repeatable)")
	f.StringVar(&g.logLevel, "log-level", "warn", "log messages at this level and above: debug, info, warn, error, fatal or panic")
	f.StringArrayVar(&o.HooksDirs, "hooks-dir", nil, "`DIR` of OCI hooks (repeatable; default from containers.conf)")
	f.StringArrayVar(&o.CDISpecDirs, "cdi-spec-dir", nil, "`DIR` of files that describe CDI devices (repeatable; default from containers.conf)")
	f.BoolVar(&o.TransientStore, "transient-store", false, "keep the store's records of containers only until the next boot")
	f.StringVar(&o.ImageStore, "imagestore", "", "`DIR` of images, apart from the containers")
	f.StringVar(&g.out, "out", "", "write standard output to `FILE`")
	f.BoolVar(&g.noOut, "noout", false, "do not write to standard output")
}

// Apply checks the global flags and sets up logging, before any command runs.
func (g *Global) Apply(cmd *cobra.Command) error {
	level, err := parseLevel(g.logLevel)
	if err != nil {
		return err
	}
	setUpLogging(cmd.ErrOrStderr(), level)
	switch g.opts.EventsBackend {
	case "", "file", "none":
	case "journald":
		return hint.Add(fmt.Errorf("--events-backend journald is not supported"), "use --events-backend file; the events are in GRAPHROOT/berth/events.log")
	default:
		return fmt.Errorf("--events-backend %q: must be file or none", g.opts.EventsBackend)
	}
	switch g.opts.CgroupManager {
	case "", "systemd", "cgroupfs", "disabled":
	default:
		return fmt.Errorf("--cgroup-manager %q: must be systemd, cgroupfs or disabled", g.opts.CgroupManager)
	}
	switch {
	case g.noOut && g.out != "":
		return errors.New("--out and --noout exclude each other")
	case g.noOut:
		return console.Redirect(os.DevNull)
	case g.out != "":
		return console.Redirect(g.out)
	}
	return nil
}

// CommandWord finds the first word of argv that is neither a global flag nor its value; it is empty if there is none.
func CommandWord(root *cobra.Command, argv []string) string {
	if i := CommandIndex(root, argv); i < len(argv) {
		return argv[i]
	}
	return ""
}

// CommandIndex is where that word is: len(argv) if there is none.
func CommandIndex(root *cobra.Command, argv []string) int {
	for i := 1; i < len(argv); i++ {
		name, isFlag := strings.CutPrefix(argv[i], "--")
		if !isFlag {
			return i
		}
		if flag := root.PersistentFlags().Lookup(name); flag != nil && flag.NoOptDefVal == "" {
			i++ // its value is the next word
		}
	}
	return len(argv)
}
