// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"context"
	"fmt"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	units "github.com/docker/go-units"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

type lsOptions struct {
	quiet, noHeading bool
	format           string
	filters          []string
}

// row is a secret as --format has it. The names in JSON are podman's.
type row struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Driver    string `json:"driver"`
	CreatedAt string `json:"createdAt"`
	UpdatedAt string `json:"updatedAt"`
}

var headings = map[string]string{"ID": "ID", "Name": "NAME", "Driver": "DRIVER", "CreatedAt": "CREATED", "UpdatedAt": "UPDATED"}

// NewLs returns the command `secret ls`.
func NewLs(g *cli.Global) *cobra.Command { return newLs(g, ls) }

func newLs(g *cli.Global, run cli.Run[*lsOptions]) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:     "ls [options]",
		Aliases: []string{"list"},
		Short:   "List secrets",
		Example: "berth secret ls --format '{{.Name}} {{.Driver}}'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print secret IDs only")
	f.BoolVarP(&o.noHeading, "noheading", "n", false, "omit the header row")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "show only secrets that match KEY=VALUE: name, id (repeatable)")
	cli.FilterKeys(f, libctr.SecretFilterKeys())
	f.StringVar(&o.format, "format", "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}", "json, or a Go template")
	cli.Fields(f, row{})
	return cmd
}

func ls(ctx context.Context, call cli.Call, o *lsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	list, err := e.Secrets().List(ctx)
	if err != nil {
		return err
	}
	if list, err = libctr.SelectSecrets(list, o.filters); err != nil {
		return err
	}
	rows := []row{}
	for _, s := range list {
		if o.quiet {
			fmt.Fprintln(call.Out, s.ID)
		}
		rows = append(rows, row{s.ID, s.Name, s.Driver, units.HumanDuration(time.Since(s.CreatedAt)) + " ago", units.HumanDuration(time.Since(s.UpdatedAt)) + " ago"})
	}
	switch {
	case o.quiet:
		return nil
	case report.IsJSON(o.format):
		return console.JSON(call.Out, rows)
	case o.noHeading:
		return console.PrintTemplate(call.Out, "secret ls", o.format, rows, nil)
	}
	return console.PrintTemplate(call.Out, "secret ls", o.format, rows, headings)
}
