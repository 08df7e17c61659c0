// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/spf13/cobra"
)

type exportOptions struct{ output string }

// NewExport returns the command `export`.
func NewExport(g *cli.Global) *cobra.Command { return newExport(g, export) }

func newExport(g *cli.Global, run cli.Run[*exportOptions]) *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export [options] CONTAINER",
		Short: "Write a container's files to a tar archive",
		Long: "Writes the files of a container, running or not, to a tar archive, on standard output or in a file. Its volumes and other mounts are not\n" +
			"part of it.",
		Example: "berth export web >web.tar\n  berth export -o web.tar web",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "write to `FILE` in place of standard output")
	return cmd
}

func export(ctx context.Context, call cli.Call, o *exportOptions) (err error) {
	if strings.Contains(o.output, ":") {
		return fmt.Errorf("invalid filename (should not contain ':') %q", o.output)
	}
	out := console.AsIs(call.Out)
	if f, ok := out.(*os.File); ok && o.output == "" && console.IsTerminal(f) {
		return hint.Add(errors.New("refusing to export to terminal. Use -o flag or redirect"), "berth export %s >FILE", call.Args[0])
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	if o.output == "" {
		return e.Export(ctx, c, out)
	}
	return atomicfile.Stream(o.output, 0o666, func(w io.Writer) error { return e.Export(ctx, c, w) })
}
