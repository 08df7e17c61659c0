// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/auth"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
)

func newLoginCmd(f *engineFlags) *cobra.Command {
	var tlsVerify *bool
	opts := auth.LoginOptions{AcceptRepositories: true, AcceptUnspecifiedRegistry: true}
	cmd := &cobra.Command{
		Use:   "login [options] [REGISTRY]",
		Short: "Log in to a registry",
		Long: "Checks a user name and password with a registry and keeps them in auth.json, or where --authfile or\n" +
			"REGISTRY_AUTH_FILE says, for pull and push; podman, buildah and skopeo read the same file.",
		Example: "berth login registry.example.org\necho $TOKEN | berth login -u me --password-stdin registry.example.org/team",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			sys := e.SystemContext()
			if tlsVerify != nil {
				sys.DockerInsecureSkipTLSVerify = types.NewOptionalBool(!*tlsVerify)
			}
			opts.Stdin, opts.Stdout = cmd.InOrStdin(), cmd.OutOrStdout()
			opts.GetLoginSet = cmd.Flags().Changed("get-login")
			if err := auth.Login(cmd.Context(), sys, &opts, args); err != nil {
				return hint.Add(fmt.Errorf("log in: %w", err), "%s", loginHint(err, args))
			}
			return nil
		},
	}
	cmd.Flags().AddFlagSet(auth.GetLoginFlags(&opts))
	cmd.Flags().Var(flags.OptionalBool(&tlsVerify), "tls-verify", "require HTTPS and check certificates")
	cmd.Flags().Lookup("tls-verify").NoOptDefVal = "true"
	return cmd
}

// loginHint is what to do about an error of login.
func loginHint(err error, args []string) string {
	if len(args) == 0 {
		return "name the registry: berth login REGISTRY"
	}
	text := err.Error()
	var unauthorized docker.ErrUnauthorizedForCredentials
	switch {
	case strings.Contains(text, "getting username and password"):
		return "without a terminal, write: echo PASSWORD | berth login --username NAME --password-stdin " + args[0]
	case errors.As(err, &unauthorized), strings.Contains(text, "invalid username/password"):
		return "check user name and password; some registries want a token in place of the password"
	}
	if h := library.RegistryHint(err, args[0]); h != "" {
		return h
	}
	return "see: berth login --help"
}
