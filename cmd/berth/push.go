// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

// pushFlags are push's own flags.
type pushFlags struct {
	library.PushOptions
	digestFile       string
	level            int
	forceCompression bool
	quiet, noTrust   bool
	encryptLayers    []int
}

func newPushCmd(f *engineFlags) *cobra.Command {
	var o pushFlags
	var registry registryFlags
	var retry retryFlags
	cmd := &cobra.Command{
		Use:   "push [options] IMAGE [DESTINATION]",
		Short: "Send an image to a registry, or elsewhere",
		Long: "Sends a local image to a registry, by its own name or to DESTINATION, or with a transport in front (oci:, oci-archive:,\n" +
			"docker-archive:, dir:) to a directory or file. Of an index, all images are sent.",
		Example: "berth push registry.example.org/app:1\n  berth push app oci-archive:app.tar",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.RegistryOptions, err = registry.options(cmd); err != nil {
				return err
			}
			if err := o.complete(cmd, &retry); err != nil {
				return err
			}
			return changeImages(cmd.Context(), f, func(e *libctr.Engine, r *library.Runtime) error {
				if err := push(cmd.Context(), r, args, o); err != nil {
					return err
				}
				attachRecord(cmd.Context(), e, args[0], append(args, "")[1], o.RegistryOptions)
				return nil
			})
		},
	}
	fl := cmd.Flags()
	registry.bind(fl)
	retry.bind(fl)
	fl.StringVar(&o.digestFile, "digestfile", "", "`FILE` to write the digest of the manifest to")
	fl.StringVarP(&o.Format, "format", "f", "", "manifest: oci, v2s2 or v2s1 (default: as the image has it)")
	fl.StringVar(&o.Compression, "compression-format", "", "compression of layers: gzip, zstd or zstd:chunked")
	fl.IntVar(&o.level, "compression-level", 0, "level of that compression: 1 to 9 for gzip, 1 to 20 for zstd")
	fl.BoolVar(&o.forceCompression, "force-compression", false, "compress layers again that the destination has otherwise")
	fl.BoolVar(&o.DirCompress, "compress", false, "compress layers, for a dir: destination")
	fl.BoolVar(&o.RemoveSignatures, "remove-signatures", false, "send no signatures")
	fl.StringArrayVar(&o.EncryptionKeys, "encryption-key", nil, "`PROTOCOL:KEYFILE` to encrypt layers with (repeatable)")
	fl.IntSliceVar(&o.encryptLayers, "encrypt-layer", nil, "layer to encrypt: 0 is the first, -1 the last (repeatable; default all)")
	fl.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	fl.BoolVar(&o.noTrust, "disable-content-trust", false, "does nothing; for Docker's sake")
	return cmd
}

// complete takes what the flags say into the options.
func (o *pushFlags) complete(cmd *cobra.Command, retry *retryFlags) error {
	fl := cmd.Flags()
	if fl.Changed("compression-level") {
		o.CompressionLevel = &o.level
	}
	if fl.Changed("force-compression") {
		o.ForceCompression = &o.forceCompression
	}
	if fl.Changed("encrypt-layer") {
		if len(o.EncryptionKeys) == 0 {
			return errors.New("--encrypt-layer needs --encryption-key")
		}
		o.EncryptLayers = &o.encryptLayers
	}
	var p image.PullOptions
	if err := retry.apply(fl, &p); err != nil {
		return err
	}
	o.Retries, o.RetryDelay = p.Retries, p.RetryDelay
	o.Progress = progress(o.quiet)
	return nil
}

func push(ctx context.Context, r *library.Runtime, args []string, o pushFlags) error {
	destination := ""
	if len(args) == 2 {
		destination = args[1]
	}
	began := time.Now()
	d, err := r.Push(ctx, args[0], destination, o.PushOptions)
	if err != nil {
		return err
	}
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, "Pushed %s in %.1f s\n", d, time.Since(began).Seconds())
	}
	if o.digestFile == "" {
		return nil
	}
	if err := os.WriteFile(o.digestFile, []byte(d.String()), 0o644); err != nil {
		return hint.Add(fmt.Errorf("write the digest: %w", err), "the image has been pushed; its digest is %s", d)
	}
	return nil
}
