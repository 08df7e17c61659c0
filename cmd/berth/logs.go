// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/spf13/cobra"
)

type logsFlags struct {
	follow, timestamps, names, latest, color bool
	since, until                             string
	tail                                     int
}

// tailLines is the value of --tail: docker's and podman's users write "all" for every line, which is -1.
type tailLines int

func (t *tailLines) String() string {
	if *t < 0 {
		return "all"
	}
	return strconv.Itoa(int(*t))
}

func (t *tailLines) Set(s string) error {
	if s == "all" {
		*t = -1
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return fmt.Errorf("%q is not a number of lines, nor all", s)
	}
	*t = tailLines(n)
	return nil
}

func (t *tailLines) Type() string { return "N" }

func newLogsCmd(e *engineFlags) *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:     "logs [options] CONTAINER [CONTAINER...]",
		Short:   "Show the output of containers",
		Example: "berth logs --follow --tail 20 web\n  berth logs --follow --names web db",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			engine, err := e.open(ctx)
			if err != nil {
				return err
			}
			opts, err := f.options()
			if err != nil {
				return err
			}
			if !f.follow || len(args) < 2 {
				sel := selection{latest: f.latest, silent: true}
				n := 0
				return eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
					n++
					return showLogs(ctx, engine, c, opts, f.printer(cmd, c, n-1, len(args) > 1))
				})
			}
			return followLogs(cmd, engine, args, opts, f)
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&f.follow, "follow", "f", false, "go on with what comes, until the container ends")
	fs.BoolVarP(&f.timestamps, "timestamps", "t", false, "show the time of each line")
	fs.BoolVarP(&f.names, "names", "n", false, "show the container's name in front of each line")
	fs.BoolVar(&f.color, "color", false, "show the names or IDs of several containers in different colors")
	fs.BoolVarP(&f.latest, "latest", "l", false, "the container made last")
	fs.StringVar(&f.since, "since", "", "from this time on: 10m, 2026-11-21T12:00:00, or seconds since 1970")
	fs.StringVar(&f.until, "until", "", "up to this time")
	f.tail = -1
	fs.Var((*tailLines)(&f.tail), "tail", "`N` lines from the end, or all")
	return cmd
}

func (f *logsFlags) options() (o logfile.ReadOptions, err error) {
	o.Follow = f.follow
	switch {
	case f.tail == 0:
		o.Tail = -1
	case f.tail > 0:
		o.Tail = f.tail
	}
	if f.since != "" {
		if o.Since, err = parseTime(f.since); err != nil {
			return o, fmt.Errorf("--since: %w", err)
		}
	}
	if f.until != "" {
		if o.Until, err = parseTime(f.until); err != nil {
			return o, fmt.Errorf("--until: %w", err)
		}
	}
	return o, nil
}

// followLogs shows the logs of several containers as their lines come.
func followLogs(cmd *cobra.Command, e *libctr.Engine, names []string, opts logfile.ReadOptions, f logsFlags) error {
	list, _, err := selection{}.find(cmd.Context(), e, names)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, len(list))
	for i, c := range list {
		p := f.printer(cmd, c, i, len(names) > 1)
		wg.Go(func() { errs[i] = showLogs(cmd.Context(), e, c, opts, p) })
	}
	wg.Wait()
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	return joinReported(slices.DeleteFunc(errs, func(err error) bool { return err == nil }))
}

// showLogs prints a container's log.
func showLogs(ctx context.Context, e *libctr.Engine, c *libctr.Container, opts logfile.ReadOptions, p *logPrinter) error {
	opts.Lost = func(bytes int64) { warnLost(p.warn, c.State.Name, bytes) }
	r, err := e.Logs(ctx, c, opts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has not written anything yet
	}
	if err != nil {
		return wrapf(err, "logs of container %q", c.State.Name)
	}
	defer r.Close()
	for {
		entry, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := p.print(entry); err != nil {
			return err
		}
	}
	if r.Skipped > 0 {
		fmt.Fprintf(p.warn, "Warning: %d lines of the log are damaged and were left out\n", r.Skipped)
	}
	return nil
}

// logPrinter prints the log entries of one container. Several printers of the same streams may print at once:
// a line comes out whole.
type logPrinter struct {
	out, err   io.Writer // the container's own streams
	warn       io.Writer
	prefix     string // in front of each line
	timestamps bool
	whole      bool // hold back a line until its end has come: others print too
	begun      map[logfile.Stream][]byte
}

// printer prints the log of c, which is the number-th container of the command. As in podman, the container is named
// where there are several, by its ID unless --names is given.
func (f *logsFlags) printer(cmd *cobra.Command, c *libctr.Container, number int, several bool) *logPrinter {
	p := &logPrinter{
		out: asIs(cmd.OutOrStdout()), err: asIs(cmd.ErrOrStderr()), warn: cmd.ErrOrStderr(), timestamps: f.timestamps, whole: several && f.follow, begun: map[logfile.Stream][]byte{},
	}
	switch {
	case f.names:
		p.prefix = c.State.Name + " "
	case several:
		p.prefix = c.ID[:12] + " "
	}
	if f.color && p.prefix != "" {
		p.prefix = fmt.Sprintf("\x1b[%dm%s\x1b[0m", 31+number%6, p.prefix) // red to cyan
	}
	return p
}

func (p *logPrinter) print(e logfile.Entry) error {
	line, begun := p.begun[e.Stream]
	if !begun {
		line = append(line, p.prefix...)
		if p.timestamps {
			line = append(line, e.Time.Local().Format(time.RFC3339Nano)+" "...)
		}
	}
	line = append(line, e.Text...)
	switch {
	case !e.Partial:
		line = append(line, '\n')
		delete(p.begun, e.Stream)
	case p.whole && len(line) < 64<<10:
		p.begun[e.Stream] = line
		return nil
	default:
		p.begun[e.Stream] = nil
	}
	w := p.out
	if e.Stream == logfile.Stderr {
		w = p.err
	}
	_, err := w.Write(line)
	return err
}

// warnLost says that the log of a container went on without whoever follows it.
func warnLost(w io.Writer, name string, bytes int64) {
	much := "some of it is"
	if bytes > 0 {
		much = fmt.Sprintf("%d bytes are", bytes)
	}
	fmt.Fprintf(w, "Warning: the log of container %q was rotated faster than it was read: %s not shown\n", name, much)
}

// parseTime reads a time as podman does: how long ago (10m), seconds since 1970, or a date and time, the local one
// where it names no zone.
func parseTime(s string) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return time.Now().Add(-d), nil
	}
	if sec, err := strconv.ParseFloat(s, 64); err == nil {
		return time.UnixMicro(int64(sec * 1e6)), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration (10m), seconds since 1970, nor a time (2026-11-21T12:00:00)", s)
}

// nameFilter matches a container's name by a regular expression, as podman's filter does.
func nameFilter(value string) (func(*libctr.Container) bool, error) {
	re, err := regexp.Compile(value)
	if err != nil {
		return nil, err
	}
	return func(c *libctr.Container) bool { return re.MatchString(c.State.Name) }, nil
}
