// SPDX-License-Identifier: Apache-2.0

//go:build lean

// The program berth: the frequent commands, with nothing linked that only others need; for those it becomes
// berth-full, the same sources with everything. docs/decisions/0005 has the measurements.

package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/container"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/rootless"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
)

func help() bool { return false }

// ready has berth-full do the work where the user's home directory is neither in HOME nor in /etc/passwd: only the C library's
// shared libraries may know it. (Where this program starts something that could be left, it puts it on a leash there.)
func ready() error {
	if os.Getenv("HOME") != "" {
		return nil
	}
	if _, err := user.LookupId(strconv.Itoa(rootless.UID())); err == nil {
		return nil
	}
	return becomeFull()
}

func otherCommands(*cli.Global) ([]*cobra.Command, error) { return nil, becomeFull() }

// rareOnContainers stand in the group `container` for the commands that berth-full has.
func rareOnContainers(*cli.Global) (list []*cobra.Command) {
	stand := func(use, short string) {
		list = append(list, &cobra.Command{
			Use: use, Short: short, DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error { return becomeFull() },
			ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				slog.Error("complete the command line", "error", becomeFull())
				return nil, cobra.ShellCompDirectiveError
			},
		})
	}
	stand("commit [options] CONTAINER [IMAGE]", container.CommitShort)
	for _, w := range container.RareWords {
		stand(w.Use, w.Short)
		list[len(list)-1].Aliases = container.RareAliases[w.Use]
	}
	return list
}

// pullImage is asked before anything of the container is made, so the whole command begins again.
func pullImage(context.Context, *libctr.Engine, string, image.PullOptions) ([]string, error) {
	return nil, becomeFull()
}

func liveView(context.Context, cli.Call, []string) error { return becomeFull() }

// injectCDI is asked before anything of the container is made, as pullImage is.
func injectCDI([]string, []string, *specs.Spec) error { return becomeFull() }

// leaveSignals is called before berth-full takes the place of this program.
var leaveSignals func() error

func beforeExec(do func() error) { leaveSignals = do }

// becomeFull runs the command line with berth-full in place of this program. It returns only errors.
func becomeFull() error {
	self, err := rootless.Executable()
	if err != nil {
		return err
	}
	leash.End()
	if err := leaveSignals(); err != nil {
		return err
	}
	dir := filepath.Dir(self)
	for _, p := range []string{filepath.Join(dir, "berth-full"), filepath.Join(dir, "../libexec/berth/berth-full")} {
		if err = syscall.Exec(p, os.Args, os.Environ()); err != syscall.ENOENT {
			return fmt.Errorf("run %s: %w", p, err)
		}
	}
	return hint.Add(fmt.Errorf("find berth-full: it is neither beside %s nor in ../libexec/berth", self), "build all programs with: make, or install them with: make install")
}
