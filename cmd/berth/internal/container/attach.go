// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
)

type attachOptions struct {
	noStdin, sigProxy bool
	detachKeys        detachKeys
	sel               selectFlags
}

// NewAttach returns the command `attach`.
func NewAttach(g *cli.Global) *cobra.Command {
	return newAttach(g, attach)
}

func newAttach(g *cli.Global, run cli.Run[*attachOptions]) *cobra.Command {
	var o attachOptions
	cmd := &cobra.Command{
		Use:     "attach [options] CONTAINER",
		Short:   "Attach to a running container",
		Example: "berth attach web\n  berth attach --latest",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.sel.latest && len(args) > 0:
				return errors.New("--latest and arguments cannot be used together")
			case len(args) > 1 || len(args) == 0 && !o.sel.latest:
				return errors.New("attach requires the name or id of one running container or the latest flag")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.noStdin, "no-stdin", false, "do not attach standard input")
	f.BoolVar(&o.sigProxy, "sig-proxy", true, "proxy received signals to the container")
	o.detachKeys.bind(f)
	o.sel.bindLatest(f)
	return cmd
}

func attach(ctx context.Context, call cli.Call, o *attachOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
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
	a := attachment{input: !o.noStdin && cfg.OpenStdin, terminal: cfg.Terminal, keys: o.detachKeys}
	s, restore, err := a.open(ctx, e, out, errOut)
	if err != nil {
		return err
	}
	defer restore()
	session, err := e.Attach(ctx, c, *s)
	if err != nil {
		return pausedHint(notRunningHint(err, name), name)
	}
	return finish(ctx, call, e, c, session, o.sigProxy && !cfg.Terminal, restore)
}
