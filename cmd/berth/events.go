// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

type eventsFlags struct {
	stream               bool
	since, until, format string
	filters              []string
}

func newEventsCmd(e *engineFlags) *cobra.Command {
	var f eventsFlags
	cmd := &cobra.Command{
		Use:     "events [options]",
		Short:   "Show what happens to containers",
		Example: "berth events --since 10m --stream=false",
		Args:    cobra.NoArgs,
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, _ []string) error {
			return showEvents(cmd, engine, f)
		}),
	}
	cmd.Flags().BoolVar(&f.stream, "stream", true, "go on with what comes")
	cmd.Flags().StringVar(&f.since, "since", "", "from this time on, as in logs")
	cmd.Flags().StringVar(&f.until, "until", "", "up to this time")
	cmd.Flags().StringVar(&f.format, "format", "", "json, or a Go template")
	cmd.Flags().StringArrayVarP(&f.filters, "filter", "f", nil, "KEY=VALUE: container, image, event, type, label (repeatable)")
	return cmd
}

// showEvents prints the log's events that match, and then, unless --stream=false, those that come.
func showEvents(cmd *cobra.Command, engine *libctr.Engine, f eventsFlags) error {
	opts, err := f.options()
	if err != nil {
		return err
	}
	opts.Lost = func() {
		fmt.Fprintln(cmd.ErrOrStderr(), "Warning: the events log was rotated faster than it was read: some events are not shown")
	}
	match, err := eventFilter(f.filters)
	if err != nil {
		return err
	}
	print, err := eventPrinter(cmd.OutOrStdout(), f.format)
	if err != nil {
		return err
	}
	r, err := engine.Events(opts)
	if err != nil {
		return fmt.Errorf("events: %w", err)
	}
	defer r.Close()
	for {
		ev, err := r.Next(cmd.Context())
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("events: %w", err)
		}
		if !match(ev) {
			continue
		}
		if err := print(ev); err != nil {
			return err
		}
	}
}

func (f *eventsFlags) options() (o libctr.EventOptions, err error) {
	o.Follow = f.stream
	if f.since != "" {
		if o.Since, err = parseTime(f.since); err != nil {
			return o, fmt.Errorf("--since: %w", err)
		}
	} else if f.stream {
		o.Since = time.Now() // podman-events(1): without --since only what comes
	}
	if f.until != "" {
		if o.Until, err = parseTime(f.until); err != nil {
			return o, fmt.Errorf("--until: %w", err)
		}
	}
	return o, nil
}

func eventPrinter(out io.Writer, format string) (func(libctr.Event) error, error) {
	switch {
	case format == "":
		return func(ev libctr.Event) error {
			line := fmt.Sprintf("%s %s %s %s (image=%s, name=%s)", ev.Time.Local().Format("2006-01-02 15:04:05.999999999 -0700 MST"), ev.Type, ev.Status, ev.ID, ev.Image, ev.Name)
			_, err := fmt.Fprintln(out, visible.Line(line))
			return err
		}, nil
	case report.IsJSON(format):
		return func(ev libctr.Event) error { return printJSONIndented(out, ev, "") }, nil
	}
	t, err := parseTemplate(out, "events", format, nil)
	if err != nil {
		return nil, err
	}
	return func(ev libctr.Event) error { return t.print([]libctr.Event{ev}, nil) }, nil
}

func eventFilter(filters []string) (func(libctr.Event) bool, error) {
	byKey := map[string][]string{}
	for _, f := range filters {
		k, v, ok := strings.Cut(f, "=")
		switch k {
		case "container", "image", "event", "type", "label":
		default:
			ok = false
		}
		if !ok {
			return nil, fmt.Errorf("--filter %q: write KEY=VALUE, with the key container, image, event, type or label", f)
		}
		byKey[k] = append(byKey[k], v)
	}
	return func(ev libctr.Event) bool {
		for k, values := range byKey {
			hit := false
			for _, v := range values {
				switch k {
				case "container":
					hit = hit || ev.Name == v || strings.HasPrefix(ev.ID, v)
				case "image":
					hit = hit || strings.Contains(ev.Image, v)
				case "event":
					hit = hit || ev.Status == v
				case "type":
					hit = hit || ev.Type == v
				case "label":
					lk, lv, has := strings.Cut(v, "=")
					got, ok := ev.Attributes[lk]
					hit = hit || ok && (!has || got == lv)
				}
			}
			if !hit {
				return false
			}
		}
		return true
	}, nil
}
