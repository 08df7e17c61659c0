// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	"go.podman.io/image/v5/docker/reference"
)

type dfOptions struct {
	verbose bool
	format  string
}

// NewDf returns the command `system df`.
func NewDf(g *cli.Global) *cobra.Command { return newDf(g, df) }

func newDf(g *cli.Global, run cli.Run[*dfOptions]) *cobra.Command {
	var o dfOptions
	cmd := &cobra.Command{
		Use:   "df [options]",
		Short: "Show disk usage",
		Long: "Shows how much disk space images, containers, volumes and the build cache use, and how much of it can be reclaimed: what no container\n" +
			"uses. The build cache is what RUN --mount=type=cache has kept and what is known of whole builds; the images of single steps are images.",
		Example: "berth system df\n  berth system df --format '{{.Type}} {{.Size}}'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.verbose && o.format != "" {
				return errors.New("--verbose and --format exclude each other")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show each image, container and volume")
	cmd.Flags().StringVar(&o.format, "format", "", "json, or a Go template")
	cli.Fields(cmd.Flags(), dfRow{})
	return cmd
}

func df(ctx context.Context, call cli.Call, o *dfOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	u, err := e.MeasureUsage(ctx, subsystems(e, libctr.CheckOptions{})...)
	if err != nil {
		return err
	}
	if o.verbose {
		return printUsage(call.Out, u)
	}
	return printSummary(call.Out, summarize(u), o.format)
}

// dfRow is one line of the summary, for templates; the names of fields and methods are podman's.
type dfRow struct {
	Type           string
	Total          int
	Active         int
	RawSize        int64
	RawReclaimable int64
}

// Size is the size in words.
func (r dfRow) Size() string { return units.HumanSize(float64(r.RawSize)) }

// Reclaimable is what can be had back, in words, with its share of the size.
func (r dfRow) Reclaimable() string {
	percent := 0
	if r.RawSize > 0 {
		percent = int(float64(r.RawReclaimable)*100/float64(r.RawSize) + 0.5)
	}
	return fmt.Sprintf("%s (%d%%)", units.HumanSize(float64(r.RawReclaimable)), percent)
}

func summarize(u *libctr.Usage) []dfRow {
	var rows []dfRow
	for _, s := range u.Shares() {
		rows = append(rows, dfRow{Type: s.Kind, Total: s.Total, Active: s.Active, RawSize: s.Size, RawReclaimable: s.Reclaimable})
	}
	return rows
}

func printSummary(out io.Writer, rows []dfRow, format string) error {
	switch {
	case console.IsJSON(format):
		type full struct {
			dfRow
			Size, Reclaimable string
		}
		list := make([]full, len(rows))
		for i, r := range rows {
			list[i] = full{r, r.Size(), r.Reclaimable()}
		}
		return console.JSON(out, list)
	case format != "":
		return console.PrintTemplate(out, "df", format, rows, nil)
	}
	table := [][]string{{"TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"}}
	for _, r := range rows {
		table = append(table, []string{r.Type, strconv.Itoa(r.Total), strconv.Itoa(r.Active), r.Size(), r.Reclaimable()})
	}
	return console.Columns(out, table)
}

func printUsage(out io.Writer, u *libctr.Usage) error {
	size := func(n int64) string { return units.HumanSize(float64(n)) }
	ago := func(t time.Time) string { return units.HumanDuration(time.Since(t)) }
	images := [][]string{{"REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"}}
	for _, img := range u.Images {
		for _, name := range append(img.Names, "")[:max(len(img.Names), 1)] {
			repository, tag := "<none>", "<none>"
			if named, err := reference.ParseNormalizedNamed(name); err == nil {
				repository = named.Name()
				if tagged, ok := named.(reference.Tagged); ok {
					tag = tagged.Tag()
				}
			}
			images = append(images, []string{repository, tag, img.ID[:12], ago(img.Created), size(img.Shared + img.Unique), size(img.Shared), size(img.Unique), strconv.Itoa(img.Containers)})
		}
	}
	containers := [][]string{{"CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"}}
	for _, c := range u.Containers {
		containers = append(containers, []string{c.ID[:12], c.Image, strings.Join(c.Command, " "), strconv.Itoa(c.Volumes), size(c.Size), ago(c.Created), string(c.Status), c.Name})
	}
	volumes := [][]string{{"VOLUME NAME", "LINKS", "SIZE"}}
	for _, v := range u.Volumes {
		volumes = append(volumes, []string{v.Name, strconv.Itoa(v.Users), size(v.Size)})
	}
	for _, part := range []struct {
		title string
		rows  [][]string
	}{{"Images", images}, {"Containers", containers}, {"Local volumes", volumes}} {
		fmt.Fprintf(out, "%s space usage:\n\n", part.title)
		if err := console.Columns(out, part.rows); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	for _, o := range u.Others {
		fmt.Fprintf(out, "%s: %s\n\n", o.Kind[:1]+strings.ToLower(o.Kind[1:]), size(o.Size))
	}
	_, err := fmt.Fprintf(out, "Records, locks and events: %s\n", size(u.Rest))
	return err
}
