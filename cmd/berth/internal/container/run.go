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
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

type runOptions struct {
	create     *flags.Create
	detach     bool
	attach     []string
	sigProxy   bool
	rmi        bool
	detachKeys detachKeys
	preserved  preserveFlags
}

// NewRun returns the command `run`.
func NewRun(g *cli.Global) *cobra.Command {
	return newRun(g, run)
}

func newRun(g *cli.Global, run cli.Run[*runOptions]) *cobra.Command {
	o := runOptions{create: &flags.Create{}}
	cmd := &cobra.Command{
		Use:     "run [options] IMAGE [COMMAND [ARG...]]",
		Short:   "Run a command in a new container",
		Example: "berth run --rm -it alpine\n  berth run -d --name web -p 8080:80 nginx\n  berth run --rm -it --rootfs ./rootfs:O sh",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			libctr.Trace("process started")
			if err := o.preserved.check(); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.create.Bind(f)
	f.BoolVarP(&o.detach, "detach", "d", false, "run the container in the background and print its ID")
	f.StringArrayVarP(&o.attach, "attach", "a", nil, "attach to stdin, stdout or stderr only (repeatable)")
	f.BoolVar(&o.rmi, "rmi", false, "remove the image after the container, unless others use it; implies --rm")
	f.BoolVar(&o.sigProxy, "sig-proxy", true, "proxy received signals to the container")
	o.detachKeys.bind(f)
	o.preserved.bind(f)
	return cmd
}

func run(ctx context.Context, call cli.Call, o *runOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	create, err := createOptions(o.create, e, call.Args, call.Argv)
	if err != nil {
		return err
	}
	if o.rmi {
		create.RemoveImage, create.AutoRemove = true, true
	}
	if o.detach && create.AutoRemove && create.LogDriver == "passthrough" {
		return errors.New("--log-driver passthrough needs the foreground: leave --detach out")
	}
	libctr.Trace("flags read")
	start := libctr.StartOptions{NotifySocket: os.Getenv("NOTIFY_SOCKET"), Passthrough: &libctr.Passthrough{Stdout: console.Out.File(), Stderr: console.Err.File()}}
	if start.Preserve, err = o.preserved.files(); err != nil {
		return err
	}
	if create.Interactive {
		start.Passthrough.Stdin = os.Stdin
	}
	out, errOut := streams(call)
	restore := func() {}
	if o.detach {
		if _, err := o.detachKeys.parse(e); err != nil {
			return err
		}
	} else {
		a := attachment{only: o.attach, input: create.Interactive, terminal: create.Terminal, keys: o.detachKeys}
		if start.Attach, restore, err = a.open(ctx, e, out, errOut); err != nil {
			return err
		}
		defer restore()
	}
	c, session, err := e.Run(ctx, create, start)
	if err != nil {
		return err
	}
	if session == nil {
		fmt.Fprintln(out, c.ID)
		return nil
	}
	return finish(ctx, call, e, c, session, o.sigProxy && !create.Terminal, restore)
}

// createOptions are what the command line says of a container.
func createOptions(f *flags.Create, e *libctr.Engine, args, argv []string) (o libctr.CreateOptions, err error) {
	if _, err := e.Config(); err != nil { // its engine.env are variables of this process, which --env NAME can name
		return o, err
	}
	if o, err = f.Options(args); err != nil {
		return o, err
	}
	o.CreateCommand = argv
	o.Progress = console.Progress(f.Quiet())
	if size, ok := console.Size(); ok && o.Terminal {
		o.TTYSize = spec.TTYSize{Rows: uint(size.Rows), Cols: uint(size.Cols)}
	}
	return o, nil
}
