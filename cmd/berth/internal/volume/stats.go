// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	units "github.com/docker/go-units"
	"github.com/spf13/cobra"
)

type statsOptions struct {
	noReset, noStream bool
	format            string
	interval          time.Duration
}

// NewStats returns the command `volume stats`.
func NewStats(g *cli.Global) *cobra.Command { return newStats(g, stats) }

func newStats(g *cli.Global, run cli.Run[*statsOptions]) *cobra.Command {
	var o statsOptions
	var seconds int
	cmd := &cobra.Command{
		Use:   "stats [options] [VOLUME...]",
		Short: "Display how full volumes are",
		Long: "Displays the bytes and the files of volumes, all unless some are named, and what they can take: their limit, or what their file system has left.\n" +
			"A volume with the label " + libctr.WarnLabel + "=90% (or a size) is an event, near_limit, when this command finds that it has reached that.",
		Example: "berth volume stats --no-stream\n  berth volume stats --no-stream --format '{{.Name}} {{.SizePerc}}' data",
		RunE: func(cmd *cobra.Command, args []string) error {
			if seconds < 1 {
				return fmt.Errorf("--interval %d: must be at least 1 second", seconds)
			}
			o.interval = time.Duration(seconds) * time.Second
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "json, or a Go template")
	f.IntVarP(&seconds, "interval", "i", 5, "seconds between two reports")
	f.BoolVar(&o.noReset, "no-reset", false, "do not clear the terminal between two reports")
	f.BoolVar(&o.noStream, "no-stream", false, "show one report, and exit")
	cli.Fields(f, statsRow{})
	return cmd
}

func stats(ctx context.Context, call cli.Call, o *statsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	for {
		list, err := e.VolumeStats(ctx, call.Args...)
		if err != nil {
			return err
		}
		if !o.noReset && !o.noStream {
			console.Clear(call.Out)
		}
		if err := showStats(call, o.format, list); err != nil || o.noStream {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.interval):
		}
	}
}

func showStats(call cli.Call, format string, list []*libctr.VolumeStats) error {
	if console.IsJSON(format) {
		if list == nil {
			list = []*libctr.VolumeStats{}
		}
		return console.JSON(call.Out, list)
	}
	if format == "" {
		format = "table {{.Name}}\t{{.SizeUsage}}\t{{.SizePerc}}\t{{.InodesUsage}}\t{{.InodesPerc}}"
	}
	rows := make([]statsRow, len(list))
	for i, s := range list {
		rows[i] = statsRow{*s}
	}
	return console.PrintTemplate(call.Out, "volume stats", format, rows, statsHeadings)
}

var statsHeadings = map[string]string{
	"Name": "VOLUME NAME", "Driver": "DRIVER", "Mountpoint": "MOUNTPOINT", "Time": "TIME", "Known": "KNOWN", "Size": "SIZE", "SizeLimit": "LIMIT", "Inodes": "INODES", "InodesLimit": "INODES LIMIT",
	"Limited": "LIMITED", "NearLimit": "NEAR LIMIT", "SizeUsage": "SIZE / LIMIT", "SizePerc": "SIZE %", "InodesUsage": "INODES / LIMIT", "InodesPerc": "INODES %",
}

// statsRow is a row of `volume stats`: the figures, and as methods the columns made of them.
type statsRow struct{ libctr.VolumeStats }

func (s statsRow) known(text string) string {
	if !s.Known {
		return "--"
	}
	return text
}

func (s statsRow) SizeUsage() string {
	return s.known(units.HumanSize(float64(s.Size)) + " / " + units.HumanSize(float64(s.SizeLimit)))
}

func (s statsRow) SizePerc() string { return s.known(percent(s.SizePercent())) }

func (s statsRow) InodesUsage() string {
	if s.InodesLimit == 0 {
		return s.known(strconv.FormatUint(s.Inodes, 10) + " / --")
	}
	return s.known(fmt.Sprintf("%d / %d", s.Inodes, s.InodesLimit))
}

func (s statsRow) InodesPerc() string {
	if s.InodesLimit == 0 {
		return "--"
	}
	return s.known(percent(s.InodesPercent()))
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) + "%" }
