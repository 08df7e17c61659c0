// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type pushOptions struct {
	library.PushOptions
	digestFile string
}

// NewPush returns the command `push`.
func NewPush(g *cli.Global) *cobra.Command { return newPush(g, withImages(push)) }

func newPush(g *cli.Global, run cli.Run[*pushOptions]) *cobra.Command {
	var o pushOptions
	var registry flags.Registry
	var retry cli.RetryFlags
	var compression compressionFlags
	var quiet, noTrust bool
	cmd := &cobra.Command{
		Use:   "push [options] IMAGE [DESTINATION]",
		Short: "Push an image to a registry or another destination",
		Long: "Pushes a local image to a registry, by its own name or to DESTINATION, or with a transport in front (oci:, oci-archive:,\n" +
			"docker-archive:, dir:) to a directory or file. Of an index, all images are pushed.",
		Example: "berth push registry.example.org/app:1\n  berth push app oci-archive:app.tar",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.RegistryOptions, err = registry.Options(); err != nil {
				return err
			}
			if err := compression.complete(cmd.Flags(), &o); err != nil {
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
	retry.Bind(f)
	f.StringVar(&o.digestFile, "digestfile", "", "write the digest of the manifest to `FILE`")
	f.StringVarP(&o.Format, "format", "f", "", "manifest type: oci, v2s2 or v2s1 (default: as the image has it)")
	compression.bind(f, &o)
	f.BoolVar(&o.RemoveSignatures, "remove-signatures", false, "do not push signatures")
	f.BoolVarP(&quiet, "quiet", "q", false, "do not show progress")
	f.BoolVar(&noTrust, "disable-content-trust", false, "no effect; accepted for compatibility")
	return cmd
}

// compressionFlags are flags of layers whose zero values differ from their not being given.
type compressionFlags struct {
	level         int
	force         bool
	encryptLayers []int
}

func (c *compressionFlags) bind(f *pflag.FlagSet, o *pushOptions) {
	f.StringVar(&o.Compression, "compression-format", "", "compress layers with gzip, zstd or zstd:chunked")
	f.IntVar(&c.level, "compression-level", 0, "compression level: 1 to 9 for gzip, 1 to 20 for zstd")
	f.BoolVar(&c.force, "force-compression", false, "compress layers again that the destination has in another format")
	f.BoolVar(&o.DirCompress, "compress", false, "compress layers, for a dir: destination")
	f.StringArrayVar(&o.EncryptionKeys, "encryption-key", nil, "`PROTOCOL:KEYFILE` to encrypt layers with (repeatable)")
	f.IntSliceVar(&c.encryptLayers, "encrypt-layer", nil, "layer to encrypt: 0 is the first, -1 the last (repeatable; default all)")
}

// complete takes what was given into the options.
func (c *compressionFlags) complete(f *pflag.FlagSet, o *pushOptions) error {
	if f.Changed("compression-level") {
		o.CompressionLevel = &c.level
	}
	if f.Changed("force-compression") {
		o.ForceCompression = &c.force
	}
	if f.Changed("encrypt-layer") {
		if len(o.EncryptionKeys) == 0 {
			return errors.New("--encrypt-layer needs --encryption-key")
		}
		o.EncryptLayers = &c.encryptLayers
	}
	return nil
}

func push(ctx context.Context, e *libctr.Engine, r *library.Runtime, call cli.Call, o *pushOptions) error {
	name := call.Args[0]
	destination := ""
	if len(call.Args) == 2 {
		destination = call.Args[1]
	}
	began := time.Now()
	d, err := r.Push(ctx, name, destination, o.PushOptions)
	if err != nil {
		return err
	}
	if o.Progress != nil {
		fmt.Fprintf(o.Progress, "Pushed %s in %.1f s\n", d, time.Since(began).Seconds())
	}
	if o.digestFile != "" {
		if err := os.WriteFile(o.digestFile, []byte(d.String()), 0o644); err != nil {
			return hint.Add(fmt.Errorf("write the digest: %w", err), "the image has been pushed; its digest is %s", d)
		}
	}
	if err := project.PushRecord(ctx, e, name, destination, o.RegistryOptions); err != nil { // which does not undo the push
		slog.Warn("the image was pushed, but not the record of its composition", "image", cmp.Or(destination, name), "error", err)
	}
	return nil
}
