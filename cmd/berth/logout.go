// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/auth"
)

func newLogoutCmd(f *engineFlags) *cobra.Command {
	opts := auth.LogoutOptions{AcceptRepositories: true, AcceptUnspecifiedRegistry: true}
	cmd := &cobra.Command{
		Use:     "logout [options] [REGISTRY]",
		Short:   "Forget a registry's password",
		Long:    "Removes the user name and password of a registry, or of all, from auth.json.",
		Example: "berth logout registry.example.org",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			opts.Stdout = cmd.OutOrStdout()
			if err := auth.Logout(e.SystemContext(), &opts, args); err != nil {
				return hint.Add(fmt.Errorf("log out: %w", err), "%s", library.RegistryHint(err, "REGISTRY"))
			}
			return nil
		},
	}
	cmd.Flags().AddFlagSet(auth.GetLogoutFlags(&opts))
	return cmd
}
