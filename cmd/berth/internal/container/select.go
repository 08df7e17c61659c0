// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/pflag"
)

// selectFlags say which containers a command works on, besides those that are named.
type selectFlags struct {
	all, latest, ignore bool
	filters             []string
	idFiles             []string // --cidfile
}

func (s *selectFlags) bindAll(f *pflag.FlagSet, usage string) {
	f.BoolVarP(&s.all, "all", "a", false, usage)
}

func (s *selectFlags) bindLatest(f *pflag.FlagSet) {
	f.BoolVarP(&s.latest, "latest", "l", false, "act on the most recently created container")
}

func (s *selectFlags) bindIgnore(f *pflag.FlagSet) {
	f.BoolVarP(&s.ignore, "ignore", "i", false, "ignore containers that do not exist")
}

func (s *selectFlags) bindIDFile(f *pflag.FlagSet) {
	f.StringArrayVar(&s.idFiles, "cidfile", nil, "read a container's ID from `FILE` (repeatable)")
}

func (s *selectFlags) bindFilter(f *pflag.FlagSet, short string) {
	f.StringArrayVarP(&s.filters, "filter", short, nil, "act on containers that match `KEY=VALUE`, as in ps (repeatable)")
	cli.FilterKeys(f, libctr.ContainerFilterKeys())
}

// none checks whether the flags select nothing.
func (s *selectFlags) none() bool {
	return !s.all && !s.latest && len(s.idFiles) == 0 && len(s.filters) == 0
}

// selection is what the flags and names say; where narrows it as libctr.Selection says.
func (s *selectFlags) selection(names []string, where func(*libctr.Container) bool) (libctr.Selection, error) {
	sel := libctr.Selection{Names: names, Ignore: s.ignore, All: s.all, Latest: s.latest, Filters: s.filters, Where: where}
	for _, path := range s.idFiles {
		data, err := os.ReadFile(path)
		switch {
		case err == nil:
			sel.Names = append(sel.Names, strings.TrimSpace(string(data)))
		case s.ignore && os.IsNotExist(err):
		default:
			return sel, fmt.Errorf("--cidfile: %w", err)
		}
	}
	return sel, nil
}

// one is the container that the names and the flags select, if it is just one.
func (s *selectFlags) one(ctx context.Context, e *libctr.Engine, names []string) (*libctr.Container, error) {
	sel, err := s.selection(names, nil)
	if err != nil {
		return nil, err
	}
	list, err := e.Select(ctx, sel)
	if err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, fmt.Errorf("give one container's name or ID, not %d", len(list))
	}
	return list[0].Container, nil
}

// selected finds the containers that the call and its flags select; errs are of those that are not found.
func (s *selectFlags) selected(ctx context.Context, e *libctr.Engine, call cli.Call, where func(*libctr.Container) bool) (list []libctr.Selected, errs []error, err error) {
	if len(call.Args) == 0 && s.none() {
		return nil, nil, fmt.Errorf("%s: you must provide at least one name or id", call.Name)
	}
	sel, err := s.selection(call.Args, where)
	if err != nil {
		return nil, nil, err
	}
	list, err = e.Select(ctx, sel)
	return list, cli.Joined(err), nil
}

// each runs do on each container that the call and its flags select. What fails does not keep the others from being done.
func (s *selectFlags) each(ctx context.Context, e *libctr.Engine, call cli.Call, where func(*libctr.Container) bool, do func(libctr.Selected) error) error {
	list, errs, err := s.selected(ctx, e, call, where)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := do(c); err != nil {
			if ctx.Err() != nil {
				return err
			}
			errs = append(errs, err)
		}
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}

// atOnce is how many containers a command works on at the same time. To stop one is mostly to wait.
const atOnce = 16

// order says which of the containers that a command works on come before others.
type order int

const (
	anyOrder        order = iota
	requiredFirst         // those that others depend on
	dependentsFirst       // those that depend on others
)

// eachNamed is each for several containers at the same time, but for those that have to wait for others. It prints the name as it was
// given of each that it is done with, in their order.
func (s *selectFlags) eachNamed(ctx context.Context, e *libctr.Engine, call cli.Call, where func(*libctr.Container) bool, o order, do func(*libctr.Container) error) error {
	list, errs, err := s.selected(ctx, e, call, where)
	if err != nil {
		return err
	}
	var interrupted error
	for i, t := range begin(ctx, list, o, do) {
		switch <-t.done; {
		case t.err == nil:
			fmt.Fprintln(call.Out, list[i].By)
		case ctx.Err() != nil:
			interrupted = t.err // those that are at work come to an end
		default:
			errs = append(errs, t.err)
		}
	}
	if interrupted != nil {
		return interrupted
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}

// task is what is done to one of several containers.
type task struct {
	waitsFor []*task
	done     chan struct{} // closed at its end
	err      error         // valid then
}

// begin begins to do what is to be done to each container, atOnce of them at the same time. When ctx has ended it begins no more.
func begin(ctx context.Context, list []libctr.Selected, o order, do func(*libctr.Container) error) []*task {
	tasks := make([]*task, len(list))
	byID := make(map[string]*task)
	for i, c := range list {
		tasks[i] = &task{done: make(chan struct{})}
		if before := byID[c.ID]; before != nil { // it was given twice
			tasks[i].waitsFor = append(tasks[i].waitsFor, before)
		}
		byID[c.ID] = tasks[i]
	}
	if o != anyOrder && len(list) > 1 {
		for i, c := range list {
			for _, id := range c.Requires() {
				other, t := byID[id], tasks[i]
				switch {
				case other == nil:
				case o == requiredFirst:
					t.waitsFor = append(t.waitsFor, other)
				default:
					other.waitsFor = append(other.waitsFor, t)
				}
			}
		}
	}
	free := make(chan struct{}, atOnce)
	for i, t := range tasks {
		go func() {
			defer close(t.done)
			for _, other := range t.waitsFor {
				<-other.done
			}
			free <- struct{}{}
			defer func() { <-free }()
			if t.err = ctx.Err(); t.err == nil {
				t.err = do(list[i].Container)
			}
		}()
	}
	return tasks
}

// Conditions for selectFlags.each.

func active(c *libctr.Container) bool { return c.Active() }

func inactive(c *libctr.Container) bool { return !c.Active() }

func activeOrRestarting(c *libctr.Container) bool {
	return c.Active() || c.Initialized() || c.Restarting()
}
