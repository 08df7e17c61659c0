// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

// defaultDetachKeys are podman's.
const defaultDetachKeys = "ctrl-p,ctrl-q"

type runOptions struct {
	detach     bool
	attach     []string
	sigProxy   bool
	detachKeys string
}

func newRunCmd(e *engineFlags) *cobra.Command {
	var f flags.Create
	var opts runOptions
	cmd := &cobra.Command{
		Use:     "run [options] IMAGE [COMMAND [ARG...]]",
		Short:   "Run a command in a new container",
		Example: "berth run --rm -it alpine\n  berth run -d --name web -p 8080:80 nginx",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			libctr.Trace("process started")
			engine, err := e.open(cmd.Context())
			if err != nil {
				return err
			}
			create, err := createOptions(&f, engine, args, e.argv)
			if err != nil {
				return err
			}
			if opts.detach && create.AutoRemove && create.LogDriver == "passthrough" {
				return errors.New("--log-driver passthrough needs the foreground: leave --detach out")
			}
			keys, err := detachKeys(engine, opts.detachKeys, cmd)
			if err != nil {
				return err
			}
			libctr.Trace("flags read")
			return run(cmd.Context(), engine, create, opts, keys, asIs(cmd.OutOrStdout()), asIs(cmd.ErrOrStderr()))
		},
	}
	f.Bind(cmd.Flags())
	cmd.Flags().BoolVarP(&opts.detach, "detach", "d", false, "run it in the background and print its ID")
	cmd.Flags().StringArrayVarP(&opts.attach, "attach", "a", nil, "attach to stdin, stdout or stderr only (repeatable)")
	cmd.Flags().BoolVar(&opts.sigProxy, "sig-proxy", true, "pass signals on to the container")
	cmd.Flags().StringVar(&opts.detachKeys, "detach-keys", defaultDetachKeys, "keys that detach; empty for none")
	return cmd
}

func run(ctx context.Context, e *libctr.Engine, create libctr.CreateOptions, opts runOptions, keys []byte, out, errOut io.Writer) error {
	start := libctr.StartOptions{Passthrough: &libctr.Passthrough{Stdout: stdout.file(), Stderr: stderr.file()}}
	if create.Interactive {
		start.Passthrough.Stdin = os.Stdin
	}
	streams, restore := &libctr.Streams{}, func() {}
	if !opts.detach {
		var err error
		if streams, err = foreground(ctx, opts.attach, create.Interactive, create.Terminal, out, errOut); err != nil {
			return err
		}
		if create.Terminal { // elsewhere they are bytes like any other
			streams.DetachKeys = keys
		}
		start.Attach = streams
		if create.Terminal && create.Interactive {
			if restore, err = rawTerminal(); err != nil {
				return fmt.Errorf("prepare the terminal: %w", err)
			}
			defer restore()
		}
	}
	c, session, err := e.Run(ctx, create, start)
	if err != nil {
		return err
	}
	if session == nil {
		fmt.Fprintln(out, c.ID)
		return nil
	}
	return finish(ctx, e, c, session, opts.sigProxy && !create.Terminal, restore)
}

// createOptions are what the command line says of a container.
func createOptions(f *flags.Create, e *libctr.Engine, args, argv []string) (o libctr.CreateOptions, err error) {
	if _, err := e.Config(); err != nil { // its engine.env are variables of this process, which --env NAME can name
		return o, err
	}
	if o, err = f.Options(args); err != nil {
		return o, err
	}
	o.CreateCommand, o.Progress = argv, progress(f.Quiet())
	if size, ok := terminalSize(); ok && o.Terminal {
		o.TTYSize = spec.TTYSize{Rows: uint(size.Rows), Cols: uint(size.Cols)}
	}
	return o, nil
}

// foreground chooses the caller's streams that are connected to a container.
func foreground(ctx context.Context, attach []string, interactive, tty bool, out, errOut io.Writer) (*libctr.Streams, error) {
	s := &libctr.Streams{}
	all := len(attach) == 0
	for _, a := range attach {
		if !slices.Contains([]string{"stdin", "stdout", "stderr"}, strings.ToLower(a)) {
			return nil, fmt.Errorf("--attach %q: must be stdin, stdout or stderr", a)
		}
	}
	has := func(name string) bool { return all || slices.Contains(attach, name) }
	if interactive && has("stdin") {
		s.Stdin = os.Stdin
	}
	if has("stdout") {
		s.Stdout = out
	}
	if has("stderr") {
		s.Stderr = errOut
	}
	if tty && (isTerminal(os.Stdin) || isTerminal(stdout.file())) {
		s.Size, _ = terminalSize()
		s.Resize = watchSize(ctx)
	}
	return s, nil
}

// finish waits for an attached container and turns its exit code into this program's.
func finish(ctx context.Context, e *libctr.Engine, c *libctr.Container, session *libctr.Session, sigProxy bool, restore func()) error {
	// signals now mean the container, not this command
	if sigProxy {
		defer proxySignals(context.WithoutCancel(ctx), e, c)()
		ctx = context.WithoutCancel(ctx)
		signalsAreTheContainers.Store(true)
	}
	code, err := session.Wait(ctx)
	restore()
	if errors.Is(err, libctr.ErrDetached) {
		return nil
	}
	if err != nil {
		return err
	}
	libctr.Trace("record removed")
	if code != 0 {
		return &exitError{Code: code}
	}
	return nil
}

// detachKeys reads --detach-keys, or containers.conf where the flag was not given.
func detachKeys(e *libctr.Engine, value string, cmd *cobra.Command) ([]byte, error) {
	if !cmd.Flags().Changed("detach-keys") {
		conf, err := e.Config()
		if err != nil {
			return nil, err
		}
		value = conf.Engine.DetachKeys
	}
	return libctr.ParseDetachKeys(value)
}

func newCreateCmd(e *engineFlags) *cobra.Command {
	var f flags.Create
	cmd := &cobra.Command{
		Use:     "create [options] IMAGE [COMMAND [ARG...]]",
		Short:   "Make a container without starting it",
		Example: "berth create --name web -p 8080:80 nginx",
		Args:    cobra.MinimumNArgs(1),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			create, err := createOptions(&f, engine, args, e.argv)
			if err != nil {
				return err
			}
			c, err := engine.Create(cmd.Context(), create)
			if err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), c.ID)
			return nil
		}),
	}
	f.Bind(cmd.Flags())
	return cmd
}

type startFlags struct {
	attach, interactive, sigProxy, all bool
	detachKeys                         string
}

func newStartCmd(e *engineFlags) *cobra.Command {
	var f startFlags
	cmd := &cobra.Command{
		Use:     "start [options] CONTAINER [CONTAINER...]",
		Short:   "Start created or stopped containers",
		Example: "berth start web\n  berth start --attach --interactive shell",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			if f.attach || f.interactive {
				if len(args) != 1 || f.all {
					return errors.New("start --attach takes one container")
				}
				return startAttached(cmd, engine, args[0], f)
			}
			return eachContainer(cmd, engine, args, selection{all: f.all, running: no}, func(ctx context.Context, c *libctr.Container) error {
				_, err := engine.Start(ctx, c, libctr.StartOptions{})
				if errors.Is(err, libctr.ErrRunning) {
					return nil // as podman: it is started
				}
				return startCode(pausedHint(err, c.State.Name))
			})
		}),
	}
	cmd.Flags().BoolVarP(&f.attach, "attach", "a", false, "attach to its output, and exit as it does")
	cmd.Flags().BoolVarP(&f.interactive, "interactive", "i", false, "attach standard input too")
	cmd.Flags().BoolVar(&f.sigProxy, "sig-proxy", true, "with --attach, pass signals on")
	cmd.Flags().BoolVar(&f.all, "all", false, "start every container that does not run")
	cmd.Flags().StringVar(&f.detachKeys, "detach-keys", defaultDetachKeys, "keys that detach; empty for none")
	return cmd
}

func startAttached(cmd *cobra.Command, e *libctr.Engine, name string, f startFlags) error {
	ctx := cmd.Context()
	c, err := e.Lookup(ctx, name)
	if err != nil {
		return err
	}
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	streams, err := foreground(ctx, nil, f.interactive, cfg.Terminal, asIs(cmd.OutOrStdout()), asIs(cmd.ErrOrStderr()))
	if err != nil {
		return err
	}
	keys, err := detachKeys(e, f.detachKeys, cmd)
	if err != nil {
		return err
	}
	if cfg.Terminal {
		streams.DetachKeys = keys
	}
	restore := func() {}
	if cfg.Terminal && f.interactive {
		if restore, err = rawTerminal(); err != nil {
			return fmt.Errorf("prepare the terminal: %w", err)
		}
		defer restore()
	}
	session, err := e.Start(ctx, c, libctr.StartOptions{Attach: streams})
	if errors.Is(err, libctr.ErrRunning) {
		session, err = e.Attach(ctx, c, *streams)
	}
	if err != nil {
		return startCode(pausedHint(err, name))
	}
	return finish(ctx, e, c, session, f.sigProxy && !cfg.Terminal, restore)
}

func newAttachCmd(e *engineFlags) *cobra.Command {
	var noStdin, sigProxy bool
	var keys string
	cmd := &cobra.Command{
		Use:     "attach [options] CONTAINER",
		Short:   "Connect to the standard streams of a running container",
		Example: "berth attach web",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			engine, err := e.open(ctx)
			if err != nil {
				return err
			}
			c, err := engine.Lookup(ctx, args[0])
			if err != nil {
				return err
			}
			cfg, err := c.Config()
			if err != nil {
				return err
			}
			streams, err := foreground(ctx, nil, !noStdin && cfg.OpenStdin, cfg.Terminal, asIs(cmd.OutOrStdout()), asIs(cmd.ErrOrStderr()))
			if err != nil {
				return err
			}
			detach, err := detachKeys(engine, keys, cmd)
			if err != nil {
				return err
			}
			if cfg.Terminal {
				streams.DetachKeys = detach
			}
			restore := func() {}
			if cfg.Terminal && streams.Stdin != nil {
				if restore, err = rawTerminal(); err != nil {
					return fmt.Errorf("prepare the terminal: %w", err)
				}
				defer restore()
			}
			session, err := engine.Attach(ctx, c, *streams)
			if err != nil {
				return pausedHint(notRunningHint(err, args[0]), args[0])
			}
			return finish(ctx, engine, c, session, sigProxy && !cfg.Terminal, restore)
		},
	}
	cmd.Flags().BoolVar(&noStdin, "no-stdin", false, "do not attach standard input")
	cmd.Flags().BoolVar(&sigProxy, "sig-proxy", true, "pass signals on to the container")
	cmd.Flags().StringVar(&keys, "detach-keys", defaultDetachKeys, "keys that detach; empty for none")
	return cmd
}

// notRunningHint says how to start a container that a command wanted running.
func notRunningHint(err error, name string) error {
	if errors.Is(err, libctr.ErrNotRunning) {
		return hint.Add(err, "start it with: berth start %s", name)
	}
	return err
}

// startCode gives a container that cannot be started the exit code of podman-start(1), whatever run would end with.
func startCode(err error) error {
	var failed *libctr.StartError
	if errors.As(err, &failed) {
		return &exitError{Code: 125, Err: err}
	}
	return err
}

// pausedHint says how to let a container go on that a command wanted unfrozen.
func pausedHint(err error, name string) error {
	if errors.Is(err, libctr.ErrPaused) {
		return hint.Add(err, "let it go on with: berth unpause %s", name)
	}
	return err
}

func duration(seconds uint) *time.Duration {
	d := time.Duration(seconds) * time.Second
	return &d
}
