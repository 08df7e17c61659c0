// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"fmt"
	"syscall"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

type killOptions struct {
	sel    selectFlags
	signal syscall.Signal
}

// NewKill returns the command `kill`.
func NewKill(g *cli.Global) *cobra.Command { return newKill(g, kill) }

func newKill(g *cli.Global, run cli.Run[*killOptions]) *cobra.Command {
	var o killOptions
	var name string
	cmd := &cobra.Command{
		Use:     "kill [options] CONTAINER [CONTAINER...]",
		Short:   "Send a signal to one or more running containers",
		Example: "berth kill --signal HUP web",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.signal, err = spec.ParseSignal(name); err != nil {
				return fmt.Errorf("--signal: %w", err)
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&name, "signal", "s", "KILL", "signal to send, by name or number")
	o.sel.bindAll(f, "send the signal to all running containers")
	o.sel.bindLatest(f)
	o.sel.bindIDFile(f)
	return cmd
}

func kill(ctx context.Context, call cli.Call, o *killOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return o.sel.eachNamed(ctx, e, call, active, anyOrder, func(c *libctr.Container) error {
		return notRunningHint(e.Kill(ctx, c, o.signal), c.State.Name)
	})
}
