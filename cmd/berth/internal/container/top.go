// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type topOptions struct {
	latest bool
	global []string // the program and its global flags
}

// NewTop returns the command `top`.
func NewTop(g *cli.Global) *cobra.Command { return newTop(g, top) }

func newTop(g *cli.Global, run cli.Run[*topOptions]) *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use:   "top [options] [CONTAINER [COLUMN...]]",
		Short: "Display the running processes of a container, or all containers live",
		Long: "Displays the running processes of a container. The columns are podman's: " + strings.Join(libctr.TopColumns(), " ") + ".\n" +
			"Without a container it shows on a terminal what all containers use, as it changes, with keys to sort, filter, read logs, exec and stop; in a\n" +
			"pipe it prints that once, as `berth stats --no-stream` does.",
		Example: "berth top\n  berth top web\n  berth top web pid,user,args",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && !o.latest {
				o.global = g.Argv[:min(cli.CommandIndex(cmd.Root(), g.Argv), len(g.Argv))]
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.latest, "latest", "l", false, "act on the most recently created container")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func top(ctx context.Context, call cli.Call, o *topOptions) error {
	if len(call.Args) == 0 && !o.latest {
		return call.Live(ctx, call, o.global)
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	var names []string
	columns := call.Args
	if !o.latest {
		names, columns = columns[:1], columns[1:]
	}
	list, err := e.Select(ctx, libctr.Selection{Latest: o.latest, Names: names})
	if err != nil {
		return err
	}
	var words []string
	for _, w := range columns {
		separator := func(r rune) bool { return r == ',' || r == ' ' }
		words = append(words, strings.FieldsFunc(strings.TrimPrefix(w, "-eo"), separator)...)
	}
	c := list[0].Container
	rows, err := e.Top(c, words)
	if err != nil {
		return notRunningHint(err, c.State.Name)
	}
	return console.Columns(call.Out, rows)
}
