package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"time"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/spf13/cobra"
)

type logsFlags struct {
	follow, timestamps, names, latest bool
	since, until                      string
	tail                              int
}

func newLogsCmd(e *engineFlags) *cobra.Command {
	var f logsFlags
	cmd := &cobra.Command{
		Use:     "logs [options] CONTAINER [CONTAINER...]",
		Short:   "Show the output of containers",
		Example: "berth logs --follow --tail 20 web",
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
			if f.follow && len(args) > 1 {
				return errors.New("logs --follow takes one container")
			}
			sel := selection{latest: f.latest, silent: true}
			err = eachContainer(cmd, engine, args, sel, func(ctx context.Context, c *libctr.Container) error {
				return showLogs(ctx, engine, c, opts, f, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
			if errors.Is(err, context.Canceled) {
				return nil // Ctrl-C is how one stops following
			}
			return err
		},
	}
	fs := cmd.Flags()
	fs.BoolVarP(&f.follow, "follow", "f", false, "go on with what comes, until the container ends")
	fs.BoolVarP(&f.timestamps, "timestamps", "t", false, "show the time of each line")
	fs.BoolVarP(&f.names, "names", "n", false, "show the container's name in front of each line")
	fs.BoolVarP(&f.latest, "latest", "l", false, "the container made last")
	fs.StringVar(&f.since, "since", "", "from this time on: 10m, 2026-11-21T12:00:00, or seconds since 1970")
	fs.StringVar(&f.until, "until", "", "up to this time")
	fs.IntVar(&f.tail, "tail", -1, "this many lines from the end (default all)")
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

func showLogs(ctx context.Context, e *libctr.Engine, c *libctr.Container, opts logfile.ReadOptions, f logsFlags, out, errOut io.Writer) error {
	r, err := e.Logs(ctx, c, opts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has not written anything yet
	}
	if err != nil {
		return wrapf(err, "logs of container %q", c.State.Name)
	}
	defer r.Close()
	fresh := map[logfile.Stream]bool{logfile.Stdout: true, logfile.Stderr: true}
	for {
		entry, err := r.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		w := out
		if entry.Stream == logfile.Stderr {
			w = errOut
		}
		line := []byte{}
		if fresh[entry.Stream] {
			if f.names {
				line = append(line, c.State.Name+" "...)
			}
			if f.timestamps {
				line = append(line, entry.Time.Local().Format(time.RFC3339Nano)+" "...)
			}
		}
		line = append(line, entry.Text...)
		if !entry.Partial {
			line = append(line, '\n')
		}
		fresh[entry.Stream] = !entry.Partial
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	if r.Skipped > 0 {
		fmt.Fprintf(os.Stderr, "Warning: %d lines of the log are damaged and were left out\n", r.Skipped)
	}
	return nil
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
