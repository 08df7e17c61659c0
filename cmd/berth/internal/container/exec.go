// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

type execOptions struct {
	detach, interactive, tty, privileged bool
	env, envFile                         []string
	user, workdir                        string
	detachKeys                           detachKeys
	preserved                            preserveFlags
	sel                                  selectFlags
}

// NewExec returns the command `exec`.
func NewExec(g *cli.Global) *cobra.Command { return newExec(g, execute) }

func newExec(g *cli.Global, run cli.Run[*execOptions]) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:     "exec [options] CONTAINER COMMAND [ARG...]",
		Short:   "Run a command in a running container",
		Example: "berth exec -it web sh",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.BoolVarP(&o.detach, "detach", "d", false, "run the command in the background")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "keep standard input open")
	f.BoolVarP(&o.tty, "tty", "t", false, "allocate a pseudo-TTY")
	f.BoolVar(&o.privileged, "privileged", false, "give extended privileges to the command")
	f.StringArrayVarP(&o.env, "env", "e", nil, "set an environment variable: NAME=VALUE, or NAME for the caller's (repeatable)")
	f.StringArrayVar(&o.envFile, "env-file", nil, "read environment variables from `FILE` (repeatable)")
	f.StringVarP(&o.user, "user", "u", "", "`USER[:GROUP]` to run the command as")
	f.StringVarP(&o.workdir, "workdir", "w", "", "working directory in the container")
	o.detachKeys.bind(f)
	o.preserved.bind(f)
	f.Bool("no-session", false, "no effect, since Berth records no exec sessions; accepted for compatibility")
	o.sel.bindLatest(f)
	f.Func("cidfile", "read the container's ID from `FILE`", func(path string) error {
		o.sel.idFiles = []string{path}
		return nil
	})
	return cmd
}

// byFlag reports whether a flag says which container is meant, and the arguments are the command alone.
func (o *execOptions) byFlag() bool { return o.sel.latest || len(o.sel.idFiles) > 0 }

func (o *execOptions) check(args []string) error {
	switch {
	case o.sel.latest && len(o.sel.idFiles) > 0:
		return errors.New("--latest and --cidfile cannot be used together")
	case len(args) == 0 && !o.byFlag():
		return errors.New("exec requires the name or ID of a container or the --latest or --cidfile flag")
	case len(args) == 0 || len(args) == 1 && !o.byFlag():
		return errors.New("must provide a non-empty command to start an exec session: invalid argument")
	}
	return o.preserved.check()
}

func execute(ctx context.Context, call cli.Call, o *execOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	names, argv := []string(nil), call.Args
	if !o.byFlag() {
		names, argv = argv[:1], argv[1:]
	}
	c, err := o.sel.one(ctx, e, names)
	if err != nil {
		return err
	}
	name := c.State.Name
	opts, err := o.options(argv)
	if err != nil {
		return err
	}
	restore := func() {}
	if !o.detach {
		opts.Stdout, opts.Stderr = console.Out.File(), console.Err.File()
		if o.interactive {
			opts.Stdin = os.Stdin
		}
	}
	if o.tty && !o.detach {
		a := attachment{input: o.interactive, terminal: true, keys: o.detachKeys}
		var s *libctr.Streams
		if s, restore, err = a.open(ctx, e, nil, nil); err != nil {
			return err
		}
		defer restore()
		opts.DetachKeys, opts.Size, opts.Resize = s.DetachKeys, s.Size, s.Resize
	}
	// a signal ends this command, and with its connection the command in the container
	code, err := e.Exec(ctx, c, opts)
	restore()
	switch {
	case errors.Is(err, libctr.ErrDetached):
		return nil
	case errors.Is(err, libctr.ErrNotRunning):
		return &cli.ExitError{Code: 255, Err: notRunningHint(err, name)} // as podman
	case errors.Is(err, libctr.ErrPaused):
		return &cli.ExitError{Code: 255, Err: pausedHint(err, name)}
	case err != nil:
		return err
	case code != 0:
		return &cli.ExitError{Code: code}
	}
	return nil
}

// options are what the flags say of the command argv.
func (o *execOptions) options(argv []string) (libctr.ExecOptions, error) {
	host := os.Environ()
	opts := libctr.ExecOptions{
		Args:       argv,
		Terminal:   o.tty,
		Detach:     o.detach,
		User:       o.user,
		WorkingDir: o.workdir,
		Privileged: o.privileged,
	}
	for _, path := range o.envFile {
		vars, err := spec.ReadEnvFile(path, host)
		if err != nil {
			return opts, err
		}
		opts.Env = append(opts.Env, vars...)
	}
	vars, err := spec.ParseEnv(o.env, host)
	if err != nil {
		return opts, err
	}
	opts.Env = append(opts.Env, vars...)
	opts.Preserve, err = o.preserved.files()
	return opts, err
}
