// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	units "github.com/docker/go-units"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

type statsOptions struct {
	all, latest, noReset, noStream, noTrunc bool
	format                                  string
	interval                                time.Duration
}

// NewStats returns the command `stats`.
func NewStats(g *cli.Global) *cobra.Command { return newStats(g, stats) }

func newStats(g *cli.Global, run cli.Run[*statsOptions]) *cobra.Command {
	var o statsOptions
	var seconds int
	cmd := &cobra.Command{
		Use:   "stats [options] [CONTAINER...]",
		Short: "Display a live stream of the resources that containers use",
		Long: "Displays how much CPU, memory, network, block I/O and how many processes containers use: those that run, unless others are named.\n" +
			"Of a container without a cgroup (an ordinary user's with cgroups v1) the figures are the sums of those of its processes.",
		Example: "berth stats --no-stream\n  berth stats --no-stream --format \"table {{.Name}} {{.MemUsage}} {{.CPUPerc}}\" web",
		RunE: func(cmd *cobra.Command, args []string) error {
			given := 0
			for _, one := range []bool{o.all, o.latest, len(args) > 0} {
				if one {
					given++
				}
			}
			if given > 1 {
				return fmt.Errorf("--all, --latest and containers cannot be used together")
			}
			if seconds < 1 {
				return fmt.Errorf("--interval %d: must be at least 1 second", seconds)
			}
			o.interval = time.Duration(seconds) * time.Second
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all", "a", false, "show all containers, not only running ones")
	f.BoolVarP(&o.latest, "latest", "l", false, "act on the most recently created container")
	f.StringVar(&o.format, "format", "", "json, or a Go template with podman's fields")
	f.IntVarP(&seconds, "interval", "i", 5, "seconds between two reports")
	f.BoolVar(&o.noReset, "no-reset", false, "do not clear the terminal between two reports")
	f.BoolVar(&o.noStream, "no-stream", false, "show one report, and exit")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "do not truncate output")
	cli.Fields(f, statsRow{})
	return cmd
}

func stats(ctx context.Context, call cli.Call, o *statsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	show, err := statsPrinter(call, o)
	if err != nil {
		return err
	}
	before := map[string]*libctr.Stats{}
	for {
		list, err := o.containers(ctx, e, call.Args)
		if err != nil {
			return err
		}
		now, err := e.Stats(ctx, list)
		if err != nil {
			return err
		}
		rows := make([]statsRow, len(now))
		for i, s := range now {
			rows[i] = newStatsRow(s, before[s.ID], o.noTrunc)
			before[s.ID] = s
		}
		if !o.noReset && !o.noStream {
			console.Clear(call.Out)
		}
		if err := show(rows); err != nil || o.noStream {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.interval):
		}
	}
}

// StatsOnce prints what the running containers use, once.
func StatsOnce(ctx context.Context, call cli.Call) error {
	return stats(ctx, call, &statsOptions{noStream: true})
}

// containers are those that are shown.
func (o *statsOptions) containers(ctx context.Context, e *libctr.Engine, names []string) (list []*libctr.Container, err error) {
	sel := libctr.Selection{Names: names, Latest: o.latest}
	if len(names) == 0 && !o.latest {
		sel.All = true
		if !o.all {
			sel.Where = active
		}
	}
	found, err := e.Select(ctx, sel)
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		list = append(list, c.Container)
	}
	return list, nil
}

// statsPrinter prints one report.
func statsPrinter(call cli.Call, o *statsOptions) (func([]statsRow) error, error) {
	if report.IsJSON(o.format) {
		return func(rows []statsRow) error {
			list := make([]statsJSON, len(rows))
			for i, r := range rows {
				list[i] = r.json()
			}
			return console.IndentedJSON(call.Out, list, " ")
		}, nil
	}
	format := o.format
	if format == "" {
		format = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDS}}\t{{.UpTime}}\t{{.AVGCPU}}"
	}
	t, err := console.ParseTemplate(call.Out, "stats", format, nil)
	if err != nil {
		return nil, err
	}
	return func(rows []statsRow) error { return t.Print(rows, statsHeadings()) }, nil
}

// ContainerStats are the figures of a container, by podman's names.
type ContainerStats struct {
	AvgCPU        float64
	ContainerID   string
	Name          string
	PerCPU        []uint64
	CPU           float64
	CPUNano       uint64
	CPUSystemNano uint64
	SystemNano    uint64
	MemUsage      uint64
	MemLimit      uint64
	MemPerc       float64
	Network       map[string]libctr.NetworkStats
	BlockInput    uint64
	BlockOutput   uint64
	PIDs          uint64
	UpTime        time.Duration // of the processor
	Duration      uint64
}

// statsRow is a row of `stats`: the figures, and as methods the columns made of them.
type statsRow struct {
	ContainerStats
	stats   *libctr.Stats
	noTrunc bool
}

func newStatsRow(s, before *libctr.Stats, noTrunc bool) statsRow {
	row := statsRow{stats: s, noTrunc: noTrunc, ContainerStats: ContainerStats{
		AvgCPU: s.CPUPercent(nil), ContainerID: s.ID, Name: s.Name, CPU: s.CPUPercent(before), CPUNano: uint64(s.CPU), CPUSystemNano: uint64(s.CPUSystem),
		SystemNano: uint64(s.Time.UnixNano()), MemUsage: s.Memory, MemLimit: s.MemoryLimit, MemPerc: s.MemoryPercent(), Network: s.Network,
		BlockInput: s.Read, BlockOutput: s.Written, PIDs: s.PIDs, UpTime: s.CPU, Duration: uint64(s.CPU),
	}}
	for _, d := range s.PerCPU {
		row.PerCPU = append(row.PerCPU, uint64(d))
	}
	return row
}

func (s statsRow) ID() string {
	if s.noTrunc {
		return s.ContainerID
	}
	return s.ContainerID[:12]
}

func (s statsRow) CPUPerc() string { return percent(s.CPU) }
func (s statsRow) AVGCPU() string  { return percent(s.AvgCPU) }
func (s statsRow) MemPerc() string { return percent(s.ContainerStats.MemPerc) }
func (s statsRow) Up() string      { return s.UpTime.String() }
func (s statsRow) PIDS() string    { return strconv.FormatUint(s.PIDs, 10) }
func (s statsRow) NetIO() string   { return sizes(s.stats.Received(), s.stats.Sent()) }
func (s statsRow) BlockIO() string { return sizes(s.BlockInput, s.BlockOutput) }
func (s statsRow) MemUsage() string {
	return sizes(s.ContainerStats.MemUsage, s.MemLimit)
}
func (s statsRow) MemUsageBytes() string {
	return units.BytesSize(float64(s.ContainerStats.MemUsage)) + " / " + units.BytesSize(float64(s.MemLimit))
}

// How long some and all processes had to wait, of the last ten seconds (the kernel's PSI).

func (s statsRow) CPUPressure() string { return s.pressure("cpu") }
func (s statsRow) MemPressure() string { return s.pressure("memory") }
func (s statsRow) IOPressure() string  { return s.pressure("io") }

func (s statsRow) pressure(of string) string {
	p, ok := s.stats.Pressure[of]
	if !ok {
		return "--"
	}
	return percent(p.Some.Avg10) + " / " + percent(p.Full.Avg10)
}

func percent(f float64) string { return strconv.FormatFloat(f, 'f', 2, 64) + "%" }

func sizes(a, b uint64) string {
	return units.HumanSize(float64(a)) + " / " + units.HumanSize(float64(b))
}

// statsJSON is a row of --format json; the names are podman's, but for pressure.
type statsJSON struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	CPUTime    string            `json:"cpu_time"`
	CPUPercent string            `json:"cpu_percent"`
	AverageCPU string            `json:"avg_cpu"`
	MemUsage   string            `json:"mem_usage"`
	MemPerc    string            `json:"mem_percent"`
	NetIO      string            `json:"net_io"`
	BlockIO    string            `json:"block_io"`
	Pids       string            `json:"pids"`
	Pressure   map[string]string `json:"pressure,omitempty"`
}

func (s statsRow) json() statsJSON {
	j := statsJSON{
		ID: s.ID(), Name: s.Name, CPUTime: s.Up(), CPUPercent: s.CPUPerc(), AverageCPU: s.AVGCPU(), MemUsage: s.MemUsage(), MemPerc: s.MemPerc(),
		NetIO: s.NetIO(), BlockIO: s.BlockIO(), Pids: s.PIDS(),
	}
	for of := range s.stats.Pressure {
		if j.Pressure == nil {
			j.Pressure = map[string]string{}
		}
		j.Pressure[of] = s.pressure(of)
	}
	return j
}

// statsHeadings are the headings of columns, each by the name of its field: in capitals, but for those that have another.
func statsHeadings() map[string]string {
	h := map[string]string{}
	t := reflect.TypeFor[statsRow]()
	for i := range t.NumMethod() {
		h[t.Method(i).Name] = strings.ToUpper(t.Method(i).Name)
	}
	t = reflect.TypeFor[ContainerStats]()
	for i := range t.NumField() {
		h[t.Field(i).Name] = strings.ToUpper(t.Field(i).Name)
	}
	for name, text := range map[string]string{
		"UpTime": "CPU TIME", "CPUPerc": "CPU %", "AVGCPU": "AVG CPU %", "MemUsage": "MEM USAGE / LIMIT", "MemUsageBytes": "MEM USAGE / LIMIT",
		"MemPerc": "MEM %", "NetIO": "NET IO", "BlockIO": "BLOCK IO", "CPUPressure": "CPU WAIT", "MemPressure": "MEM WAIT", "IOPressure": "IO WAIT",
	} {
		h[name] = text
	}
	return h
}
