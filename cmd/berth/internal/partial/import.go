// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type importOptions struct {
	name, output string
	format       format
}

// NewImport returns the command `partial import`.
func NewImport(g *cli.Global) *cobra.Command { return newImport(g, importFeature) }

func newImport(g *cli.Global, run cli.Run[*importOptions]) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import [options] DIR",
		Short: "Create a part from a devcontainer Feature",
		Long: "Creates a part from the Feature in DIR: options become parameters, containerEnv env, dependsOn requires, installsAfter after. What a\n" +
			"part cannot have (privileged, mounts, capabilities) is dropped with a warning.",
		Example: "berth partial import --name dev/node -o parts/node features/src/node",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "`NAME` of the part (default: dev/ and the folder's)")
	f.StringVarP(&o.output, "output", "o", "", "`DIR` to write the part to (default: the name's last component)")
	o.format.bind(f)
	return cmd
}

func importFeature(ctx context.Context, call cli.Call, o *importOptions) error {
	dir := filepath.Clean(call.Args[0])
	name := cmp.Or(o.name, "dev/"+filepath.Base(dir))
	output := cmp.Or(o.output, filepath.Base(name))
	im, err := project.ImportFeature(dir, name, output)
	if im != nil {
		for _, w := range im.Warnings {
			fmt.Fprintf(call.Err, "Warning: %s\n", w)
		}
	}
	if err != nil {
		return Coded(err)
	}
	return showPart(call.Out, o.format, output, im)
}

// showPart prints where a part was written to.
func showPart(out io.Writer, format format, dir string, im *partial.Imported) error {
	if format.json() {
		return console.JSON(out, struct {
			Directory string
			Warnings  []string
		}{dir, im.Warnings})
	}
	_, err := fmt.Fprintln(out, dir)
	return err
}
