// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type packOptions struct {
	output string
	format format
}

// NewPack returns the command `partial pack`.
func NewPack(g *cli.Global) *cobra.Command { return newPack(g, pack) }

func newPack(g *cli.Global, run cli.Run[*packOptions]) *cobra.Command {
	var o packOptions
	cmd := &cobra.Command{
		Use:     "pack [options] [DIR]",
		Short:   "Make the artifact of a part, and print its digest",
		Long:    "Makes the OCI artifact that push would send, the same bytes everywhere. With -o it is written as an OCI image layout.",
		Example: "berth partial pack parts/nodejs -o nodejs.oci",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "`DIR` for an OCI image layout")
	o.format.bind(f)
	return cmd
}

func pack(ctx context.Context, call cli.Call, o *packOptions) error {
	p, err := project.ReadPart(directory(call.Args))
	if err != nil {
		return Coded(err)
	}
	packed, err := p.Pack()
	if err != nil {
		return err
	}
	if o.output != "" {
		if err := packed.WriteLayout(o.output, p.Meta.Version); err != nil {
			return fmt.Errorf("write the artifact: %w", err)
		}
	}
	if o.format.json() {
		return console.JSON(call.Out, struct{ Name, Version, Digest string }{p.Meta.Name, p.Meta.Version, packed.Digest})
	}
	_, err = fmt.Fprintln(call.Out, packed.Digest)
	return err
}
