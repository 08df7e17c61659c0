// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"slices"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
)

type checkOptions struct{ format string }

// NewCheck returns the command `network check`.
func NewCheck(g *cli.Global) *cobra.Command { return newCheck(g, check) }

func newCheck(g *cli.Global, run cli.Run[*checkOptions]) *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [options] [NETWORK]",
		Short: "Try what a container of a network would find",
		Long: "Connects a namespace to a network as a container would be, and tries its gateway, the way out, the size of packets, names and a published port:\n" +
			"a line for each, with what to do where it fails. Without a name it is the default network. Exit status: 0 if all is well, 1 if not, 125 for other errors.",
		Example: "berth network check\n  berth network check --format json web",
		Args:    cobra.MaximumNArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVar(&o.format, "format", "", "json, or a Go template")
	cli.Fields(cmd.Flags(), networks.Finding{})
	return cmd
}

func check(ctx context.Context, call cli.Call, o *checkOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	name := ""
	if len(call.Args) > 0 {
		name = call.Args[0]
	}
	found, err := networks.Check(ctx, e, name)
	if err != nil {
		return err
	}
	if err := showFindings(call, o, found); err != nil {
		return err
	}
	if slices.ContainsFunc(found, func(f networks.Finding) bool { return !f.OK }) {
		return &cli.ExitError{Code: 1}
	}
	return nil
}

func showFindings(call cli.Call, o *checkOptions, found []networks.Finding) error {
	switch {
	case console.IsJSON(o.format):
		return console.JSON(call.Out, found)
	case o.format != "":
		return console.PrintTemplate(call.Out, "network check", o.format, found, nil)
	}
	var rows [][]string
	for _, f := range found {
		state, text := "ok", f.Text
		if !f.OK {
			state, text = "fail", fmt.Sprintf("%s: %s", f.Text, f.Do)
		}
		rows = append(rows, []string{f.Check, state, text})
	}
	return console.Columns(call.Out, rows)
}
