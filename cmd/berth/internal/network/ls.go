// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/spf13/cobra"
	"go.podman.io/common/libnetwork/types"
)

type lsOptions struct {
	quiet, noHeading, noTrunc bool
	format                    string
	filters                   []string
}

// row is a network as podman's --format has it: ID and Labels are for people.
type row struct {
	types.Network
	id string
}

// ID is the network's ID, its first 12 digits unless --no-trunc is given.
func (r row) ID() string { return r.id }

// Labels are NAME=VALUE, separated by commas.
func (r row) Labels() string {
	var all []string
	for _, k := range slices.Sorted(maps.Keys(r.Network.Labels)) {
		all = append(all, k+"="+r.Network.Labels[k])
	}
	return strings.Join(all, ",")
}

var headings = map[string]string{"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Labels": "LABELS"}

// filterKeys ends the help of --filter.
const filterKeys = "KEY=VALUE: name, id, driver, label, dangling, until (repeatable)"

// NewLs returns the command `network ls`.
func NewLs(g *cli.Global) *cobra.Command { return newLs(g, ls) }

func newLs(g *cli.Global, run cli.Run[*lsOptions]) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:     "ls [options]",
		Aliases: []string{"list"},
		Short:   "List networks",
		Example: "berth network ls --filter driver=bridge",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print network names only")
	f.BoolVarP(&o.noHeading, "noheading", "n", false, "omit the header row")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "print whole IDs")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "show only networks that match "+filterKeys)
	cli.FilterKeys(f, networks.FilterKeys())
	f.StringVar(&o.format, "format", "", "json, or a Go template")
	cli.Fields(f, row{})
	return cmd
}

// ls shows what can be read, and then says what cannot.
func ls(ctx context.Context, call cli.Call, o *lsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	list, problems := networks.List(ctx, e, o.filters)
	if problems != nil && list == nil {
		return problems
	}
	if err := show(call, o, list); err != nil {
		return err
	}
	return problems
}

func show(call cli.Call, o *lsOptions, list []types.Network) error {
	var all []row
	for _, n := range list {
		r := row{n, n.ID}
		if !o.noTrunc {
			r.id = n.ID[:12]
		}
		all = append(all, r)
	}
	switch {
	case o.quiet:
		for _, n := range list {
			fmt.Fprintln(call.Out, n.Name)
		}
		return nil
	case console.IsJSON(o.format):
		if list == nil {
			list = []types.Network{}
		}
		return console.JSON(call.Out, list)
	case o.format != "":
		return console.PrintTemplate(call.Out, "network", o.format, all, headings)
	}
	var rows [][]string
	if !o.noHeading {
		rows = append(rows, []string{"NETWORK ID", "NAME", "DRIVER"})
	}
	for _, r := range all {
		rows = append(rows, []string{r.id, r.Name, r.Driver})
	}
	return console.Columns(call.Out, rows)
}
