// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type waitOptions struct {
	sel   selectFlags
	first bool // --exit-first-match
	libctr.WaitOptions
}

// NewWait returns the command `wait`.
func NewWait(g *cli.Global) *cobra.Command { return newWait(g, wait) }

func newWait(g *cli.Global, run cli.Run[*waitOptions]) *cobra.Command {
	var o waitOptions
	var conditions []string
	var interval string
	cmd := &cobra.Command{
		Use:     "wait [options] CONTAINER [CONTAINER...]",
		Short:   "Block until one or more containers stop, then print their exit codes",
		Example: "berth wait web",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Interval, err = parseInterval(interval); err != nil {
				return err
			}
			for _, w := range conditions {
				o.Any = append(o.Any, libctr.Condition(w))
			}
			if err := o.Check(); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.sel.bindLatest(f)
	f.BoolVar(&o.sel.ignore, "ignore", false, "ignore containers that do not exist")
	f.StringArrayVar(&conditions, "condition", nil, "condition to wait for: created, initialized, running, paused, stopping, exited, stopped, removing, healthy, unhealthy (repeatable; default stopped)")
	f.StringVarP(&interval, "interval", "i", "250ms", "time between two checks of a condition")
	f.BoolVar(&o.first, "exit-first-match", false, "wait for the first of several containers only")
	return cmd
}

// parseInterval reads a duration; a bare number is in milliseconds.
func parseInterval(s string) (time.Duration, error) {
	for _, text := range []string{s, s + "ms"} {
		if d, err := time.ParseDuration(text); err == nil {
			return d, nil
		}
	}
	return 0, fmt.Errorf("--interval %q: not a duration", s)
}

func wait(ctx context.Context, call cli.Call, o *waitOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if o.first {
		return waitForFirst(ctx, e, call, o)
	}
	return o.sel.each(ctx, e, call, nil, func(c libctr.Selected) error {
		code, err := e.WaitFor(ctx, c.Container, o.WaitOptions)
		if err == nil {
			fmt.Fprintln(call.Out, code)
		}
		return err
	})
}

func waitForFirst(ctx context.Context, e *libctr.Engine, call cli.Call, o *waitOptions) error {
	sel, err := o.sel.selection(call.Args, nil)
	if err != nil {
		return err
	}
	list, err := e.Select(ctx, sel)
	if err != nil {
		return cli.ReportAllButLast(err)
	}
	if len(list) == 0 {
		if o.sel.ignore && len(call.Args) > 0 {
			return nil
		}
		return fmt.Errorf("%s: you must provide at least one name or id", call.Name)
	}
	code, err := e.WaitForFirst(ctx, list, o.WaitOptions)
	if err == nil {
		fmt.Fprintln(call.Out, code)
	}
	return err
}
