// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type generateSpecOptions struct {
	filename      string
	compact, name bool
}

// NewGenerateGroup returns the group `generate`.
func NewGenerateGroup(g *cli.Global) *cobra.Command {
	return cli.Group("generate", "Describe containers for other programs", newGenerateSpec(g, generateSpec))
}

func newGenerateSpec(g *cli.Global, run cli.Run[*generateSpecOptions]) *cobra.Command {
	var o generateSpecOptions
	cmd := &cobra.Command{
		Use:   "spec [options] CONTAINER",
		Short: "Describe a container in the JSON of podman's API",
		Long: `Writes a description of a container, from which podman's API makes another one like it (POST /libpod/containers/create). The new one is called as the
container with -clone behind it.`,
		Example: "berth generate spec web\n  berth generate spec --compact --filename web.json web",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.compact, "compact", "c", false, "write it in one line")
	f.StringVarP(&o.filename, "filename", "f", "", "write it to this file")
	f.BoolVarP(&o.name, "name", "n", true, "give the new container a name of its own")
	return cmd
}

func generateSpec(ctx context.Context, call cli.Call, o *generateSpecOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	s, err := e.SpecGenerator(ctx, c, o.name)
	if err != nil {
		return err
	}
	indent := " "
	if o.compact {
		indent = ""
	}
	if o.filename == "" {
		return console.IndentedJSON(call.Out, s, indent)
	}
	f, err := os.Create(o.filename)
	if err != nil {
		return fmt.Errorf("write the description: %w", err)
	}
	return errors.Join(console.IndentedJSON(f, s, indent), f.Close())
}
