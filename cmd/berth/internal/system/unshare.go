// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// NewUnshare returns the command `unshare`.
func NewUnshare(g *cli.Global) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "unshare [options] [COMMAND [ARG...]]",
		Short:   "Run a command in the user namespace of the containers",
		Example: "berth unshare cat /proc/self/uid_map",
		RunE:    func(cmd *cobra.Command, args []string) error { return unshare(cmd.Context(), g, args) },
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// unshare becomes the command argv, by default a shell.
func unshare(ctx context.Context, g *cli.Global, argv []string) error {
	if !rootless.IsRootless() {
		return hint.Add(errors.New("unshare is for ordinary users: root needs no user namespace"), "run the command as it is")
	}
	if len(argv) == 0 {
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		argv = []string{shell}
	}
	e, err := g.Open(ctx)
	if err != nil {
		return err
	}
	leash.End()
	so := e.StoreOptions()
	env := append(os.Environ(), "CONTAINERS_GRAPHROOT="+so.GraphRoot, "CONTAINERS_RUNROOT="+so.RunRoot)
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return &cli.ExitError{Code: 127, Err: err}
	}
	err = unix.Exec(path, argv, env)
	return &cli.ExitError{Code: 126, Err: fmt.Errorf("run %s: %w", path, err)}
}
