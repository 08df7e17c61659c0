// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/spf13/cobra"
)

// answer is a question's: yes, no, or either.
type answer int

const (
	either answer = iota
	yes
	no
)

// selection says which containers a command works on, besides those that are named.
type selection struct {
	all     bool
	latest  bool
	running answer   // with all: only those that run, or only those that do not
	resting bool     // … where those that wait to be restarted count as running
	ignore  bool     // a name that nothing has is no error
	idFiles []string // --cidfile
	filters []string
	silent  bool // print no names
}

// eachContainer runs do on each selected container, and prints the name as it was given when it is done. What
// fails does not keep the others from being done; the errors come joined.
func eachContainer(cmd *cobra.Command, e *libctr.Engine, args []string, sel selection, do func(context.Context, *libctr.Container) error) error {
	ctx := cmd.Context()
	if sel.all && (len(args) > 0 || sel.latest) {
		return errors.New("--all excludes names and --latest")
	}
	if !sel.all && !sel.latest && len(args) == 0 && len(sel.idFiles) == 0 && len(sel.filters) == 0 {
		return fmt.Errorf("%s: give a container's name or ID", cmd.CommandPath())
	}
	list, shown, err := sel.find(ctx, e, args)
	var errs []error
	if err != nil {
		errs = append(errs, err)
	}
	for i, c := range list {
		if err := do(ctx, c); err != nil {
			if ctx.Err() != nil {
				return err
			}
			errs = append(errs, err)
			continue
		}
		if !sel.silent {
			fmt.Fprintln(cmd.OutOrStdout(), shown[i])
		}
	}
	return joinReported(errs)
}

// joinReported reports all errors but the last, which the caller returns.
func joinReported(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	for _, err := range errs[:len(errs)-1] {
		reportError(err)
	}
	return errs[len(errs)-1]
}

// wholeFilters refuses filters without a value, for commands that change what passes: id= and name=, as a script with an
// empty variable writes them, pass everything.
func wholeFilters(filters []string) error {
	for _, f := range filters {
		if key, value, ok := strings.Cut(f, "="); !ok || key == "" || value == "" {
			return fmt.Errorf("--filter %q: write KEY=VALUE, with a value", f)
		}
	}
	return nil
}

func (sel selection) find(ctx context.Context, e *libctr.Engine, args []string) (list []*libctr.Container, shown []string, err error) {
	for _, path := range sel.idFiles {
		data, err := os.ReadFile(path)
		if err != nil {
			if sel.ignore && os.IsNotExist(err) {
				continue
			}
			return nil, nil, fmt.Errorf("--cidfile: %w", err)
		}
		args = append(args, strings.TrimSpace(string(data)))
	}
	if sel.all || sel.latest || len(sel.filters) > 0 {
		every, err := e.List(ctx)
		if err != nil {
			return nil, nil, err
		}
		if err := wholeFilters(sel.filters); err != nil {
			return nil, nil, err
		}
		match, err := containerFilter(ctx, e, sel.filters)
		if err != nil {
			return nil, nil, err
		}
		for _, c := range every {
			runs := c.State.Status == record.Running || c.State.Status == record.Paused || sel.resting && c.Restarting()
			if !sel.latest && (sel.running == yes && !runs || sel.running == no && runs) || !match(c) {
				continue
			}
			list, shown = append(list, c), append(shown, c.ID)
		}
		if sel.latest && len(list) > 1 {
			list, shown = list[len(list)-1:], shown[len(shown)-1:]
		}
		if sel.latest && len(list) == 0 {
			return nil, nil, errors.New("--latest: there are no containers")
		}
	}
	var errs []error
	for _, a := range args {
		c, err := e.Lookup(ctx, a)
		if errors.Is(err, libctr.ErrNoSuchContainer) && sel.ignore {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list, shown = append(list, c), append(shown, a)
	}
	return list, shown, joinReported(errs)
}
