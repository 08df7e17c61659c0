// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
	"go.podman.io/image/v5/docker/reference"
)

func newSystemDfCmd(e *engineFlags) *cobra.Command {
	var verbose bool
	var format string
	cmd := &cobra.Command{
		Use:   "df [options]",
		Short: "Tell what takes room on the disk",
		Long: "Tells how much room images, containers, volumes and the build cache take, and how much of it can be had back: what no container\n" +
			"uses. The build cache is what RUN --mount=type=cache has kept and what is known of whole builds; the images of single steps are images.",
		Example: "berth system df\n  berth system df --format '{{.Type}} {{.Size}}'",
		Args:    cobra.NoArgs,
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, _ []string) error {
			if verbose && format != "" {
				return fmt.Errorf("--verbose and --format exclude each other")
			}
			u, err := build.MeasureUsage(cmd.Context(), engine)
			if err != nil {
				return err
			}
			if verbose {
				return printUsage(cmd.OutOrStdout(), u)
			}
			return printSummary(cmd.OutOrStdout(), summarize(u), format)
		}),
	}
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "tell it of each image, container and volume")
	cmd.Flags().StringVar(&format, "format", "", "json, or a Go template")
	return cmd
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

func summarize(u *build.Usage) []dfRow {
	images := dfRow{Type: "Images", Total: len(u.Images), RawSize: u.ImageSize, RawReclaimable: u.ImageFree}
	for _, img := range u.Images {
		if img.Containers > 0 {
			images.Active++
		}
	}
	containers := dfRow{Type: "Containers", Total: len(u.Containers)}
	for _, c := range u.Containers {
		containers.RawSize += c.Size
		if c.Status == record.Running || c.Status == record.Paused {
			containers.Active++
		} else {
			containers.RawReclaimable += c.Size
		}
	}
	volumes := dfRow{Type: "Local Volumes", Total: len(u.Volumes)}
	for _, v := range u.Volumes {
		volumes.RawSize += v.Size
		if v.Users > 0 {
			volumes.Active++
		} else {
			volumes.RawReclaimable += v.Size
		}
	}
	return []dfRow{images, containers, volumes, {Type: "Build Cache", RawSize: u.Cache, RawReclaimable: u.Cache}}
}

func printSummary(out io.Writer, rows []dfRow, format string) error {
	switch {
	case report.IsJSON(format):
		type full struct {
			dfRow
			Size, Reclaimable string
		}
		list := make([]full, len(rows))
		for i, r := range rows {
			list[i] = full{r, r.Size(), r.Reclaimable()}
		}
		return printJSON(out, list)
	case format != "":
		return printTemplate(out, "df", format, rows, nil)
	}
	table := [][]string{{"TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"}}
	for _, r := range rows {
		table = append(table, []string{r.Type, strconv.Itoa(r.Total), strconv.Itoa(r.Active), r.Size(), r.Reclaimable()})
	}
	return printColumns(out, table)
}

func printUsage(out io.Writer, u *build.Usage) error {
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
		if err := printColumns(out, part.rows); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	_, err := fmt.Fprintf(out, "Build cache: %s\n\nRecords, locks and events: %s\n", size(u.Cache), size(u.Rest))
	return err
}
