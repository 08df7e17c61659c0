// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type lsOptions struct {
	quiet, noHeading bool
	format           string
	filters          []string
}

// NewLs returns the command `volume ls`.
func NewLs(g *cli.Global) *cobra.Command { return newLs(g, ls) }

func newLs(g *cli.Global, run cli.Run[*lsOptions]) *cobra.Command {
	var o lsOptions
	cmd := &cobra.Command{
		Use:     "ls [options]",
		Aliases: []string{"list"},
		Short:   "List volumes",
		Example: "berth volume ls",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print volume names only")
	f.BoolVarP(&o.noHeading, "noheading", "n", false, "omit the header row")
	f.StringArrayVarP(&o.filters, "filter", "f", nil, "show only volumes that match "+filterKeys)
	cli.FilterKeys(f, libctr.VolumeFilterKeys())
	f.StringVar(&o.format, "format", "", "json, or a Go template")
	cli.Fields(f, row{})
	return cmd
}

var headings = map[string]string{
	"Name": "VOLUME NAME", "Driver": "DRIVER", "Mountpoint": "MOUNTPOINT", "Labels": "LABELS", "Scope": "SCOPE", "CreatedAt": "CREATED AT", "Options": "OPTIONS", "MountCount": "MOUNT COUNT",
}

// row is a volume as podman's --format has it.
type row struct{ VolumeConfigResponse }

// VolumeConfigResponse and InspectVolumeData are podman's names, which templates may use.
type VolumeConfigResponse struct{ InspectVolumeData }

// InspectVolumeData is a volume.
type InspectVolumeData struct{ libctr.Volume }

// filterKeys ends the help of --filter.
const filterKeys = "KEY=VALUE: name, label, label!, driver, scope, opt, dangling, anonymous, until, since, after (repeatable)"

func ls(ctx context.Context, call cli.Call, o *lsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	list, err := e.Volumes()
	if err != nil {
		return err
	}
	if list, err = e.SelectVolumes(ctx, list, o.filters); err != nil {
		return err
	}
	if strings.Contains(o.format, "MountCount") || console.IsJSON(o.format) {
		if err := e.CountMounts(ctx, list); err != nil {
			return err
		}
	}
	all := []row{}
	for _, v := range list {
		all = append(all, row{VolumeConfigResponse{InspectVolumeData{v}}})
	}
	switch {
	case o.quiet:
		for _, v := range list {
			fmt.Fprintln(call.Out, v.Name)
		}
		return nil
	case console.IsJSON(o.format):
		return console.JSON(call.Out, all)
	case o.format != "":
		return console.PrintTemplate(call.Out, "volume", o.format, all, headings)
	}
	var rows [][]string
	if !o.noHeading {
		rows = append(rows, []string{"DRIVER", "VOLUME NAME"})
	}
	for _, v := range list {
		rows = append(rows, []string{v.Driver, v.Name})
	}
	return console.Columns(call.Out, rows)
}
