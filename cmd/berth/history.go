//go:build !lean

package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/visible"
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
	if h.o.format == "" {
		by = visible.Line(by)
	}
	if !h.o.noTrunc && len(by) > 45 {
		return by[:42] + "..."
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
	if h.o.format == "" {
		return visible.Line(h.step.Comment)
	}
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
	origin, format := formats.OriginUser, o.format
	switch {
	case o.quiet:
		format = "{{range .}}{{.ID}}\n{{end -}}"
	case format == "":
		origin, format = formats.OriginPodman, "{{range .}}{{.ID}}\t{{.Created}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}\n{{end -}}"
	}
	rpt, err := formats.New(out, "history").Parse(origin, format)
	if err != nil {
		return fmt.Errorf("show history: read --format: %w", err)
	}
	defer rpt.Flush()
	if rpt.RenderHeaders && !o.quiet {
		headers := map[string]string{"ID": "ID", "Created": "CREATED", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED SINCE", "CreatedBy": "CREATED BY", "Size": "SIZE", "Comment": "COMMENT", "Tags": "TAGS"}
		if err := rpt.Execute([]map[string]string{headers}); err != nil {
			return err
		}
	}
	return rpt.Execute(rows)
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
