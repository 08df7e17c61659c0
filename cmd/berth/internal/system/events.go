// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type eventsOptions struct {
	libctr.EventOptions
	format  string
	noTrunc bool
}

// NewEvents returns the command `events`.
func NewEvents(g *cli.Global) *cobra.Command { return newEvents(g, events) }

func newEvents(g *cli.Global, run cli.Run[*eventsOptions]) *cobra.Command {
	var o eventsOptions
	var since, until string
	cmd := &cobra.Command{
		Use:     "events [options]",
		Short:   "Show events of containers, images, volumes, secrets and the system",
		Example: "berth events --since 10m --stream=false",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Since, err = cli.ParseTime("--since", since); err != nil {
				return err
			}
			if o.Until, err = cli.ParseTime("--until", until); err != nil {
				return err
			}
			if since == "" && o.Follow {
				o.Since = time.Now() // podman-events(1): without --since only new ones
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.Follow, "stream", true, "stream new events; do not exit after the last known one")
	f.BoolVar(&o.noTrunc, "no-trunc", true, "do not truncate output")
	f.StringVar(&since, "since", "", "show events since `TIME`, as in logs")
	f.StringVar(&until, "until", "", "show events until `TIME`")
	f.StringVar(&o.format, "format", "", "json, or a Go template")
	cli.Fields(f, eventRow{})
	f.StringArrayVarP(&o.Filters, "filter", "f", nil, "KEY=VALUE: container, image, volume, event, type, label (repeatable)")
	cli.FilterKeys(f, libctr.EventFilterKeys())
	return cmd
}

func events(ctx context.Context, call cli.Call, o *eventsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	o.Lost = func() {
		fmt.Fprintln(call.Err, "Warning: the events log was rotated faster than it was read: some events are not shown")
	}
	show, err := eventPrinter(call.Out, o)
	if err != nil {
		return err
	}
	return cli.Wrapf(e.EachEvent(ctx, o.EventOptions, show), "events")
}

func eventPrinter(out io.Writer, o *eventsOptions) (func(libctr.Event) error, error) {
	row := func(ev libctr.Event) eventRow {
		if !o.noTrunc && len(ev.ID) > 12 {
			ev.ID = ev.ID[:12]
		}
		return eventRow{ev}
	}
	switch {
	case o.format == "":
		return func(ev libctr.Event) error {
			_, err := fmt.Fprintln(out, visible.Line(row(ev).line()))
			return err
		}, nil
	case console.IsJSON(o.format):
		return func(ev libctr.Event) error { return console.IndentedJSON(out, row(ev).Event, "") }, nil
	}
	t, err := console.ParseTemplate(out, "events", o.format, nil)
	if err != nil {
		return nil, err
	}
	return func(ev libctr.Event) error { return t.Print([]eventRow{row(ev)}, nil) }, nil
}

// eventRow is one event, with the fields that podman's --format knows.
type eventRow struct{ libctr.Event }

// eventDetails are those that podman has apart.
type eventDetails struct {
	PodID                string
	Attributes           map[string]string
	ContainerInspectData string
}

// TimeNano is when it happened, in nanoseconds since 1970.
func (r eventRow) TimeNano() int64 { return r.Time.UnixNano() }

// PodID and Network are of events that there are none of yet, ContainerInspectData of a setting that Berth has not.
func (r eventRow) PodID() string                { return "" }
func (r eventRow) Network() string              { return "" }
func (r eventRow) ContainerInspectData() string { return "" }

// Details are what the event itself has, too.
func (r eventRow) Details() eventDetails { return eventDetails{Attributes: r.Attributes} }

// line is the event as podman writes it for people.
func (r eventRow) line() string {
	begin := fmt.Sprintf("%s %s %s", r.Time.Local().Format("2006-01-02 15:04:05.999999999 -0700 MST"), r.Type, r.Status)
	switch {
	case r.Type == "image" && r.Error != "":
		return fmt.Sprintf("%s %s %s %s", begin, r.ID, r.Name, r.Error)
	case r.Type == "image":
		return fmt.Sprintf("%s %s %s", begin, r.ID, r.Name)
	case r.Type == "system":
		return begin
	case r.Type != "container":
		return fmt.Sprintf("%s %s", begin, r.Name)
	}
	more := ""
	for _, k := range slices.Sorted(maps.Keys(r.Attributes)) {
		more += fmt.Sprintf(", %s=%s", k, r.Attributes[k])
	}
	return fmt.Sprintf("%s %s (image=%s, name=%s%s)", begin, r.ID, r.Image, r.Name, more)
}
