// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type rmOptions struct {
	sel     selectFlags
	force   bool
	volumes bool
	depend  bool
	timeout *time.Duration // with force; nil is the container's own
}

// NewRm returns the command `rm`.
func NewRm(g *cli.Global) *cobra.Command { return newRm(g, remove) }

func newRm(g *cli.Global, run cli.Run[*rmOptions]) *cobra.Command {
	var o rmOptions
	var timeout int
	cmd := &cobra.Command{
		Use:     "rm [options] CONTAINER [CONTAINER...]",
		Short:   "Remove one or more containers",
		Example: "berth rm web\n  berth rm --force --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("time") {
				d := time.Duration(max(timeout, 0)) * time.Second
				o.force, o.timeout = true, &d
			}
			o.sel.ignore = o.sel.ignore || o.force
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.force, "force", "f", false, "stop running containers first; ignore containers that do not exist")
	f.IntVarP(&timeout, "time", "t", 10, "seconds to wait before killing a container; implies --force")
	f.BoolVarP(&o.volumes, "volumes", "v", false, "remove the anonymous volumes of the containers too")
	f.BoolVar(&o.depend, "depend", false, "remove the containers that share their namespaces too")
	o.sel.bindAll(f, "remove all containers")
	o.sel.bindLatest(f)
	o.sel.bindIgnore(f)
	o.sel.bindIDFile(f)
	o.sel.bindFilter(f, "")
	return cmd
}

func remove(ctx context.Context, call cli.Call, o *rmOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	opts := libctr.RemoveOptions{Force: o.force, Volumes: o.volumes, Depend: o.depend, Timeout: o.timeout}
	err = o.sel.eachNamed(ctx, e, call, nil, dependentsFirst, func(c *libctr.Container) error { return e.Remove(ctx, c, opts) })
	return removeCode(err)
}

// removeCode gives the exit codes of podman-rm(1): 1 where a container does not exist, 2 where one runs.
func removeCode(err error) error {
	switch {
	case errors.Is(err, libctr.ErrNoSuchContainer):
		return &cli.ExitError{Code: 1, Err: err}
	case errors.Is(err, libctr.ErrRunning), errors.Is(err, libctr.ErrPaused):
		return &cli.ExitError{Code: 2, Err: err}
	}
	return err
}
