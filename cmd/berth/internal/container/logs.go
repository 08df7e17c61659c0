// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"sync"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/spf13/cobra"
)

type logsOptions struct {
	sel                      selectFlags
	read                     logfile.ReadOptions
	timestamps, names, color bool
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

// bound is the number as logfile.ReadOptions has it, where 0 is all and -1 none.
func (t *tailLines) bound() int {
	switch {
	case *t == 0:
		return -1
	case *t < 0:
		return 0
	}
	return int(*t)
}

// NewLogs returns the command `logs`.
func NewLogs(g *cli.Global) *cobra.Command { return newLogs(g, logs) }

func newLogs(g *cli.Global, run cli.Run[*logsOptions]) *cobra.Command {
	var o logsOptions
	var since, until string
	tail := tailLines(-1)
	cmd := &cobra.Command{
		Use:     "logs [options] CONTAINER [CONTAINER...]",
		Short:   "Fetch the logs of one or more containers",
		Example: "berth logs --follow --tail 20 web\n  berth logs --follow --names web db",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o.read.Tail = tail.bound()
			if o.read.Since, err = cli.ParseTime("--since", since); err != nil {
				return err
			}
			if o.read.Until, err = cli.ParseTime("--until", until); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.read.Follow, "follow", "f", false, "stream new output until the container exits")
	f.BoolVarP(&o.timestamps, "timestamps", "t", false, "show timestamps")
	f.BoolVarP(&o.names, "names", "n", false, "show the container's name in front of each line")
	f.BoolVar(&o.color, "color", false, "show the names or IDs of several containers in different colors")
	o.sel.bindLatest(f)
	f.StringVar(&since, "since", "", "show logs since `TIME`: 10m, 2026-11-21T12:00:00, or seconds since 1970")
	f.StringVar(&until, "until", "", "show logs until `TIME`")
	f.Var(&tail, "tail", "show `N` lines from the end of the logs, or all")
	return cmd
}

// logs shows the logs one after the other, or the lines of several as they come.
func logs(ctx context.Context, call cli.Call, o *logsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	several := len(call.Args) > 1
	if o.read.Follow && several {
		return followLogs(ctx, e, call, o)
	}
	n := 0
	return o.sel.each(ctx, e, call, nil, func(c libctr.Selected) error {
		n++
		return showLogs(ctx, e, c.Container, o.read, o.printer(call, c.Container, n-1, several))
	})
}

// followLogs shows the logs of several containers as their lines come.
func followLogs(ctx context.Context, e *libctr.Engine, call cli.Call, o *logsOptions) error {
	list, err := e.Select(ctx, libctr.Selection{Names: call.Args})
	if err != nil {
		return cli.ReportAllButLast(err)
	}
	var wg sync.WaitGroup
	errs := make([]error, len(list))
	for i, c := range list {
		p := o.printer(call, c.Container, i, true)
		wg.Go(func() { errs[i] = showLogs(ctx, e, c.Container, o.read, p) })
	}
	wg.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}

// showLogs prints a container's log.
func showLogs(ctx context.Context, e *libctr.Engine, c *libctr.Container, opts logfile.ReadOptions, p *logPrinter) error {
	opts.Lost = func(bytes int64) { warnLost(p.warn, c, bytes) }
	r, err := e.Logs(ctx, c, opts)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it has not written anything yet
	}
	if err != nil {
		return cli.Wrapf(err, "logs of container %q", c.State.Name)
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
	if n := r.Skipped(); n > 0 {
		fmt.Fprintf(p.warn, "Warning: %d lines of the log are damaged and were left out\n", n)
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
func (o *logsOptions) printer(call cli.Call, c *libctr.Container, number int, several bool) *logPrinter {
	p := &logPrinter{
		warn:       call.Err,
		timestamps: o.timestamps,
		whole:      several && o.read.Follow,
		begun:      map[logfile.Stream][]byte{},
	}
	p.out, p.err = streams(call)
	switch {
	case o.names:
		p.prefix = c.State.Name + " "
	case several:
		p.prefix = c.ID[:12] + " "
	}
	if o.color && p.prefix != "" {
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
func warnLost(w io.Writer, c *libctr.Container, bytes int64) {
	much := "some of it is"
	if bytes > 0 {
		much = fmt.Sprintf("%d bytes are", bytes)
	}
	why := "was rotated faster than it was read"
	if cfg, err := c.Config(); err == nil && cfg.Log.Driver == record.Journald {
		why = "has a gap here, since journald did not take what came"
	}
	fmt.Fprintf(w, "Warning: the log of container %q %s: %s not shown\n", c.State.Name, why, much)
}
