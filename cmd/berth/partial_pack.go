// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"os"

	"github.com/berth-containers/berth/build/partial"
	"github.com/spf13/cobra"
)

func newPartialPackCmd(*engineFlags) *cobra.Command {
	var output, format string
	cmd := &cobra.Command{
		Use:     "pack [options] [DIR]",
		Short:   "Make the artifact of a part, and print its digest",
		Long:    "Makes the OCI artifact that push would send, the same bytes everywhere. With -o it is written as an OCI image layout.",
		Example: "berth partial pack parts/nodejs -o nodejs.oci",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if err := checkFormat(format); err != nil {
				return err
			}
			p, err := partial.ReadPart(os.DirFS(dir), dir)
			if err != nil {
				return partialError(err)
			}
			pk, err := p.Pack()
			if err != nil {
				return err
			}
			if output != "" {
				if err := pk.WriteLayout(output, p.Meta.Version); err != nil {
					return fmt.Errorf("write the artifact: %w", err)
				}
			}
			if format == "json" {
				return printJSON(cmd.OutOrStdout(), struct{ Name, Version, Digest string }{p.Meta.Name, p.Meta.Version, pk.Digest})
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), pk.Digest)
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "`DIR` for an OCI image layout")
	bindFormat(cmd.Flags(), &format)
	return cmd
}
