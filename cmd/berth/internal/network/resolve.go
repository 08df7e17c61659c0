// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
)

type resolveOptions struct{ network, format string }

// NewResolve returns the command `network resolve`.
func NewResolve(g *cli.Global) *cobra.Command { return newResolve(g, resolve) }

func newResolve(g *cli.Global, run cli.Run[*resolveOptions]) *cobra.Command {
	var o resolveOptions
	cmd := &cobra.Command{
		Use:   "resolve [options] NAME",
		Short: "Show the addresses that a name of a container has",
		Long: "Shows what the DNS of a network answers for a name of a running container: its name, an alias, or the first digits of its ID. Exit status: 0 if\n" +
			"there is an answer, 1 if no running container has this name, 125 for other errors.",
		Example: "berth network resolve mycontainer\n  berth network resolve --network web --format '{{.IP}} {{.Container}}' db",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVar(&o.network, "network", "", "name of a network that is asked alone")
	cmd.Flags().StringVar(&o.format, "format", "", "json, or a Go template")
	cli.Fields(cmd.Flags(), networks.Answer{})
	return cmd
}

func resolve(ctx context.Context, call cli.Call, o *resolveOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	answers, err := networks.Resolve(ctx, e, call.Args[0], o.network)
	switch {
	case errors.Is(err, networks.ErrNoSuchName):
		return &cli.ExitError{Code: 1, Err: err}
	case err != nil:
		return err
	case console.IsJSON(o.format):
		return console.JSON(call.Out, answers)
	case o.format != "":
		return console.PrintTemplate(call.Out, "network resolve", o.format, answers, nil)
	}
	for _, a := range answers {
		fmt.Fprintln(call.Out, a.IP)
	}
	return nil
}
