// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

// containerCommand is a command that stands at the top level and below `container`.
type containerCommand struct {
	name string
	make func(*engineFlags) *cobra.Command
}

func containerCommands() []containerCommand {
	return []containerCommand{
		{"create", newCreateCmd}, {"run", newRunCmd}, {"start", newStartCmd}, {"stop", newStopCmd}, {"kill", newKillCmd}, {"rm", newRemoveCmd}, {"ps", newPsCmd},
		{"logs", newLogsCmd}, {"exec", newExecCmd}, {"attach", newAttachCmd}, {"wait", newWaitCmd}, {"pause", newPauseCmd}, {"unpause", newUnpauseCmd},
		{"restart", newRestartCmd}, {"rename", newRenameCmd}, {"port", newPortCmd}, {"top", newTopCmd},
	}
}

const commitShort = "Make an image of what a container has changed"

func newContainerGroup(e *engineFlags) *cobra.Command {
	g := group("container", "Work on containers")
	for _, c := range containerCommands() {
		cmd := c.make(e)
		if cmd.Name() == "ps" {
			cmd.Aliases = append(cmd.Aliases, "ls", "list")
		}
		g.AddCommand(cmd)
	}
	g.AddCommand(newContainerInspectCmd(e), newContainerExistsCmd(e), newContainerPruneCmd(e), newCommitCmd(e))
	return g
}

func newStopCmd(e *engineFlags) *cobra.Command {
	var seconds uint
	sel := selection{running: yes, resting: true}
	cmd := &cobra.Command{
		Use:     "stop [options] CONTAINER [CONTAINER...]",
		Short:   "Stop running containers",
		Example: "berth stop --time 2 web",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			var opts libctr.StopOptions
			if cmd.Flags().Changed("time") {
				opts.Timeout = duration(seconds)
			}
			return eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
				return engine.Stop(ctx, c, opts)
			})
		}),
	}
	cmd.Flags().UintVarP(&seconds, "time", "t", 10, "seconds to wait before SIGKILL")
	cmd.Flags().Lookup("time").DefValue = "the container's --stop-timeout"
	bindSelection(cmd, &sel)
	cmd.Flags().StringArrayVarP(&sel.filters, "filter", "f", nil, "only containers that match, as in ps (repeatable)")
	return cmd
}

// bindSelection adds --all, --latest, --ignore and --cidfile.
func bindSelection(cmd *cobra.Command, sel *selection) {
	cmd.Flags().BoolVarP(&sel.all, "all", "a", false, "every container that it makes sense for")
	cmd.Flags().BoolVarP(&sel.latest, "latest", "l", false, "the container made last")
	cmd.Flags().BoolVarP(&sel.ignore, "ignore", "i", false, "a container that does not exist is no error")
	cmd.Flags().StringArrayVar(&sel.idFiles, "cidfile", nil, "file with the container's ID (repeatable)")
}

func wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

func newKillCmd(e *engineFlags) *cobra.Command {
	var name string
	sel := selection{running: yes}
	cmd := &cobra.Command{
		Use:     "kill [options] CONTAINER [CONTAINER...]",
		Short:   "Send running containers a signal",
		Example: "berth kill --signal HUP web",
		RunE: func(cmd *cobra.Command, args []string) error {
			sig, err := spec.ParseSignal(name)
			if err != nil {
				return fmt.Errorf("--signal: %w", err)
			}
			engine, err := e.open(cmd.Context())
			if err != nil {
				return err
			}
			return eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
				return notRunningHint(engine.Kill(ctx, c, sig), c.State.Name)
			})
		},
	}
	cmd.Flags().StringVarP(&name, "signal", "s", "KILL", "signal, a name or a number")
	cmd.Flags().BoolVarP(&sel.all, "all", "a", false, "every running container")
	cmd.Flags().BoolVarP(&sel.latest, "latest", "l", false, "the container made last")
	cmd.Flags().StringArrayVar(&sel.idFiles, "cidfile", nil, "file with the container's ID (repeatable)")
	return cmd
}

func newRemoveCmd(e *engineFlags) *cobra.Command {
	var opts libctr.RemoveOptions
	var seconds int
	var sel selection
	cmd := &cobra.Command{
		Use:     "rm [options] CONTAINER [CONTAINER...]",
		Short:   "Remove containers",
		Example: "berth rm web\n  berth rm --force --all",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			if cmd.Flags().Changed("time") {
				opts.Force = true
				opts.Timeout = duration(uint(max(seconds, 0)))
			}
			sel.ignore = sel.ignore || opts.Force
			err := eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
				return engine.Remove(ctx, c, opts)
			})
			return removeExit(err)
		}),
	}
	cmd.Flags().BoolVarP(&opts.Force, "force", "f", false, "stop it first if it runs; one that does not exist is no error")
	cmd.Flags().IntVarP(&seconds, "time", "t", 10, "with --force, seconds before SIGKILL")
	cmd.Flags().BoolVarP(&opts.Volumes, "volumes", "v", false, "remove its anonymous volumes too")
	bindSelection(cmd, &sel)
	cmd.Flags().StringArrayVar(&sel.filters, "filter", nil, "only containers that match, as in ps (repeatable)")
	return cmd
}

// removeExit gives the exit codes of podman-rm(1): 1 where a container does not exist, 2 where one runs.
func removeExit(err error) error {
	switch {
	case errors.Is(err, libctr.ErrNoSuchContainer):
		return &exitError{Code: 1, Err: err}
	case errors.Is(err, libctr.ErrRunning), errors.Is(err, libctr.ErrPaused):
		return &exitError{Code: 2, Err: err}
	}
	return err
}

func newWaitCmd(e *engineFlags) *cobra.Command {
	var sel selection
	var conditions []string
	var interval string
	cmd := &cobra.Command{
		Use:     "wait [options] CONTAINER [CONTAINER...]",
		Short:   "Wait until containers have ended, and print their exit codes",
		Example: "berth wait web",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			pause, err := time.ParseDuration(interval)
			if err != nil {
				if pause, err = time.ParseDuration(interval + "ms"); err != nil {
					return fmt.Errorf("--interval %q: not a duration", interval)
				}
			}
			sel.silent = true
			return eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
				code, err := waitFor(ctx, engine, c, conditions, pause)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), code)
				}
				return err
			})
		}),
	}
	cmd.Flags().BoolVarP(&sel.latest, "latest", "l", false, "the container made last")
	cmd.Flags().BoolVarP(&sel.ignore, "ignore", "i", false, "a container that does not exist is no error")
	cmd.Flags().StringArrayVar(&conditions, "condition", nil, "status to wait for: created, running, paused, exited, stopped, healthy, unhealthy (repeatable; default stopped)")
	cmd.Flags().StringVar(&interval, "interval", "250ms", "time between two looks, where there is nothing to wait on")
	return cmd
}

// waitFor waits for one of the conditions; for the end it asks the monitor, for the others it looks again and again.
func waitFor(ctx context.Context, e *libctr.Engine, c *libctr.Container, conditions []string, pause time.Duration) (int, error) {
	if len(conditions) == 0 || len(conditions) == 1 && (conditions[0] == "stopped" || conditions[0] == "exited") {
		return e.Wait(ctx, c)
	}
	for _, w := range conditions {
		if !strings.Contains(" created running paused exited stopped healthy unhealthy ", " "+w+" ") {
			return 0, fmt.Errorf("--condition %q: must be created, running, paused, exited, stopped, healthy or unhealthy", w)
		}
	}
	for {
		for _, w := range conditions {
			if w == string(c.State.Status) || w == "stopped" && c.State.Status == record.Exited || c.State.Health != nil && c.State.Status == record.Running && w == c.State.Health.Status {
				if c.State.Status == record.Exited {
					return c.State.ExitCode, nil
				}
				return -1, nil // podman-wait(1)
			}
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(pause):
		}
		if err := e.Refresh(c); err != nil {
			return 0, err
		}
	}
}

func newPauseCmd(e *engineFlags) *cobra.Command {
	sel := selection{running: yes}
	cmd := &cobra.Command{
		Use:     "pause [options] CONTAINER [CONTAINER...]",
		Short:   "Freeze every process of containers",
		Example: "berth pause web",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			return eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
				return notRunningHint(engine.Pause(ctx, c), c.State.Name)
			})
		}),
	}
	cmd.Flags().BoolVarP(&sel.all, "all", "a", false, "every running container")
	cmd.Flags().BoolVarP(&sel.latest, "latest", "l", false, "the container made last")
	return cmd
}

func newUnpauseCmd(e *engineFlags) *cobra.Command {
	sel := selection{running: yes}
	cmd := &cobra.Command{
		Use:     "unpause [options] CONTAINER [CONTAINER...]",
		Short:   "Let frozen containers go on",
		Example: "berth unpause web",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			return eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
				if sel.all && c.State.Status != record.Paused {
					return nil
				}
				return engine.Unpause(ctx, c)
			})
		}),
	}
	cmd.Flags().BoolVarP(&sel.all, "all", "a", false, "every paused container")
	cmd.Flags().BoolVarP(&sel.latest, "latest", "l", false, "the container made last")
	return cmd
}

func newRestartCmd(e *engineFlags) *cobra.Command {
	var seconds uint
	var running bool
	sel := selection{}
	cmd := &cobra.Command{
		Use:     "restart [options] CONTAINER [CONTAINER...]",
		Short:   "Stop containers and start them again",
		Example: "berth restart web",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			var opts libctr.StopOptions
			if cmd.Flags().Changed("time") {
				opts.Timeout = duration(seconds)
			}
			if running {
				sel.all, sel.running = true, yes
			}
			return eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
				return engine.Restart(ctx, c, opts)
			})
		}),
	}
	cmd.Flags().UintVarP(&seconds, "time", "t", 10, "seconds to wait before SIGKILL")
	cmd.Flags().Lookup("time").DefValue = "the container's --stop-timeout"
	cmd.Flags().BoolVar(&running, "running", false, "every running container")
	cmd.Flags().BoolVarP(&sel.all, "all", "a", false, "every container")
	cmd.Flags().BoolVarP(&sel.latest, "latest", "l", false, "the container made last")
	return cmd
}

func newRenameCmd(e *engineFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "rename CONTAINER NAME",
		Short:   "Give a container another name",
		Example: "berth rename web web-old",
		Args:    cobra.ExactArgs(2),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			c, err := engine.Lookup(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return engine.Rename(cmd.Context(), c, args[1])
		}),
	}
}

func newContainerExistsCmd(e *engineFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "exists CONTAINER",
		Short:   "Tell by the exit code (0 or 1) whether a container exists",
		Example: "berth container exists web && echo yes",
		Args:    cobra.ExactArgs(1),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			_, err := engine.Lookup(cmd.Context(), args[0])
			if errors.Is(err, libctr.ErrNoSuchContainer) {
				return &exitError{Code: 1}
			}
			return err
		}),
	}
}

func newContainerPruneCmd(e *engineFlags) *cobra.Command {
	var force bool
	var filters []string
	cmd := &cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove every container that does not run",
		Example: "berth container prune --force",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := e.open(cmd.Context())
			if err != nil {
				return err
			}
			if err := wholeFilters(filters); err != nil {
				return err
			}
			if _, err := containerFilter(cmd.Context(), engine, filters); err != nil {
				return err
			}
			if ok, err := confirm(cmd, force, "This removes every container that does not run."); !ok {
				return err
			}
			sel := selection{all: true, running: no, resting: true, filters: filters}
			return eachContainer(cmd, engine, nil, sel, func(ctx context.Context, c *libctr.Container) error {
				return engine.Remove(ctx, c, libctr.RemoveOptions{})
			})
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, "only containers that match, as in ps (repeatable)")
	return cmd
}

func newCleanupCmd(e *engineFlags) *cobra.Command {
	var adopt string
	cmd := &cobra.Command{
		Use:    "cleanup ID",
		Short:  "Remove an ended --rm container for its monitor",
		Hidden: true,
		Args:   cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if adopt != "" {
				return libctr.BecomeMonitor(adopt)
			}
			if len(args) != 1 {
				return errors.New("cleanup: give a container's ID")
			}
			// the engine is opened without recovery, which would look at this container too
			engine, err := libctr.Open(cmd.Context(), e.opts)
			if err != nil {
				return err
			}
			if os.Getenv("BERTH_LOCK_FD") != "" {
				return engine.RemoveInherited(cmd.Context(), args[0])
			}
			c, err := engine.Lookup(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return engine.Remove(cmd.Context(), c, libctr.RemoveOptions{})
		},
	}
	cmd.Flags().StringVar(&adopt, "adopt", "", "become the monitor of the container in this directory")
	return cmd
}
