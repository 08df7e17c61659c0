// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func newUnshareCmd(e *engineFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "unshare [options] [COMMAND [ARG...]]",
		Short:   "Run a command in the user namespace that containers are in",
		Example: "berth unshare cat /proc/self/uid_map",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !rootless.IsRootless() {
				return hint.Add(errors.New("unshare is for ordinary users: root needs no user namespace"), "run the command as it is")
			}
			if len(args) == 0 {
				shell := os.Getenv("SHELL")
				if shell == "" {
					shell = "/bin/sh"
				}
				args = []string{shell}
			}
			engine, err := e.open(cmd.Context())
			if err != nil {
				return err
			}
			leash.End()
			so := engine.StoreOptions()
			env := append(os.Environ(), "CONTAINERS_GRAPHROOT="+so.GraphRoot, "CONTAINERS_RUNROOT="+so.RunRoot)
			path, err := exec.LookPath(args[0])
			if err != nil {
				return &exitError{Code: 127, Err: err}
			}
			err = unix.Exec(path, args, env)
			return &exitError{Code: 126, Err: fmt.Errorf("run %s: %w", path, err)}
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// inUserNamespace runs this program with the same arguments again, in the user namespace.
func inUserNamespace(root *cobra.Command, argv []string) error {
	self, err := rootless.Executable()
	if err != nil {
		return err
	}
	leash.End()
	// The global flags say for unshare, too, which store is meant.
	again := slices.Concat(argv[:commandIndex(root, argv)], []string{"unshare", self}, argv[1:])
	return fmt.Errorf("run %s: %w", self, unix.Exec(self, again, os.Environ()))
}
