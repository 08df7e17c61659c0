// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

type historyOptions struct {
	format                string
	human, noTrunc, quiet bool
}

// NewHistory returns the command `history`.
func NewHistory(g *cli.Global) *cobra.Command { return newHistory(g, history) }

func newHistory(g *cli.Global, run cli.Run[*historyOptions]) *cobra.Command {
	var o historyOptions
	cmd := &cobra.Command{
		Use:     "history [options] IMAGE",
		Short:   "Show the history of an image",
		Long:    "Shows the steps that made a local image, the last one first.",
		Example: "berth history --no-trunc app",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "`FORMAT`: json or a Go template")
	cli.Fields(f, historyRow{})
	f.BoolVarP(&o.human, "human", "H", true, "show sizes and times in human-readable form")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "do not truncate output")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print image IDs only")
	return cmd
}

func history(ctx context.Context, call cli.Call, o *historyOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	img, err := lookup(e.ImageView(), call.Args[0])
	if err != nil {
		return err
	}
	steps, err := img.History()
	if err != nil {
		return err
	}
	return printHistory(steps, o, call.Out)
}

// historyRow is one step, for templates; the names are podman's.
type historyRow struct {
	step image.HistoryStep
	o    *historyOptions
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

// historyLayer is the step as it is recorded, with podman's names.
type historyLayer struct {
	ID        string
	Created   time.Time
	CreatedBy string
	Size      int64
	Tags      []string
	Comment   string
}

// ImageHistoryLayer is the step, neither shortened nor in words.
func (h historyRow) ImageHistoryLayer() historyLayer {
	l := historyLayer{ID: h.step.ID, CreatedBy: h.step.CreatedBy, Size: h.step.Size, Tags: h.step.Tags, Comment: h.step.Comment}
	if h.step.Created != nil {
		l.Created = *h.step.Created
	}
	return l
}

func printHistory(steps []image.HistoryStep, o *historyOptions, out io.Writer) error {
	if console.IsJSON(o.format) {
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
		return console.PrintTemplate(out, "history", o.format, rows, map[string]string{"ID": "ID", "Created": "CREATED", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED SINCE", "CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT", "Tags": "TAGS"})
	}
	table := [][]string{{"ID", "CREATED", "CREATED BY", "SIZE", "COMMENT"}}
	for _, r := range rows {
		table = append(table, []string{r.ID(), r.Created(), r.CreatedBy(), r.Size(), r.Comment()})
	}
	return console.Columns(out, table)
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
	return console.JSON(out, all)
}
