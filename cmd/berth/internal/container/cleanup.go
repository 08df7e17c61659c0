// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type cleanupOptions struct {
	sel     selectFlags
	exec    string
	rm, rmi bool
}

// newCleanupContainers returns the command `container cleanup`.
func newCleanupContainers(g *cli.Global, run cli.Run[*cleanupOptions]) *cobra.Command {
	var o cleanupOptions
	cmd := &cobra.Command{
		Use:   "cleanup [options] CONTAINER [CONTAINER...]",
		Short: "Clean up what is left of containers that do not run",
		Long: `Removes mounts, network and the OCI runtime's notes of containers that do not run. A container's monitor does that at its end, so there is
something to clean up only where that was killed. A container that berth init has made is as it was before.`,
		Example: "berth container cleanup --all",
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.exec != "" {
				switch {
				case o.sel.all:
					return errors.New("exec and all options conflict")
				case o.sel.latest:
					return errors.New("exec and latest options conflict")
				case len(args) > 1:
					return errors.New("cannot use exec option when more than one container is given")
				case o.rmi:
					return errors.New("exec and rmi options conflict")
				}
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.sel.bindAll(f, "clean up all containers")
	o.sel.bindLatest(f)
	f.StringVar(&o.exec, "exec", "", "clean up the exec session with this `ID`, instead of the container")
	f.BoolVar(&o.rm, "rm", false, "remove the container, with its anonymous volumes, after cleanup")
	f.BoolVar(&o.rmi, "rmi", false, "remove the container's image after cleanup")
	return cmd
}

func cleanupContainers(ctx context.Context, call cli.Call, o *cleanupOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return o.sel.each(ctx, e, call, nil, func(c libctr.Selected) error {
		if o.exec != "" { // they end with their processes
			return fmt.Errorf("no exec session with ID %s found in container %s: no such exec session", o.exec, c.ID)
		}
		cfg, err := c.Config()
		if err != nil {
			return err
		}
		if err = e.Cleanup(ctx, c.Container); err == nil && o.rm {
			err = e.Remove(ctx, c.Container, libctr.RemoveOptions{Volumes: true})
		}
		if o.sel.all && errors.Is(err, libctr.ErrRunning) {
			return nil
		}
		if err != nil {
			return err
		}
		if o.rmi {
			if err := e.RemoveImageOf(ctx, cfg); err != nil {
				return err
			}
		}
		fmt.Fprintln(call.Out, c.ID)
		return nil
	})
}

type monitorCleanup struct{ adopt string }

// NewCleanup returns the command `cleanup`, which monitors run.
func NewCleanup(g *cli.Global) *cobra.Command {
	return newCleanup(g, cleanup)
}

func newCleanup(g *cli.Global, run cli.Run[*monitorCleanup]) *cobra.Command {
	var o monitorCleanup
	cmd := &cobra.Command{
		Use:    "cleanup ID",
		Short:  "Remove an exited --rm container for its monitor",
		Hidden: true,
		Args:   cobra.MaximumNArgs(1),
		RunE:   func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVar(&o.adopt, "adopt", "", "become the monitor of the container in this directory")
	return cmd
}

func cleanup(ctx context.Context, call cli.Call, o *monitorCleanup) error {
	if o.adopt != "" {
		return libctr.BecomeMonitor(o.adopt)
	}
	if len(call.Args) != 1 {
		return errors.New("cleanup: give a container's ID")
	}
	// the engine is opened without recovery, which would look at this container too
	e, err := call.OpenOnly(ctx)
	if err != nil {
		return err
	}
	if os.Getenv("BERTH_LOCK_FD") != "" {
		return e.RemoveInherited(ctx, call.Args[0])
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	return e.Remove(ctx, c, libctr.RemoveOptions{})
}
