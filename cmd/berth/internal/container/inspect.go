// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type inspectOptions struct {
	format string
	kind   string // all, container, image or volume
	latest bool
	size   bool

	commandIndex int // of the command's word in the program's arguments
}

// NewInspect returns the command `inspect`, which shows containers and images.
func NewInspect(g *cli.Global) *cobra.Command { return newInspect(g, inspect) }

func newInspect(g *cli.Global, run cli.Run[*inspectOptions]) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:     "inspect [options] CONTAINER|IMAGE [CONTAINER|IMAGE...]",
		Short:   "Display the configuration of containers or images",
		Example: "berth inspect --format '{{.State.Status}}' web",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch o.kind {
			case "all", "container", "image", "volume":
			default:
				return fmt.Errorf("--type %q: must be all, container, image or volume", o.kind)
			}
			o.commandIndex = cli.CommandIndex(cmd.Root(), g.Argv)
			if o.kind == "image" || o.kind == "volume" {
				if o.latest || o.size {
					return fmt.Errorf("--latest and --size are not supported for type %q", o.kind)
				}
			}
			if err := o.check(args); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.format, "format", "f", "json", "json, or a Go template")
	cli.Fields(f, &libctr.InspectData{}, &image.Data{})
	f.StringVarP(&o.kind, "type", "t", "all", "what to look for: all, container, image or volume")
	o.bindContainers(f)
	return cmd
}

// bindContainers adds the flags that are for containers.
func (o *inspectOptions) bindContainers(f *pflag.FlagSet) {
	f.BoolVarP(&o.latest, "latest", "l", false, "act on the most recently created container")
	f.BoolVarP(&o.size, "size", "s", false, "show how much the container's files take")
}

func (o *inspectOptions) check(args []string) error {
	switch {
	case o.latest && len(args) > 0:
		return errors.New("--latest and arguments cannot be used together")
	case len(args) == 0 && !o.latest:
		return errors.New("no names or ids specified")
	}
	return nil
}

// newInspectContainers is the command `container inspect`.
func newInspectContainers(g *cli.Global, run cli.Run[*inspectOptions]) *cobra.Command {
	o := inspectOptions{kind: "container"}
	cmd := &cobra.Command{
		Use:     "inspect [options] CONTAINER [CONTAINER...]",
		Short:   "Display the configuration of one or more containers",
		Example: "berth container inspect --format '{{.State.Pid}}' web",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.commandIndex = cli.CommandIndex(cmd.Root(), g.Argv)
			if err := o.check(args); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().StringVarP(&o.format, "format", "f", "json", "json, or a Go template")
	cli.Fields(cmd.Flags(), &libctr.InspectData{})
	o.bindContainers(cmd.Flags())
	return cmd
}

// inspect shows what is found, and then says what was not.
func inspect(ctx context.Context, call cli.Call, o *inspectOptions) error {
	if o.size && !rootless.Entered() && rootless.IsRootless() { // as for ps
		return inUserNamespace(o.commandIndex, call.Argv)
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	names := call.Args
	if o.latest {
		list, err := e.Select(ctx, libctr.Selection{Latest: true})
		if err != nil {
			return err
		}
		names = append(names, list[0].ID)
	}
	found := []any{}
	var errs []error
	for _, name := range names {
		data, err := inspectOne(ctx, e, name, o)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, data)
	}
	if err := console.Inspected(call.Out, found, o.format); err != nil {
		return err
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}

func inspectOne(ctx context.Context, e *libctr.Engine, name string, o *inspectOptions) (any, error) {
	kind := o.kind
	if kind == "all" || kind == "container" {
		c, err := e.Lookup(ctx, name)
		if err == nil {
			return inspectContainer(ctx, e, c, o.size)
		}
		if !errors.Is(err, libctr.ErrNoSuchContainer) {
			return nil, err
		}
		if kind == "container" {
			return nil, hint.With(fmt.Errorf("%w %s", libctr.ErrNoSuchContainer, name), hint.Of(err)) // as podman says it here
		}
	}
	if kind == "volume" {
		return e.Volume(name)
	}
	img, err := e.ImageView().Lookup(name, image.LookupOptions{})
	if err == nil {
		return img.Inspect()
	}
	if kind == "all" && (errors.Is(err, image.ErrNotFound) || errors.Is(err, image.ErrBadReference)) {
		if v, err := e.Volume(name); err == nil {
			return v, nil
		}
		return nil, fmt.Errorf("no such object: %q", name)
	}
	return nil, err
}

func inspectContainer(ctx context.Context, e *libctr.Engine, c *libctr.Container, size bool) (*libctr.InspectData, error) {
	d, err := e.Inspect(c)
	if err != nil || !size {
		return d, err
	}
	rw, whole, err := e.Size(ctx, c)
	if err != nil {
		return nil, err
	}
	d.SizeRw, d.SizeRootFs = &rw, whole
	return d, nil
}
