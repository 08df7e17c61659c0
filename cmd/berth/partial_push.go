// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/spf13/cobra"
)

func newPartialPushCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var push registry.PushOptions
	var passphrase string
	cmd := &cobra.Command{
		Use:   "push [options] DIR REPOSITORY",
		Short: "Publish a part in a registry",
		Long: "Publishes the part in DIR as REPOSITORY:VERSION, where REPOSITORY is HOST/PATH or ALIAS/PATH. A version is published once:\n" +
			"the same part again changes nothing, another one is refused.",
		Example: "berth partial push --index parts/nodejs registry.example.org/parts/nodejs",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			if passphrase != "" {
				data, err := os.ReadFile(passphrase)
				if err != nil {
					return fmt.Errorf("read the passphrase: %w", err)
				}
				push.Passphrase = bytes.TrimRight(data, "\r\n")
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				part, err := partial.ReadPart(os.DirFS(args[0]), args[0])
				if err != nil {
					return err
				}
				ref, _, err := partial.ParseRef(args[1])
				if err != nil {
					return err
				}
				digest, err := pr.Parts.Push(cmd.Context(), ref, part, push)
				if err != nil {
					return err
				}
				if p.format == "json" {
					return printJSON(cmd.OutOrStdout(), struct{ Name, Version, Repository, Digest string }{part.Meta.Name, part.Meta.Version, ref.Text, digest})
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), digest)
				return err
			})
		},
	}
	p.registry.bind(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringVar(&push.SignKey, "sign-by-sigstore-private-key", "", "sign it with the sigstore private key in `FILE`")
	cmd.Flags().StringVar(&passphrase, "sign-passphrase-file", "", "`FILE` with the passphrase of the key (default: none)")
	cmd.Flags().BoolVar(&push.Index, "index", false, "also add it to PREFIX/index, which search reads")
	cmd.Flags().BoolVar(&push.Convenience, "tags", false, "also set the tags MAJOR.MINOR, MAJOR and latest, for people")
	return cmd
}
