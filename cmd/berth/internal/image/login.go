// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/auth"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/types"
)

type loginOptions struct {
	auth.LoginOptions
	tlsVerify *bool // nil is registries.conf's
}

// NewLogin returns the command `login`.
func NewLogin(g *cli.Global) *cobra.Command { return newLogin(g, login) }

func newLogin(g *cli.Global, run cli.Run[*loginOptions]) *cobra.Command {
	o := loginOptions{LoginOptions: auth.LoginOptions{AcceptRepositories: true, AcceptUnspecifiedRegistry: true}}
	cmd := &cobra.Command{
		Use:   "login [options] [REGISTRY]",
		Short: "Log in to a registry",
		Long: "Checks a user name and password with a registry and keeps them in auth.json, or where --authfile or\n" +
			"REGISTRY_AUTH_FILE says, for pull and push; podman, buildah and skopeo read the same file.",
		Example: "berth login registry.example.org\necho $TOKEN | berth login -u me --password-stdin registry.example.org/team",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.GetLoginSet = cmd.Flags().Changed("get-login")
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.AddFlagSet(auth.GetLoginFlags(&o.LoginOptions))
	f.Var(flags.OptionalBool(&o.tlsVerify), "tls-verify", "require HTTPS and verify certificates")
	f.Lookup("tls-verify").NoOptDefVal = "true"
	return cmd
}

func login(ctx context.Context, call cli.Call, o *loginOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	sys := e.SystemContext()
	if o.tlsVerify != nil {
		sys.DockerInsecureSkipTLSVerify = types.NewOptionalBool(!*o.tlsVerify)
	}
	o.Stdin, o.Stdout = call.In, call.Out
	if err := auth.Login(ctx, sys, &o.LoginOptions, call.Args); err != nil {
		return hint.With(fmt.Errorf("log in: %w", err), loginHint(err, call.Args))
	}
	return nil
}

// loginHint is what to do about an error of login.
func loginHint(err error, args []string) hint.Hint {
	if len(args) == 0 {
		return hint.Textf("name the registry: berth login REGISTRY")
	}
	text := err.Error()
	var unauthorized docker.ErrUnauthorizedForCredentials
	switch {
	case strings.Contains(text, "getting username and password"):
		return hint.Textf("without a terminal, write: echo PASSWORD | berth login --username NAME --password-stdin %s", args[0])
	case errors.As(err, &unauthorized), strings.Contains(text, "invalid username/password"):
		return hint.Textf("check user name and password; some registries want a token in place of the password")
	}
	if h := library.RegistryHint(err, args[0]); !h.Empty() {
		return h
	}
	return hint.Textf("see: berth login --help")
}
