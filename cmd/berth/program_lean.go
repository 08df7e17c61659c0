// SPDX-License-Identifier: Apache-2.0

//go:build lean

// The program berth: the frequent commands, with nothing linked that only others need; for those it becomes
// berth-full, the same sources with everything. docs/decisions/0005 has the measurements.

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
)

func help() bool { return false }

// leashed does nothing: where this program starts something that could be left, it puts it on a leash there.
func leashed() error { return nil }

func otherCommands(*engineFlags) ([]*cobra.Command, error) { return nil, becomeFull() }

// newCommitCmd stands in the group `container` for the command that berth-full has.
func newCommitCmd(*engineFlags) *cobra.Command {
	return &cobra.Command{
		Use: "commit [options] CONTAINER [IMAGE]", Short: commitShort, DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error { return becomeFull() },
	}
}

// pullImage is asked before anything of the container is made, so the whole command begins again.
func pullImage(context.Context, *libctr.Engine, string, image.PullOptions) ([]string, error) {
	return nil, becomeFull()
}

// becomeFull runs the command line with berth-full in place of this program. It returns only errors.
func becomeFull() error {
	self, err := rootless.Executable()
	if err != nil {
		return err
	}
	leash.End()
	dir := filepath.Dir(self)
	for _, p := range []string{filepath.Join(dir, "berth-full"), filepath.Join(dir, "../libexec/berth/berth-full")} {
		if err = syscall.Exec(p, os.Args, os.Environ()); err != syscall.ENOENT {
			return fmt.Errorf("run %s: %w", p, err)
		}
	}
	return hint.Add(fmt.Errorf("find berth-full: it is neither beside %s nor in ../libexec/berth", self), "build all programs with: make, or install them with: make install")
}
