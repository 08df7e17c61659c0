// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/filter"
	"github.com/berth-containers/berth/internal/label"
	"github.com/berth-containers/berth/internal/when"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/record"
)

// ContainerFilter joins filters, each KEY=VALUE with podman's keys, to one condition on containers. Values of one key are
// alternatives, but for labels, which must all match; keys must all match. The keys are
//
//	id              the beginning of the ID
//	name            a regular expression that the name matches
//	status          created, initialized, running, paused, stopping, exited or stopped
//	exited          the exit code of a container that has exited
//	health          starting, healthy, unhealthy or none
//	label, label!   KEY or KEY=VALUE that it has, or does not have
//	command         the first word of its command
//	ancestor        its image: a name, the beginning of an ID, or a part of the name that it was made with
//	network         the network mode
//	volume          a volume's name, a source or a destination, or SOURCE:DESTINATION
//	restart-policy  no, on-failure, always or unless-stopped
//	before, since   a container that was made later, or earlier
//	should-start-on-boot  true or false: whether StartAtBoot starts it
//	until           a time that it was made before, as ParseTime reads it
//
// A filter that cannot be read is a FieldError of the field filter.
func (e *Engine) ContainerFilter(ctx context.Context, filters []string) (func(*Container) bool, error) {
	key := func(name string) filter.Key[*Container] { return e.containerFilter(ctx, name) }
	return filter.Parse(filters, filter.Known(ContainerFilterKeys(), key), "label", "label!")
}

// CheckFilters refuses filters without a value, for operations that change what passes: id= and name=, as a script with
// an empty variable writes them, pass everything. Selection and Prune do so themselves.
func CheckFilters(filters []string) error { return filter.CheckWhole(filters) }

// ParseTime reads a point in time as docker and podman do: how long ago it was (10m), seconds since 1970, or a date with
// or without a time (2026-11-21T12:00:00), in the local zone if it names none.
func ParseTime(s string) (time.Time, error) { return when.Parse(s, time.Now()) }

// ContainerFilterKeys are the keys of ContainerFilter.
func ContainerFilterKeys() []string {
	return []string{
		"ancestor", "before", "command", "exited", "health", "id", "label", "label!", "name", "network", "pod", "restart-policy", "should-start-on-boot", "since", "status", "until", "volume",
	}
}

type containerMatch = func(*Container) bool

// containerFilter returns how the values of a key are read; nil for a key that there is not.
func (e *Engine) containerFilter(ctx context.Context, key string) filter.Key[*Container] {
	// is makes a condition of one that compares with the value, which may be anything.
	is := func(test func(c *Container, value string) bool) filter.Key[*Container] {
		return func(value string) (containerMatch, error) {
			return func(c *Container) bool { return test(c, value) }, nil
		}
	}
	switch key {
	case "id":
		return is(func(c *Container, value string) bool { return strings.HasPrefix(c.ID, value) })
	case "name":
		return nameFilter
	case "status":
		return statusFilter
	case "exited":
		return exitedFilter
	case "health":
		return healthFilter
	case "label", "label!":
		return is(func(c *Container, value string) bool { return label.Match(c.State.Labels, value) == (key == "label") })
	case "ancestor":
		return e.ancestorFilter
	case "network":
		return is(func(c *Container, value string) bool {
			return slices.Contains(NetworkNames(c.State), value) || value == c.State.Network
		})
	case "volume":
		return is(hasMount)
	case "command":
		return is(func(c *Container, value string) bool { return len(c.State.Command) > 0 && c.State.Command[0] == value })
	case "should-start-on-boot":
		return bootFilter
	case "pod": // there are none yet
		return is(func(*Container, string) bool { return false })
	case "restart-policy":
		return is(hasRestartPolicy)
	case "before", "since":
		return func(value string) (containerMatch, error) { return e.ageFilter(ctx, key, value) }
	case "until":
		return func(value string) (containerMatch, error) {
			t, err := ParseTime(value)
			return func(c *Container) bool { return c.State.Created.Before(t) }, err
		}
	}
	return nil
}

func nameFilter(value string) (containerMatch, error) {
	re, err := regexp.Compile(value)
	if err != nil {
		return nil, err
	}
	return func(c *Container) bool { return re.MatchString(c.State.Name) || re.MatchString("/"+c.State.Name) }, nil
}

func statusFilter(value string) (containerMatch, error) {
	want := record.Status(value)
	switch value {
	case "stopped":
		want = record.Exited
	case "configured": // podman's other word
		want = record.Created
	case "removing", "unknown": // which no container of Berth's is
		return func(*Container) bool { return false }, nil
	}
	if !slices.Contains([]record.Status{record.Created, record.Initialized, record.Running, record.Paused, record.Stopping, record.Exited}, want) {
		return nil, errors.New("status is created, initialized, running, paused, stopping, exited or stopped")
	}
	return func(c *Container) bool { return c.State.Status == want }, nil
}

func exitedFilter(value string) (containerMatch, error) {
	code, err := strconv.Atoi(value)
	if err != nil {
		return nil, errors.New("exited is an exit code")
	}
	return func(c *Container) bool { return c.State.Status == record.Exited && c.State.ExitCode == code }, nil
}

func healthFilter(value string) (containerMatch, error) {
	switch value {
	case "starting", "healthy", "unhealthy":
		return func(c *Container) bool { return c.State.Health != nil && c.State.Health.Status == value }, nil
	case "none":
		return func(c *Container) bool { return c.State.Health == nil }, nil
	}
	return nil, errors.New("health is starting, healthy, unhealthy or none")
}

func bootFilter(value string) (containerMatch, error) {
	want, err := strconv.ParseBool(value)
	if err != nil {
		return nil, errors.New("should-start-on-boot is true or false")
	}
	return func(c *Container) bool { return c.startsAtBoot() == want }, nil
}

func (e *Engine) ancestorFilter(value string) (containerMatch, error) {
	id := ""
	if img, err := e.ImageView().Lookup(value, image.LookupOptions{}); err == nil {
		id = img.ID
	}
	return func(c *Container) bool {
		s := c.State
		return s.ImageID == id && id != "" || strings.HasPrefix(s.ImageID, value) || strings.Contains(s.ImageName, value)
	}, nil
}

func (e *Engine) ageFilter(ctx context.Context, key, value string) (containerMatch, error) {
	other, err := e.Lookup(ctx, value)
	if err != nil {
		return nil, fmt.Errorf("%v", err) // without its type: it is not the container that the operation is for
	}
	if key == "before" {
		return func(c *Container) bool { return c.State.Created.Before(other.State.Created) }, nil
	}
	return func(c *Container) bool { return c.State.Created.After(other.State.Created) }, nil
}

func hasMount(c *Container, value string) bool {
	cfg, err := c.Config()
	if err != nil {
		return false
	}
	src, dst, both := strings.Cut(value, ":")
	return slices.ContainsFunc(cfg.Mounts, func(m record.Mount) bool {
		return (m.Name == src || m.Source == src || m.Destination == src) && (!both || m.Destination == dst)
	})
}

func hasRestartPolicy(c *Container, value string) bool {
	cfg, err := c.Config()
	if err != nil {
		return false
	}
	return cfg.Restart.Policy == value || value == "no" && cfg.Restart.Policy == ""
}
