// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	formats "go.podman.io/common/pkg/report"
)

// historyOptions are history's flags.
type historyOptions struct {
	format                string
	human, noTrunc, quiet bool
}

func newHistoryCmd(f *engineFlags) *cobra.Command {
	var o historyOptions
	cmd := &cobra.Command{
		Use:     "history [options] IMAGE",
		Short:   "Show how an image came to be",
		Long:    "Shows the steps that made a local image, the last one first.",
		Example: "berth history --no-trunc app",
		Args:    cobra.ExactArgs(1),
		RunE: f.withEngine(func(cmd *cobra.Command, e *libctr.Engine, args []string) error {
			img, err := lookupImage(e.ImageView(), args[0])
			if err != nil {
				return err
			}
			steps, err := img.History()
			if err != nil {
				return err
			}
			return printHistory(steps, o, cmd.OutOrStdout())
		}),
	}
	cmd.Flags().StringVar(&o.format, "format", "", "`FORMAT`: json or a Go template")
	cmd.Flags().BoolVarP(&o.human, "human", "H", true, "sizes and times as people read them")
	cmd.Flags().BoolVar(&o.noTrunc, "no-trunc", false, "whole IDs and commands")
	cmd.Flags().BoolVarP(&o.quiet, "quiet", "q", false, "only IDs")
	return cmd
}

// historyRow is one step, for templates; the names are podman's.
type historyRow struct {
	step image.HistoryStep
	o    historyOptions
}

func (h historyRow) ID() string {
	if h.o.noTrunc || len(h.step.ID) < 12 {
		return h.step.ID
	}
	return h.step.ID[:12]
}

func (h historyRow) Created() string {
	switch {
	case h.step.Created == nil:
		return ""
	case h.o.human:
		return units.HumanDuration(time.Since(*h.step.Created)) + " ago"
	}
	return h.step.Created.Format(time.RFC3339)
}

func (h historyRow) CreatedAt() string {
	if h.step.Created == nil {
		return ""
	}
	return h.step.Created.Format(time.RFC3339)
}

func (h historyRow) CreatedSince() string {
	if h.step.Created == nil {
		return ""
	}
	return units.HumanDuration(time.Since(*h.step.Created)) + " ago"
}

func (h historyRow) CreatedBy() string {
	by := strings.Join(strings.Fields(h.step.CreatedBy), " ")
	if r := []rune(by); !h.o.noTrunc && len(r) > 45 {
		return string(r[:42]) + "..."
	}
	return by
}

func (h historyRow) Size() string {
	if h.o.human {
		return humanSize(h.step.Size)
	}
	return strconv.FormatInt(h.step.Size, 10)
}

func (h historyRow) Comment() string {
	return h.step.Comment
}

func (h historyRow) Tags() []string { return h.step.Tags }

func printHistory(steps []image.HistoryStep, o historyOptions, out io.Writer) error {
	if formats.IsJSON(o.format) {
		return printHistoryJSON(steps, out)
	}
	rows := make([]historyRow, len(steps))
	for i, s := range steps {
		rows[i] = historyRow{s, o}
	}
	switch {
	case o.quiet:
		for _, r := range rows {
			fmt.Fprintln(out, r.ID())
		}
		return nil
	case o.format != "":
		return printTemplate(out, "history", o.format, rows, map[string]string{"ID": "ID", "Created": "CREATED", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED SINCE", "CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT", "Tags": "TAGS"})
	}
	table := [][]string{{"ID", "CREATED", "CREATED BY", "SIZE", "COMMENT"}}
	for _, r := range rows {
		table = append(table, []string{r.ID(), r.Created(), r.CreatedBy(), r.Size(), r.Comment()})
	}
	return printColumns(out, table)
}

func printHistoryJSON(steps []image.HistoryStep, out io.Writer) error {
	type element struct {
		ID        string     `json:"id"`
		Created   *time.Time `json:"created"`
		CreatedBy string     `json:"CreatedBy"`
		Size      int64      `json:"size"`
		Comment   string     `json:"comment"`
		Tags      []string   `json:"tags,omitempty"`
	}
	all := make([]element, len(steps))
	for i, s := range steps {
		all[i] = element(s)
	}
	return printJSON(out, all)
}
