// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

type psOptions struct {
	libctr.Query
	noTrunc, quiet, noHeading, namespace, size, pod bool
	format                                          string
	watch                                           time.Duration // 0 is once
	commandIndex                                    int           // of the command's word in the program's arguments
}

// NewPs returns the command `ps`.
func NewPs(g *cli.Global) *cobra.Command { return newPs(g, ps) }

func newPs(g *cli.Global, run cli.Run[*psOptions]) *cobra.Command {
	var o psOptions
	var last int
	var watch uint
	var sync, external bool
	cmd := &cobra.Command{
		Use:     "ps [options]",
		Short:   "List containers",
		Example: "berth ps -a\n  berth ps --format '{{.Names}} {{.Status}}'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Last = max(last, 0)
			o.watch = time.Duration(watch) * time.Second
			o.commandIndex = cli.CommandIndex(cmd.Root(), g.Argv)
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.All, "all", "a", false, "show all containers, not only running ones")
	f.BoolVarP(&o.Latest, "latest", "l", false, "show the most recently created container")
	f.IntVarP(&last, "last", "n", -1, "show the `N` most recently created containers")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "do not truncate output")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print container IDs only")
	f.BoolVar(&o.noHeading, "noheading", false, "omit the header row")
	f.BoolVar(&o.namespace, "ns", false, "show the first process of each container and its namespaces")
	f.BoolVarP(&o.size, "size", "s", false, "show the containers' sizes")
	f.BoolVar(&external, "external", false, "no effect, since Berth shows only its own containers; accepted for compatibility")
	f.BoolVarP(&o.pod, "pod", "p", false, "show the ID and the name of the container's pod")
	f.BoolVar(&sync, "sync", false, "no effect; accepted for compatibility")
	f.StringArrayVarP(&o.Filters, "filter", "f", nil, "KEY=VALUE: id, name, status, label, ancestor, command, exited, health, network, pod, volume, before, since, until, restart-policy, should-start-on-boot (repeatable)")
	f.StringVar(&o.format, "format", "", "json, or a Go template with podman's fields")
	cli.FilterKeys(f, libctr.ContainerFilterKeys())
	cli.Fields(f, psEntry{})
	f.StringVar(&o.Order, "sort", "created", "sort by command, created, id, image, names, pod, runningfor, size or status")
	f.UintVarP(&watch, "watch", "w", 0, "repeat every `N` seconds")
	return cmd
}

func ps(ctx context.Context, call cli.Call, o *psOptions) error {
	// The files of a layer belong to IDs that are the user's only in the user namespace.
	if (o.size || o.Order == "size") && !rootless.Entered() && rootless.IsRootless() {
		return inUserNamespace(o.commandIndex, call.Argv)
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	for {
		if err := psOnce(ctx, e, o, call.Out); err != nil || o.watch == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(o.watch):
		}
		console.Clear(call.Out)
	}
}

func psOnce(ctx context.Context, e *libctr.Engine, o *psOptions, out io.Writer) error {
	list, err := e.Query(ctx, o.Query)
	if err != nil {
		return err
	}
	entries := make([]psEntry, len(list))
	for i, c := range list {
		entries[i] = psEntry{c: c, noTrunc: o.noTrunc}
		if o.Order != "size" && (!o.size || o.quiet) {
			continue
		}
		var size psSize
		if size.RwSize, size.RootFsSize, err = e.Size(ctx, c); err != nil {
			return err
		}
		entries[i].size = &size
	}
	switch {
	case o.quiet:
		var b strings.Builder
		for _, p := range entries {
			b.WriteString(p.ID() + "\n")
		}
		_, err := io.WriteString(out, b.String())
		return err
	case console.IsJSON(o.format):
		all := make([]psJSON, len(entries))
		for i, p := range entries {
			all[i] = p.json()
		}
		return console.JSON(out, all)
	}
	return psTable(entries, o, out)
}

func psTable(entries []psEntry, o *psOptions, out io.Writer) error {
	if o.format == "" && !o.namespace {
		// by hand: a template takes longer for a row than everything else
		rows := make([][]string, 0, len(entries)+1)
		if !o.noHeading {
			rows = append(rows, []string{"CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"})
		}
		for _, p := range entries {
			rows = append(rows, []string{p.ID(), p.Image(), p.Command(), p.CreatedHuman(), p.Status(), p.Ports(), p.Names()})
		}
		if o.pod {
			for i := range rows {
				cells := []string{"POD ID", "PODNAME"}
				if n := i - (len(rows) - len(entries)); n >= 0 {
					cells = []string{entries[n].Pod(), entries[n].PodName()}
				}
				rows[i] = append(rows[i], cells...)
			}
		}
		if o.size {
			for i := range rows {
				size := "SIZE"
				if n := i - (len(rows) - len(entries)); n >= 0 {
					size = entries[n].Size()
				}
				rows[i] = append(rows[i], size)
			}
		}
		return console.Columns(out, rows)
	}
	row := o.format
	if row == "" {
		row = "table {{.ID}}\t{{.Names}}\t{{.PID}}\t{{.CGROUPNS}}\t{{.IPC}}\t{{.MNT}}\t{{.NET}}\t{{.PIDNS}}\t{{.USERNS}}\t{{.UTS}}"
	}
	// A heading is made from the same row, and is no container that could be asked for a label.
	row = strings.ReplaceAll(row, ".Label \"", "label . \"")
	t, err := console.ParseTemplate(out, "ps", row, template.FuncMap{"label": psLabel})
	if err != nil {
		return err
	}
	var headings map[string]string
	if !o.noHeading {
		headings = psHeaders()
	}
	return t.Print(entries, headings)
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

// inUserNamespace runs this program with the same arguments again, in the user namespace; the command's word is argv[command].
func inUserNamespace(command int, argv []string) error {
	self, err := rootless.Executable()
	if err != nil {
		return err
	}
	leash.End()
	// The global flags say for unshare, too, which store is meant.
	again := slices.Concat(argv[:command], []string{"unshare", self}, argv[1:])
	return fmt.Errorf("run %s: %w", self, unix.Exec(self, again, os.Environ()))
}
