// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/berth-containers/berth/internal/label"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

type psFlags struct {
	all, latest, noTrunc, quiet, noHeading, sync, namespace, size bool
	last                                                          int
	filters                                                       []string
	format, sort                                                  string
	watch                                                         uint
}

func newPsCmd(e *engineFlags) *cobra.Command {
	var f psFlags
	cmd := &cobra.Command{
		Use:     "ps [options]",
		Short:   "List containers",
		Example: "berth ps -a\n  berth ps --format '{{.Names}} {{.Status}}'",
		Args:    cobra.NoArgs,
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, _ []string) error {
			if f.size && !rootless.Entered() && rootless.IsRootless() {
				return inUserNamespace(cmd.Root(), e.argv) // the files of a layer belong to IDs that are the user's only there
			}
			for {
				if err := ps(cmd.Context(), engine, f, cmd.OutOrStdout()); err != nil || f.watch == 0 {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(time.Duration(f.watch) * time.Second):
				}
				clearTerminal(cmd.OutOrStdout())
			}
		}),
	}
	fs := cmd.Flags()
	fs.BoolVarP(&f.all, "all", "a", false, "those that do not run too")
	fs.BoolVarP(&f.latest, "latest", "l", false, "the container made last")
	fs.IntVarP(&f.last, "last", "n", -1, "the N containers made last")
	fs.BoolVar(&f.noTrunc, "no-trunc", false, "show everything in full")
	fs.BoolVarP(&f.quiet, "quiet", "q", false, "IDs only")
	fs.BoolVar(&f.noHeading, "noheading", false, "no line with the columns' names")
	fs.BoolVar(&f.namespace, "ns", false, "show the init process and its namespaces")
	fs.BoolVarP(&f.size, "size", "s", false, "show how much the containers take")
	fs.BoolVar(&f.sync, "sync", false, "accepted for podman's sake: what is shown is always what the kernel says")
	fs.StringArrayVarP(&f.filters, "filter", "f", nil, "KEY=VALUE: id, name, status, label, ancestor, exited, health, network, volume, before, since, until, restart-policy (repeatable)")
	fs.StringVar(&f.format, "format", "", "json, or a Go template, with podman's fields")
	fs.StringVar(&f.sort, "sort", "created", "command, created, id, image, names, runningfor, status")
	fs.UintVarP(&f.watch, "watch", "w", 0, "repeat every so many seconds")
	return cmd
}

func ps(ctx context.Context, e *libctr.Engine, f psFlags, out io.Writer) error {
	list, err := psList(ctx, e, f)
	if err != nil {
		return err
	}
	entries := make([]psEntry, len(list))
	for i, c := range list {
		entries[i] = psEntry{c: c, noTrunc: f.noTrunc}
		if !f.size || f.quiet {
			continue
		}
		var size psSize
		if size.RwSize, size.RootFsSize, err = e.Size(ctx, c); err != nil {
			return err
		}
		entries[i].size = &size
	}
	switch {
	case f.quiet:
		var b strings.Builder
		for _, p := range entries {
			b.WriteString(p.ID() + "\n")
		}
		_, err := io.WriteString(out, b.String())
		return err
	case report.IsJSON(f.format):
		all := make([]psJSON, len(entries))
		for i, p := range entries {
			all[i] = p.json()
		}
		return printJSON(out, all)
	}
	return psTable(entries, f, out)
}

func psTable(entries []psEntry, f psFlags, out io.Writer) error {
	if f.format == "" && !f.namespace {
		// by hand: a template takes longer for a row than everything else
		rows := make([][]string, 0, len(entries)+1)
		if !f.noHeading {
			rows = append(rows, []string{"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"})
		}
		for _, p := range entries {
			rows = append(rows, []string{p.ID(), p.Image(), p.Command(), p.CreatedHuman(), p.Status(), p.Ports(), p.Names()})
		}
		if f.size {
			for i := range rows {
				size := "SIZE"
				if n := i - (len(rows) - len(entries)); n >= 0 {
					size = entries[n].Size()
				}
				rows[i] = append(rows[i], size)
			}
		}
		return printColumns(out, rows)
	}
	row := f.format
	if row == "" {
		row = "table {{.ID}}\t{{.Names}}\t{{.PID}}\t{{.CGROUPNS}}\t{{.IPC}}\t{{.MNT}}\t{{.NET}}\t{{.PIDNS}}\t{{.USERNS}}\t{{.UTS}}"
	}
	// A heading is made from the same row, and is no container that could be asked for a label.
	row = strings.ReplaceAll(row, ".Label \"", "label . \"")
	t, err := parseTemplate(out, "ps", row, template.FuncMap{"label": psLabel})
	if err != nil {
		return err
	}
	var headings map[string]string
	if !f.noHeading {
		headings = psHeaders()
	}
	return t.print(entries, headings)
}

// psLabel is the label of a container, or in the row of headings the last part of its name, as docker has it.
func psLabel(of any, name string) string {
	if p, ok := of.(psEntry); ok {
		return p.Label(name)
	}
	return strings.ToUpper(name[strings.LastIndexByte(name, '.')+1:])
}

// psHeaders are the headings of columns, each by the name of its field: in capitals, but for those that have another.
func psHeaders() map[string]string {
	headers := map[string]string{}
	t := reflect.TypeFor[psEntry]()
	for i := range t.NumMethod() {
		headers[t.Method(i).Name] = strings.ToUpper(t.Method(i).Name)
	}
	headers["ID"], headers["CreatedHuman"], headers["Created"] = "CONTAINER ID", "CREATED", "CREATED"
	return headers
}

func psList(ctx context.Context, e *libctr.Engine, f psFlags) ([]*libctr.Container, error) {
	match, err := containerFilter(ctx, e, f.filters)
	if err != nil {
		return nil, err
	}
	list, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	e.ReplaceMonitors(ctx, list)
	statusAsked := slices.ContainsFunc(f.filters, func(s string) bool { return strings.HasPrefix(s, "status=") || strings.HasPrefix(s, "exited=") })
	list = slices.DeleteFunc(list, func(c *libctr.Container) bool {
		idle := c.State.Status != record.Running && c.State.Status != record.Paused
		return !match(c) || idle && !f.all && !f.latest && f.last < 0 && !statusAsked
	})
	if f.latest {
		f.last = 1
	}
	if f.last >= 0 && len(list) > f.last {
		list = list[len(list)-f.last:]
	}
	key := map[string]func(a, b *libctr.Container) int{
		"created":    func(a, b *libctr.Container) int { return b.State.Created.Compare(a.State.Created) },
		"id":         func(a, b *libctr.Container) int { return strings.Compare(a.ID, b.ID) },
		"image":      func(a, b *libctr.Container) int { return strings.Compare(a.State.ImageName, b.State.ImageName) },
		"names":      func(a, b *libctr.Container) int { return strings.Compare(a.State.Name, b.State.Name) },
		"runningfor": func(a, b *libctr.Container) int { return a.State.StartedAt.Compare(b.State.StartedAt) },
		"status": func(a, b *libctr.Container) int {
			return strings.Compare(string(a.State.Status), string(b.State.Status))
		},
		"command": func(a, b *libctr.Container) int {
			return strings.Compare(strings.Join(a.State.Command, " "), strings.Join(b.State.Command, " "))
		},
	}[f.sort]
	if key == nil {
		return nil, fmt.Errorf("--sort %q: must be command, created, id, image, names, runningfor or status", f.sort)
	}
	slices.SortStableFunc(list, key)
	return list, nil
}

// containerFilter reads --filter: values of one key are alternatives, keys must all match; labels must all match.
func containerFilter(ctx context.Context, e *libctr.Engine, filters []string) (func(*libctr.Container) bool, error) {
	byKey := map[string][]func(*libctr.Container) bool{}
	for n, f := range filters {
		key, value, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("--filter %q: write KEY=VALUE", f)
		}
		one, err := oneFilter(ctx, e, key, value)
		if err != nil {
			return nil, fmt.Errorf("--filter %q: %w", f, err)
		}
		if key == "label" || key == "label!" {
			key += strconv.Itoa(n)
		}
		byKey[key] = append(byKey[key], one)
	}
	return func(c *libctr.Container) bool {
		for _, alternatives := range byKey {
			if !slices.ContainsFunc(alternatives, func(f func(*libctr.Container) bool) bool { return f(c) }) {
				return false
			}
		}
		return true
	}, nil
}

func oneFilter(ctx context.Context, e *libctr.Engine, key, value string) (func(*libctr.Container) bool, error) {
	switch key {
	case "id":
		return func(c *libctr.Container) bool { return strings.HasPrefix(c.ID, value) }, nil
	case "name":
		return nameFilter(value)
	case "status":
		want := record.Status(value)
		if value == "stopped" {
			want = record.Exited
		}
		if !slices.Contains([]record.Status{record.Created, record.Running, record.Paused, record.Exited}, want) {
			return nil, fmt.Errorf("status is created, running, paused, exited or stopped")
		}
		return func(c *libctr.Container) bool { return c.State.Status == want }, nil
	case "label", "label!":
		return func(c *libctr.Container) bool { return label.Match(c.State.Labels, value) == (key == "label") }, nil
	case "ancestor":
		id := ""
		if img, err := e.ImageView().Lookup(value, defaultLookup); err == nil {
			id = img.ID
		}
		return func(c *libctr.Container) bool {
			return c.State.ImageID == id && id != "" || strings.HasPrefix(c.State.ImageID, value) || strings.Contains(c.State.ImageName, value)
		}, nil
	case "exited":
		code, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("exited is an exit code")
		}
		return func(c *libctr.Container) bool { return c.State.Status == record.Exited && c.State.ExitCode == code }, nil
	case "health":
		if !slices.Contains([]string{"starting", "healthy", "unhealthy", "none"}, value) {
			return nil, fmt.Errorf("health is starting, healthy, unhealthy or none")
		}
		if value == "none" {
			return func(c *libctr.Container) bool { return c.State.Health == nil }, nil
		}
		return func(c *libctr.Container) bool { return c.State.Health != nil && c.State.Health.Status == value }, nil
	case "network":
		return func(c *libctr.Container) bool { return c.State.Network == value }, nil
	case "volume", "restart-policy":
		return func(c *libctr.Container) bool {
			cfg, err := c.Config()
			if err != nil {
				return false
			}
			if key == "restart-policy" {
				return cfg.Restart.Policy == value || value == "no" && cfg.Restart.Policy == ""
			}
			return slices.ContainsFunc(cfg.Mounts, func(m record.Mount) bool {
				src, dst, both := strings.Cut(value, ":")
				return (m.Name == src || m.Source == src || m.Destination == src) && (!both || m.Destination == dst)
			})
		}, nil
	case "before", "since":
		other, err := e.Lookup(ctx, value)
		if err != nil {
			return nil, fmt.Errorf("%v", err) // not the container that the command is for: its exit codes do not apply
		}
		return func(c *libctr.Container) bool {
			if key == "before" {
				return c.State.Created.Before(other.State.Created)
			}
			return c.State.Created.After(other.State.Created)
		}, nil
	case "until":
		t, err := parseTime(value)
		if err != nil {
			return nil, err
		}
		return func(c *libctr.Container) bool { return c.State.Created.Before(t) }, nil
	}
	return nil, fmt.Errorf("unknown key %q", key)
}
