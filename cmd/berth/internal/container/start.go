// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"os"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type startOptions struct {
	sel                           selectFlags
	attach, interactive, sigProxy bool
	detachKeys                    detachKeys
}

// NewStart returns the command `start`.
func NewStart(g *cli.Global) *cobra.Command { return newStart(g, start) }

func newStart(g *cli.Global, run cli.Run[*startOptions]) *cobra.Command {
	var o startOptions
	cmd := &cobra.Command{
		Use:     "start [options] CONTAINER [CONTAINER...]",
		Short:   "Start one or more containers",
		Example: "berth start web\n  berth start --attach --interactive shell",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (o.attach || o.interactive) && (o.sel.all || len(o.sel.filters) > 0 || len(args) > 1 || len(args) == 0 && !o.sel.latest) {
				return errors.New("start --attach takes one container: you cannot start and attach multiple containers at once")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.attach, "attach", "a", false, "attach to the container's output, and exit with its exit code")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "attach standard input too")
	f.BoolVar(&o.sigProxy, "sig-proxy", true, "with --attach, proxy received signals to the container")
	f.BoolVar(&o.sel.all, "all", false, "start all containers that are not running")
	o.sel.bindLatest(f)
	o.sel.bindFilter(f, "f")
	o.detachKeys.bind(f)
	return cmd
}

func start(ctx context.Context, call cli.Call, o *startOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if o.attach || o.interactive {
		return startAttached(ctx, e, call, o)
	}
	return o.sel.eachNamed(ctx, e, call, inactive, requiredFirst, func(c *libctr.Container) error {
		_, err := e.Start(ctx, c, libctr.StartOptions{NotifySocket: os.Getenv("NOTIFY_SOCKET")})
		if errors.Is(err, libctr.ErrRunning) {
			return nil // as podman: it is started
		}
		return startCode(pausedHint(err, c.State.Name))
	})
}

func startAttached(ctx context.Context, e *libctr.Engine, call cli.Call, o *startOptions) error {
	c, err := o.sel.one(ctx, e, call.Args)
	if err != nil {
		return err
	}
	name := c.State.Name
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	out, errOut := streams(call)
	a := attachment{input: o.interactive, terminal: cfg.Terminal, keys: o.detachKeys}
	s, restore, err := a.open(ctx, e, out, errOut)
	if err != nil {
		return err
	}
	defer restore()
	session, err := e.Start(ctx, c, libctr.StartOptions{Attach: s, NotifySocket: os.Getenv("NOTIFY_SOCKET")})
	if errors.Is(err, libctr.ErrRunning) {
		session, err = e.Attach(ctx, c, *s)
	}
	if err != nil {
		return startCode(pausedHint(err, name))
	}
	return finish(ctx, call, e, c, session, o.sigProxy && !cfg.Terminal, restore)
}
