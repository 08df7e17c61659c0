package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/internal/label"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

type psFlags struct {
	all, latest, noTrunc, quiet, noHeading, sync, namespace bool
	last                                                    int
	filters                                                 []string
	format, sort                                            string
	watch                                                   uint
}

func newPsCmd(e *engineFlags) *cobra.Command {
	var f psFlags
	cmd := &cobra.Command{
		Use:     "ps [options]",
		Short:   "List containers",
		Example: "berth ps -a\n  berth ps --format '{{.Names}} {{.Status}}'",
		Args:    cobra.NoArgs,
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, _ []string) error {
			for {
				if err := ps(cmd.Context(), engine, f, cmd.OutOrStdout()); err != nil || f.watch == 0 {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(time.Duration(f.watch) * time.Second):
				}
				if isTerminal(os.Stdout) {
					fmt.Fprint(cmd.OutOrStdout(), "\033[H\033[2J")
				}
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
	fs.BoolVar(&f.sync, "sync", false, "accepted for podman's sake: what is shown is always what the kernel says")
	fs.StringArrayVarP(&f.filters, "filter", "f", nil, "KEY=VALUE: id, name, status, label, ancestor, exited, health, network, volume, before, since, until, restart-policy (repeatable)")
	fs.StringVar(&f.format, "format", "", "json, or a Go template, with podman's fields")
	fs.StringVar(&f.sort, "sort", "created", "command, created, id, image, names, runningfor, status")
	fs.UintVarP(&f.watch, "watch", "w", 0, "repeat every so many seconds")
	return cmd
}

// psEntry is one container, with the fields that podman's --format knows.
type psEntry struct {
	c       *libctr.Container
	noTrunc bool
}

func (p psEntry) ID() string {
	if p.noTrunc {
		return p.c.ID
	}
	return p.c.ID[:12]
}
func (p psEntry) Names() string { return p.c.State.Name }
func (p psEntry) Image() string { return p.c.State.ImageName }
func (p psEntry) ImageID() string {
	if p.noTrunc || len(p.c.State.ImageID) < 12 {
		return p.c.State.ImageID
	}
	return p.c.State.ImageID[:12]
}
func (p psEntry) State() string        { return string(p.c.State.Status) }
func (p psEntry) Pid() int             { return p.c.State.Pid }
func (p psEntry) PID() int             { return p.c.State.Pid }
func (p psEntry) Exited() bool         { return p.c.State.Status == record.Exited }
func (p psEntry) ExitCode() int        { return p.c.State.ExitCode }
func (p psEntry) Restarts() uint       { return p.c.State.Restarts }
func (p psEntry) AutoRemove() bool     { return p.c.State.AutoRemove }
func (p psEntry) Networks() string     { return p.c.State.Network }
func (p psEntry) StartedAt() int64     { return p.c.State.StartedAt.Unix() }
func (p psEntry) ExitedAt() int64      { return p.c.State.FinishedAt.Unix() }
func (p psEntry) Created() string      { return units.HumanDuration(time.Since(p.c.State.Created)) + " ago" }
func (p psEntry) CreatedAt() string    { return p.c.State.Created.String() }
func (p psEntry) CreatedHuman() string { return p.Created() }
func (p psEntry) RunningFor() string   { return units.HumanDuration(time.Since(p.c.State.StartedAt)) }
func (p psEntry) IsInfra() bool        { return false }
func (p psEntry) Pod() string          { return "" }
func (p psEntry) PodName() string      { return "" }

// Labels can be shown whole and asked for one by one: {{.Label "x"}}.
func (p psEntry) Labels() map[string]string { return p.c.State.Labels }
func (p psEntry) Label(name string) string  { return p.c.State.Labels[name] }

func (p psEntry) Command() string {
	s := strings.Join(p.c.State.Command, " ")
	if p.noTrunc || len(s) <= 20 {
		return s
	}
	return s[:17] + "..."
}

func (p psEntry) Status() string {
	s := p.c.State
	switch s.Status {
	case record.Created:
		return "Created"
	case record.Exited:
		if s.FinishedAt.IsZero() {
			return fmt.Sprintf("Exited (%d)", s.ExitCode)
		}
		return fmt.Sprintf("Exited (%d) %s ago", s.ExitCode, units.HumanDuration(time.Since(s.FinishedAt)))
	}
	up := "Up " + units.HumanDuration(time.Since(s.StartedAt))
	if s.Status == record.Paused {
		return up + " (Paused)"
	}
	if s.Health != nil && s.Health.Status != "" {
		return up + " (" + s.Health.Status + ")"
	}
	return up
}

func (p psEntry) Ports() string { return network.PortColumn(p.c.State.Ports) }

func (p psEntry) namespace(kind string) string {
	if p.c.State.Pid == 0 {
		return ""
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.c.State.Pid, kind))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(link, kind+":["), "]")
}
func (p psEntry) CGROUPNS() string { return p.namespace("cgroup") }
func (p psEntry) IPC() string      { return p.namespace("ipc") }
func (p psEntry) MNT() string      { return p.namespace("mnt") }
func (p psEntry) NET() string      { return p.namespace("net") }
func (p psEntry) PIDNS() string    { return p.namespace("pid") }
func (p psEntry) USERNS() string   { return p.namespace("user") }
func (p psEntry) UTS() string      { return p.namespace("uts") }

// psJSON is podman's JSON for one container.
type psJSON struct {
	AutoRemove bool                 `json:"AutoRemove"`
	Command    []string             `json:"Command"`
	CreatedAt  string               `json:"CreatedAt"`
	Exited     bool                 `json:"Exited"`
	ExitedAt   int64                `json:"ExitedAt"`
	ExitCode   int                  `json:"ExitCode"`
	ID         string               `json:"Id"`
	Image      string               `json:"Image"`
	ImageID    string               `json:"ImageID"`
	IsInfra    bool                 `json:"IsInfra"`
	Labels     map[string]string    `json:"Labels"`
	Mounts     []string             `json:"Mounts"`
	Names      []string             `json:"Names"`
	Namespaces map[string]string    `json:"Namespaces"`
	Networks   []string             `json:"Networks"`
	Pid        int                  `json:"Pid"`
	Pod        string               `json:"Pod"`
	PodName    string               `json:"PodName"`
	Ports      []record.PortMapping `json:"Ports"`
	Restarts   uint                 `json:"Restarts"`
	Size       *struct{}            `json:"Size"`
	StartedAt  int64                `json:"StartedAt"`
	State      string               `json:"State"`
	Status     string               `json:"Status"`
	Created    int64                `json:"Created"`
}

func (p psEntry) json() psJSON {
	s := p.c.State
	j := psJSON{
		AutoRemove: s.AutoRemove, Command: s.Command, CreatedAt: p.Created(), Exited: p.Exited(), ExitedAt: s.FinishedAt.Unix(), ExitCode: s.ExitCode,
		ID: p.c.ID, Image: s.ImageName, ImageID: s.ImageID, Labels: s.Labels, Mounts: []string{}, Names: []string{s.Name}, Namespaces: map[string]string{},
		Networks: []string{}, Pid: s.Pid, Ports: s.Ports, Restarts: s.Restarts, StartedAt: s.StartedAt.Unix(), State: p.State(), Status: p.Status(), Created: s.Created.Unix(),
	}
	if cfg, err := p.c.Config(); err == nil {
		for _, m := range cfg.Mounts {
			j.Mounts = append(j.Mounts, m.Destination)
		}
	}
	return j
}

func ps(ctx context.Context, e *libctr.Engine, f psFlags, out io.Writer) error {
	list, err := psList(ctx, e, f)
	if err != nil {
		return err
	}
	entries := make([]psEntry, len(list))
	for i, c := range list {
		entries[i] = psEntry{c, f.noTrunc}
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
		enc := json.NewEncoder(out)
		enc.SetIndent("", "    ")
		return enc.Encode(all)
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
			rows = append(rows, []string{p.ID(), p.Image(), p.Command(), p.Created(), p.Status(), p.Ports(), p.Names()})
		}
		return printColumns(out, rows)
	}
	row := ""
	headers := map[string]string{"ID": "CONTAINER ID", "Created": "CREATED", "Pid": "PID", "PIDNS": "PIDNS"}
	origin := report.OriginPodman
	if f.namespace {
		row = "table {{.ID}}\t{{.Names}}\t{{.PID}}\t{{.CGROUPNS}}\t{{.IPC}}\t{{.MNT}}\t{{.NET}}\t{{.PIDNS}}\t{{.USERNS}}\t{{.UTS}}"
	}
	if f.format != "" {
		row, origin = f.format, report.OriginUser
	}
	t, err := report.New(out, "ps").Parse(origin, row)
	if err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	defer t.Flush()
	if t.RenderHeaders && !f.noHeading {
		if err := t.Execute([]map[string]string{psHeaders(headers)}); err != nil {
			return fmt.Errorf("--format: %w", err)
		}
	}
	return wrapf(t.Execute(entries), "--format")
}

func psHeaders(m map[string]string) map[string]string {
	for _, w := range []string{"Image", "ImageID", "Command", "Status", "Ports", "Names", "State", "Networks", "Labels", "RunningFor", "CreatedAt", "Restarts", "Mounts", "Size",
		"CGROUPNS", "IPC", "MNT", "NET", "USERNS", "UTS", "PID", "Pod", "PodName", "ExitCode", "Exited", "AutoRemove", "StartedAt", "ExitedAt", "IsInfra", "CreatedHuman"} {
		if m[w] == "" {
			m[w] = strings.ToUpper(w)
		}
	}
	return m
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
			return nil, err
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
