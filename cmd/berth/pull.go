// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

func newPullCmd(f *engineFlags) *cobra.Command {
	var opts image.PullOptions
	var registry registryFlags
	var platform platformFlags
	var retry retryFlags
	var policy string
	var quiet, noTrust bool
	cmd := &cobra.Command{
		Use:   "pull [options] IMAGE [IMAGE...]",
		Short: "Fetch images from a registry",
		Long: "Fetches images from a registry, or with a transport in front (oci:, dir:, docker-archive:) from elsewhere, into the local\n" +
			"store, and prints their IDs. Without a tag, latest is fetched. The image hello is in the program itself.",
		Example: "berth pull docker.io/library/debian\nberth pull --tls-verify=false localhost:5000/app:1",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if opts.RegistryOptions, err = registry.options(cmd); err != nil {
				return err
			}
			if opts.Platform, err = platform.parse(); err != nil {
				return err
			}
			if opts.Policy, err = image.ParsePolicy(policy); err != nil {
				return err
			}
			if err := retry.apply(cmd.Flags(), &opts); err != nil {
				return err
			}
			opts.Progress = progress(quiet)
			return changeImages(cmd.Context(), f, func(_ *libctr.Engine, r *library.Runtime) error {
				return pull(cmd.Context(), r, args, opts, cmd.OutOrStdout())
			})
		},
	}
	fl := cmd.Flags()
	registry.bind(fl)
	platform.bind(fl)
	retry.bind(fl)
	fl.BoolVarP(&opts.AllTags, "all-tags", "a", false, "fetch every tag of the repository")
	fl.StringArrayVar(&opts.DecryptionKeys, "decryption-key", nil, "`KEY[:PASSPHRASE]` for encrypted layers (repeatable)")
	fl.BoolVar(&noTrust, "disable-content-trust", false, "does nothing; for Docker's sake")
	fl.StringVar(&policy, "policy", "always", "when to ask the registry: always, missing, never or newer")
	fl.BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	return cmd
}

func pull(ctx context.Context, r *library.Runtime, names []string, opts image.PullOptions, out io.Writer) error {
	for _, name := range names {
		ids, err := r.Pull(ctx, name, opts)
		if err != nil {
			return err
		}
		for _, id := range ids {
			fmt.Fprintln(out, id)
		}
	}
	return nil
}
