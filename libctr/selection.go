// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
)

// Active checks whether the container runs or is paused.
func (c *Container) Active() bool {
	return c.State.Status.Runs()
}

// Initialized checks whether Init has prepared the container, and nothing has started it yet.
func (c *Container) Initialized() bool { return c.State.Status == record.Initialized }

// Selection says which containers an operation is for. Those that All, Latest and Filters choose come first, the oldest
// first, then those of Names in their order. The zero value selects nothing.
type Selection struct {
	Names []string // names, IDs, or beginnings of IDs
	// Ignore has a name that no container has be passed over.
	Ignore bool

	All     bool     // every container
	Latest  bool     // the one that was made last
	Filters []string // every container that passes; see ContainerFilter. Each has to have a value.
	// Where narrows All and Filters, and neither Names nor Latest; nil is no condition.
	Where func(*Container) bool
}

// Selected is a container, with what it was selected by.
type Selected struct {
	*Container
	By string // the name as it was given, or the ID
}

// Select finds containers. What goes wrong with one name does not keep the others from being found: the errors of names
// come joined, beside those found, and wrap ErrNoSuchContainer or ErrAmbiguous. For any other error nothing is selected;
// that All, Names and Latest stand together, or that there is no container for Latest, is a FieldError.
func (e *Engine) Select(ctx context.Context, s Selection) ([]Selected, error) {
	switch {
	case s.All && s.Latest:
		return nil, field.Errorf("%s and %s cannot be used together", field.Name("all"), field.Name("latest"))
	case s.All && len(s.Names) > 0:
		return nil, field.Errorf("no arguments are needed with %s", field.Name("all"))
	case s.Latest && len(s.Names) > 0:
		return nil, field.Errorf("%s and containers cannot be used together", field.Name("latest"))
	}
	var found []Selected
	if s.All || s.Latest || len(s.Filters) > 0 {
		list, err := e.selectFrom(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, c := range list {
			found = append(found, Selected{c, c.ID})
		}
	}
	var errs []error
	for _, name := range s.Names {
		c, err := e.Lookup(ctx, name)
		switch {
		case err == nil:
			found = append(found, Selected{c, name})
		case s.Ignore && errors.Is(err, ErrNoSuchContainer):
		default:
			errs = append(errs, err)
		}
	}
	return found, errors.Join(errs...)
}

func (e *Engine) selectFrom(ctx context.Context, s Selection) ([]*Container, error) {
	if err := CheckFilters(s.Filters); err != nil {
		return nil, err
	}
	match, err := e.ContainerFilter(ctx, s.Filters)
	if err != nil {
		return nil, err
	}
	list, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(c *Container) bool {
		return !s.Latest && s.Where != nil && !s.Where(c) || !match(c)
	})
	if !s.Latest {
		return list, nil
	}
	if len(list) == 0 {
		return nil, field.Errorf("%s: there are no containers", field.Name("latest"))
	}
	return list[len(list)-1:], nil
}

// Query says which containers a listing shows, and in which order.
type Query struct {
	// All has those shown that are not active, too. Latest, Last, and filters of status and exited show them anyway.
	All     bool
	Latest  bool     // the one that was made last; Last is then 1
	Last    int      // only so many, those that were made last; 0 is no bound
	Filters []string // see ContainerFilter
	// Order is command, created (the newest first), id, image, names, pod, runningfor, size (of their own layers) or status; empty is created.
	Order string
}

// Query returns the containers that a listing shows. Monitors that were killed are replaced first (see ReplaceMonitors). A
// filter or an order that cannot be read is a FieldError.
func (e *Engine) Query(ctx context.Context, q Query) ([]*Container, error) {
	order, err := containerOrder(q.Order)
	if err != nil {
		return nil, err
	}
	match, err := e.ContainerFilter(ctx, q.Filters)
	if err != nil {
		return nil, err
	}
	list, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	e.ReplaceMonitors(ctx, list)
	list = q.choose(list, match, order)
	if q.Order == "size" {
		err = e.sortBySize(ctx, list)
	}
	return list, err
}

// sortBySize sorts containers by the size of their own layers. They keep it, for Size.
func (e *Engine) sortBySize(ctx context.Context, list []*Container) error {
	for _, c := range list {
		own, all, err := e.Size(ctx, c)
		if err != nil {
			return err
		}
		c.size = &containerSize{own, all}
	}
	slices.SortStableFunc(list, func(a, b *Container) int { return cmp.Compare(a.size.own, b.size.own) })
	return nil
}

// choose returns those of list, which has the oldest first, that are shown.
func (q Query) choose(list []*Container, match func(*Container) bool, order func(a, b *Container) int) []*Container {
	last := q.Last
	if q.Latest {
		last = 1
	}
	statusAsked := slices.ContainsFunc(q.Filters, func(s string) bool {
		return strings.HasPrefix(s, "status=") || strings.HasPrefix(s, "exited=")
	})
	idle := q.All || last > 0 || statusAsked
	list = slices.DeleteFunc(list, func(c *Container) bool { return !match(c) || !idle && !c.Active() })
	if last > 0 && len(list) > last {
		list = list[len(list)-last:]
	}
	slices.SortStableFunc(list, order)
	return list
}

// containerOrder returns the comparison of Query.Order.
func containerOrder(name string) (func(a, b *Container) int, error) {
	switch name {
	case "", "created", "size": // sortBySize
		return func(a, b *Container) int { return b.State.Created.Compare(a.State.Created) }, nil
	case "runningfor":
		return func(a, b *Container) int { return a.State.StartedAt.Compare(b.State.StartedAt) }, nil
	}
	text := map[string]func(*Container) string{
		"command": func(c *Container) string { return strings.Join(c.State.Command, " ") },
		"id":      func(c *Container) string { return c.ID },
		"image":   func(c *Container) string { return c.State.ImageName },
		"names":   func(c *Container) string { return c.State.Name },
		"pod":     func(*Container) string { return "" }, // there are none yet
		"status":  func(c *Container) string { return string(c.State.Status) },
	}[name]
	if text == nil {
		return nil, field.Errorf("%s %q: must be command, created, id, image, names, pod, runningfor, size or status", field.Name("sort"), name)
	}
	return func(a, b *Container) int { return cmp.Compare(text(a), text(b)) }, nil
}
