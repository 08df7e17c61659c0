// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

type pullOptions struct{ image.PullOptions }

// NewPull returns the command `pull`.
func NewPull(g *cli.Global) *cobra.Command { return newPull(g, withImages(pull)) }

func newPull(g *cli.Global, run cli.Run[*pullOptions]) *cobra.Command {
	var o pullOptions
	var registry flags.Registry
	var platform cli.PlatformFlags
	var retry cli.RetryFlags
	var policy string
	var quiet, noTrust bool
	cmd := &cobra.Command{
		Use:   "pull [options] IMAGE [IMAGE...]",
		Short: "Pull an image from a registry",
		Long: "Pulls images from a registry, or with a transport in front (oci:, dir:, docker-archive:) from elsewhere, into local\n" +
			"storage, and prints their IDs. Without a tag, latest is pulled. The image hello is in the program itself.",
		Example: "berth pull docker.io/library/debian\nberth pull --tls-verify=false localhost:5000/app:1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.RegistryOptions, err = registry.Options(); err != nil {
				return err
			}
			if o.Platform, err = platform.Options(); err != nil {
				return err
			}
			if o.Policy, err = image.ParsePolicy(policy); err != nil {
				return err
			}
			if o.Retries, o.RetryDelay, err = retry.Options(cmd.Flags()); err != nil {
				return err
			}
			o.Progress = console.Progress(quiet)
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	registry.Bind(f)
	platform.Bind(f)
	retry.Bind(f)
	f.BoolVarP(&o.AllTags, "all-tags", "a", false, "pull all tags of the repository")
	f.StringArrayVar(&o.DecryptionKeys, "decryption-key", nil, "`KEY[:PASSPHRASE]` to decrypt layers with (repeatable)")
	f.BoolVar(&noTrust, "disable-content-trust", false, "no effect; accepted for compatibility")
	f.StringVar(&policy, "policy", "always", "pull policy: always, missing, never or newer")
	f.BoolVarP(&quiet, "quiet", "q", false, "do not show progress")
	return cmd
}

func pull(ctx context.Context, _ *libctr.Engine, r *library.Runtime, call cli.Call, o *pullOptions) error {
	for _, name := range call.Args {
		ids, err := r.Pull(ctx, name, o.PullOptions)
		if err != nil {
			return err
		}
		for _, id := range ids {
			fmt.Fprintln(call.Out, id)
		}
	}
	return nil
}
