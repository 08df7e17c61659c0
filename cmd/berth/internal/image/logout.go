// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/auth"
)

// NewLogout returns the command `logout`.
func NewLogout(g *cli.Global) *cobra.Command { return newLogout(g, logout) }

func newLogout(g *cli.Global, run cli.Run[*auth.LogoutOptions]) *cobra.Command {
	o := auth.LogoutOptions{AcceptRepositories: true, AcceptUnspecifiedRegistry: true}
	cmd := &cobra.Command{
		Use:     "logout [options] [REGISTRY]",
		Short:   "Log out of a registry",
		Long:    "Removes the user name and password of a registry, or of all, from auth.json.",
		Example: "berth logout registry.example.org",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().AddFlagSet(auth.GetLogoutFlags(&o))
	return cmd
}

func logout(ctx context.Context, call cli.Call, o *auth.LogoutOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	o.Stdout = call.Out
	if err := auth.Logout(e.SystemContext(), o, call.Args); err != nil {
		return hint.With(fmt.Errorf("log out: %w", err), library.RegistryHint(err, "REGISTRY"))
	}
	return nil
}
