// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/rootless"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// engineFlags are the global flags; each command opens its engine with them.
type engineFlags struct {
	argv     []string
	opts     libctr.Options
	logLevel string
	noOut    bool
}

// open prepares the engine for a command. Where the command has entered the user
// namespace it first finishes what killed commands left undone.
func (f *engineFlags) open(ctx context.Context) (*libctr.Engine, error) {
	f.opts.Log = slog.Default()
	f.opts.Pull = pullImage
	e, err := libctr.Open(ctx, f.opts)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() == 0 && rootless.MustEnter(f.argv) {
		if w := rootless.WarnSingleID(); w != "" {
			slog.Warn(w)
		}
		if _, err := e.Recover(ctx); err != nil {
			slog.Warn("finish what a killed command left undone; see: berth system check --repair", "error", err)
		}
	}
	return e, nil
}

// withEngine makes a command's action out of one that works on an engine.
func (f *engineFlags) withEngine(action func(cmd *cobra.Command, e *libctr.Engine, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		e, err := f.open(cmd.Context())
		if err != nil {
			return err
		}
		return action(cmd, e, args)
	}
}

// bind adds the global flags; they are podman's.
func (f *engineFlags) bind(cmd *cobra.Command) {
	p := cmd.PersistentFlags()
	o := &f.opts
	p.StringVar(&o.GraphRoot, "root", "", "directory of images, container layers and records")
	p.StringVar(&o.RunRoot, "runroot", "", "directory of what ends with the boot")
	p.StringVar(&o.TmpDir, "tmpdir", "", "directory of Berth's own runtime files (default below the runroot)")
	p.StringVar(&o.StorageDriver, "storage-driver", "", "storage driver: overlay or vfs")
	p.StringArrayVar(&o.StorageOpts, "storage-opt", nil, "storage driver option (repeatable)")
	p.StringVar(&o.Runtime, "runtime", "", "OCI runtime, a name or a path (default from containers.conf: crun)")
	p.StringArrayVar(&o.RuntimeFlags, "runtime-flag", nil, "global flag for the OCI runtime, without dashes (repeatable)")
	p.StringVar(&o.CgroupManager, "cgroup-manager", "", "systemd, cgroupfs, or disabled (default chosen by the host)")
	p.StringVar(&o.EventsBackend, "events-backend", "", "where events go: file or none (default from containers.conf: file)")
	p.StringArrayVar(&o.Modules, "module", nil, "containers.conf module to load (repeatable)")
	p.StringVar(&f.logLevel, "log-level", "warn", "debug, info, warn, error, fatal or panic")
	p.BoolVar(&f.noOut, "noout", false, "print nothing on standard output")
}

// apply checks the global flags and sets up logging, before any command runs.
func (f *engineFlags) apply(cmd *cobra.Command) error {
	level, err := parseLevel(f.logLevel)
	if err != nil {
		return err
	}
	setUpLogging(cmd.ErrOrStderr(), level)
	switch f.opts.EventsBackend {
	case "", "file", "none":
	case "journald":
		return hint.Add(fmt.Errorf("--events-backend journald is not supported"), "use --events-backend file; the events are in GRAPHROOT/berth/events.log")
	default:
		return fmt.Errorf("--events-backend %q: must be file or none", f.opts.EventsBackend)
	}
	switch f.opts.CgroupManager {
	case "", "systemd", "cgroupfs", "disabled":
	default:
		return fmt.Errorf("--cgroup-manager %q: must be systemd, cgroupfs or disabled", f.opts.CgroupManager)
	}
	if f.noOut {
		return silenceStdout()
	}
	return nil
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "trace", "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error", "fatal", "panic":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("--log-level %q: must be debug, info, warn, error, fatal or panic", s)
}

// setUpLogging sends the engine's log (slog) and the container libraries' (logrus) to w as lines
// "level: message key=value".
func setUpLogging(w io.Writer, level slog.Level) {
	slog.SetDefault(slog.New(&lineHandler{w: w, level: level}))
	logrus.SetOutput(w)
	logrus.SetFormatter(lineFormatter{})
	switch level {
	case slog.LevelDebug:
		logrus.SetLevel(logrus.DebugLevel)
	case slog.LevelInfo:
		logrus.SetLevel(logrus.InfoLevel)
	case slog.LevelWarn:
		logrus.SetLevel(logrus.WarnLevel)
	default:
		logrus.SetLevel(logrus.ErrorLevel)
	}
}

// commandWord finds the first word of argv that is neither a global flag nor its value.
func commandWord(root *cobra.Command, argv []string) string {
	if i := commandIndex(root, argv); i < len(argv) {
		return argv[i]
	}
	return ""
}

// commandIndex is where that word is: len(argv) if there is none.
func commandIndex(root *cobra.Command, argv []string) int {
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

// newRootCmd returns the command tree for the program started as argv: of a frequent command only its own branch, else
// the whole; for the latter the program berth becomes berth-full (program_lean.go).
func newRootCmd(argv []string) (*cobra.Command, error) {
	f := &engineFlags{argv: argv}
	root := &cobra.Command{
		Use:               "berth",
		Short:             "Run containers, rootless and without a daemon",
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              cobra.ArbitraryArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return f.apply(cmd) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.SetUsageFunc(usage)
	f.bind(root)
	root.Flags().BoolP("version", "v", false, "print the version")
	root.Version = version()
	root.SetVersionTemplate("berth version {{.Version}}\n")
	word := commandWord(root, argv)
	for _, c := range frequentCommands() {
		if c.name == word {
			// The others are not made: the whole tree takes 2 ms, as long as the rest of `ps`.
			root.CompletionOptions.DisableDefaultCmd = true
			root.AddCommand(c.make(f))
			shareWords(root)
			return root, checkWords(root, argv)
		}
	}
	others, err := otherCommands(f)
	if err != nil {
		return nil, err
	}
	for _, c := range frequentCommands() {
		root.AddCommand(c.make(f))
	}
	root.AddCommand(others...)
	shareWords(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root, checkWords(root, argv)
}

// frequentCommands are those that start fast, since the program berth has them: see program_lean.go.
func frequentCommands() []containerCommand {
	return append(containerCommands(), containerCommand{"container", newContainerGroup}, containerCommand{"volume", newVolumeGroup}, containerCommand{"images", newImagesCmd},
		containerCommand{"inspect", newInspectCmd}, containerCommand{"events", newEventsCmd}, containerCommand{"info", newInfoCmd}, containerCommand{"version", newVersionCmd},
		containerCommand{"unshare", newUnshareCmd}, containerCommand{"cleanup", newCleanupCmd})
}

// group is a command that only holds others; an unknown one below it is an error.
func group(use, short string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args[0])
		},
	}
	cmd.AddCommand(subcommands...)
	return cmd
}
