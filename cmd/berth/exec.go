// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

type execFlags struct {
	detach, interactive, tty, privileged bool
	env, envFile                         []string
	user, workdir, detachKeys            string
	preserve                             uint
}

func newExecCmd(e *engineFlags) *cobra.Command {
	var f execFlags
	cmd := &cobra.Command{
		Use:     "exec [options] CONTAINER COMMAND [ARG...]",
		Short:   "Run a command in a running container",
		Example: "berth exec -it web sh",
		Args:    cobra.MinimumNArgs(2),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			return execute(cmd, engine, args[0], args[1:], f)
		}),
	}
	fs := cmd.Flags()
	fs.SetInterspersed(false)
	fs.BoolVarP(&f.detach, "detach", "d", false, "run it in the background")
	fs.BoolVarP(&f.interactive, "interactive", "i", false, "keep standard input open")
	fs.BoolVarP(&f.tty, "tty", "t", false, "give it a terminal")
	fs.BoolVar(&f.privileged, "privileged", false, "give it every capability that the container can have")
	fs.StringArrayVarP(&f.env, "env", "e", nil, "NAME=VALUE or NAME (repeatable)")
	fs.StringArrayVar(&f.envFile, "env-file", nil, "file with a variable a line (repeatable)")
	fs.StringVarP(&f.user, "user", "u", "", "USER[:GROUP] to run as")
	fs.StringVarP(&f.workdir, "workdir", "w", "", "working directory inside")
	fs.StringVar(&f.detachKeys, "detach-keys", defaultDetachKeys, "keys that detach; empty for none")
	fs.UintVar(&f.preserve, "preserve-fds", 0, "pass this many file descriptors on, from 3")
	return cmd
}

func execute(cmd *cobra.Command, e *libctr.Engine, name string, argv []string, f execFlags) error {
	ctx := cmd.Context()
	c, err := e.Lookup(ctx, name)
	if err != nil {
		return err
	}
	host := os.Environ()
	opts := libctr.ExecOptions{
		Args: argv, Terminal: f.tty, Detach: f.detach, User: f.user, WorkingDir: f.workdir, Privileged: f.privileged,
	}
	for _, path := range f.envFile {
		vars, err := spec.ReadEnvFile(path, host)
		if err != nil {
			return err
		}
		opts.Env = append(opts.Env, vars...)
	}
	vars, err := spec.ParseEnv(f.env, host)
	if err != nil {
		return err
	}
	opts.Env = append(opts.Env, vars...)
	for n := range f.preserve {
		opts.Preserve = append(opts.Preserve, os.NewFile(uintptr(3+n), fmt.Sprintf("fd %d", 3+n)))
	}
	if !f.detach {
		opts.Stdout, opts.Stderr = stdout.file(), stderr.file()
		if f.interactive {
			opts.Stdin = os.Stdin
		}
	}
	restore := func() {}
	if f.tty && !f.detach {
		if opts.DetachKeys, err = detachKeys(e, f.detachKeys, cmd); err != nil {
			return err
		}
		opts.Size, _ = terminalSize()
		opts.Resize = watchSize(ctx)
		if f.interactive {
			if restore, err = rawTerminal(); err != nil {
				return fmt.Errorf("prepare the terminal: %w", err)
			}
			defer restore()
		}
	}
	// a signal ends this command, and with its connection the command in the container
	code, err := e.Exec(ctx, c, opts)
	restore()
	switch {
	case errors.Is(err, libctr.ErrDetached):
		return nil
	case errors.Is(err, libctr.ErrNotRunning):
		return &exitError{Code: 255, Err: notRunningHint(err, name)} // as podman
	case errors.Is(err, libctr.ErrPaused):
		return &exitError{Code: 255, Err: pausedHint(err, name)}
	case err != nil:
		return err
	case code != 0:
		return &exitError{Code: code}
	}
	return nil
}
