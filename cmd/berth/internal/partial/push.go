// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"bytes"
	"context"
	"fmt"
	"os"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type pushOptions struct {
	common
	registry.PushOptions
	passphraseFile string
}

// NewPush returns the command `partial push`.
func NewPush(g *cli.Global) *cobra.Command { return newPush(g, push) }

func newPush(g *cli.Global, run cli.Run[*pushOptions]) *cobra.Command {
	var o pushOptions
	cmd := &cobra.Command{
		Use:   "push [options] DIR REPOSITORY",
		Short: "Push a part to a registry",
		Long: "Publishes the part in DIR as REPOSITORY:VERSION, where REPOSITORY is HOST/PATH or ALIAS/PATH. A version is published once:\n" +
			"the same part again changes nothing, another one is refused.",
		Example: "berth partial push --index parts/nodejs registry.example.org/parts/nodejs",
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.common.registry.Bind(f)
	o.format.bind(f)
	f.StringVar(&o.SignKey, "sign-by-sigstore-private-key", "", "sign the part with the sigstore private key in `FILE`")
	f.StringVar(&o.passphraseFile, "sign-passphrase-file", "", "`FILE` with the passphrase of the key (default: none)")
	f.BoolVar(&o.Index, "index", false, "also add the part to PREFIX/index, which search reads")
	f.BoolVar(&o.Convenience, "tags", false, "also set the tags MAJOR.MINOR, MAJOR and latest, for people")
	return cmd
}

func push(ctx context.Context, call cli.Call, o *pushOptions) error {
	return o.onLibrary(ctx, call, func(p *project.Project) error {
		if o.passphraseFile != "" {
			data, err := os.ReadFile(o.passphraseFile)
			if err != nil {
				return fmt.Errorf("read the passphrase: %w", err)
			}
			o.Passphrase = bytes.TrimRight(data, "\r\n")
		}
		part, err := project.ReadPart(call.Args[0])
		if err != nil {
			return err
		}
		ref, _, err := partial.ParseRef(call.Args[1])
		if err != nil {
			return err
		}
		digest, err := p.Parts.Push(ctx, ref, part, o.PushOptions)
		if err != nil {
			return err
		}
		if o.format.json() {
			return console.JSON(call.Out, struct{ Name, Version, Repository, Digest string }{part.Meta.Name, part.Meta.Version, ref.Text, digest})
		}
		_, err = fmt.Fprintln(call.Out, digest)
		return err
	})
}
