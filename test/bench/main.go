// SPDX-License-Identifier: Apache-2.0

// Command bench measures Berth beside podman and bare crun, in turn in one run, and
// writes what it found as a page of Markdown. `make bench` runs it as an ordinary user.
//
// Absolute times belong to the machine, so every budget is a ratio: what is compared
// runs interleaved (A B C A B C …), so that a disturbance meets all of them alike.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
)

type options struct {
	berth   string // path of the program
	archive string // docker-archive of the image that all engines run
	out     string // file to write; the report
	scale   int    // percent of the usual number of repetitions
	only    string // cases whose names begin with it; empty is all
}

func main() {
	var opts options
	flag.StringVar(&opts.berth, "berth", "bin/berth", "the program `path`")
	flag.StringVar(&opts.archive, "image", "", "docker-archive `file` of the image to run")
	flag.StringVar(&opts.out, "out", "docs/performance.md", "`file` to write the report to")
	flag.IntVar(&opts.scale, "scale", 100, "`percent` of the usual repetitions")
	flag.StringVar(&opts.only, "only", "", "measure only the cases whose name begins with `WORDS`: run, exec, build, ...")
	flag.Parse()
	if flag.NArg() > 0 {
		if err := within(flag.Args()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}

	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := bench(ctx, opts); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench runs all cases and writes the report.
func bench(ctx context.Context, opts options) (err error) {
	dir, err := os.MkdirTemp("", "bb-")
	if err != nil {
		return err
	}
	// What ends with the boot is in memory, as it is for whoever has logged in.
	run, err := os.MkdirTemp(os.Getenv("XDG_RUNTIME_DIR"), "bb-")
	if err != nil {
		return err
	}
	engines, err := newEngines(ctx, dir, run, opts)
	if err != nil {
		return err
	}
	defer func() {
		// An interrupt must not leave containers or files behind.
		ctx := context.WithoutCancel(ctx)
		engines.close(ctx)
		for _, d := range []string{dir, run} {
			if e := removeAll(ctx, d); err == nil {
				err = e
			}
		}
	}()
	r := &report{engines: engines}
	for _, c := range cases(opts.scale) {
		if !strings.HasPrefix(c.name, opts.only) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring", c.name)
		if err := c.measure(ctx, engines, r); err != nil {
			return fmt.Errorf("measure %s: %w", c.name, err)
		}
	}
	return r.write(opts.out)
}
