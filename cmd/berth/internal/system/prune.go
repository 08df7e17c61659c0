// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/docker/go-units"
	"github.com/spf13/cobra"
)

type pruneOptions struct {
	cli.PruneOptions
	all, build, volumes, external bool
}

// NewPrune returns the command `system prune`.
func NewPrune(g *cli.Global) *cobra.Command { return newPrune(g, prune) }

func newPrune(g *cli.Global, run cli.Run[*pruneOptions]) *cobra.Command {
	var o pruneOptions
	cmd := &cobra.Command{
		Use:   "prune [options]",
		Short: "Remove what nothing uses",
		Long: "Removes stopped containers, then images without a name (with --all those that no container uses), with --build what builds keep,\n" +
			"and with --volumes the volumes that no container uses. Asks for confirmation first, unless --force is given.",
		Example: "berth system prune --all --force",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.external {
				return hint.Add(errors.New("--external is not supported: containers of other programs are left alone"), "have the program that made them remove them, as in: buildah rm --all")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all", "a", false, "remove all images that no container uses, not only those without a name")
	f.BoolVar(&o.build, "build", false, "remove what builds keep, too: with --all also the cache mounts")
	f.BoolVar(&o.volumes, "volumes", false, "remove the volumes that no container uses, too")
	f.BoolVar(&o.external, "external", false, "refused: containers of other programs are left alone")
	o.BindForce(f)
	o.BindFilter(f, []string{"label", "label!", "until"}, "remove only what matches: label=KEY[=VALUE], label!=KEY[=VALUE], until=TIME (repeatable)")
	return cmd
}

// warning says what will be removed.
func (o *pruneOptions) warning() string {
	what := []string{"all stopped containers"}
	if o.volumes {
		what = append(what, "all volumes that no container uses")
	}
	images := "all images without a name"
	if o.all {
		images = "all images that no container uses"
	}
	what = append(what, images)
	if o.build {
		what = append(what, "what builds keep")
	}
	text := "This will remove " + strings.Join(what, ", ")
	if len(o.Filters) > 0 {
		text += " (only those that match the filters)"
	}
	return text + "."
}

func prune(ctx context.Context, call cli.Call, o *pruneOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	// A filter that cannot be read ends it before anybody is asked.
	if err := libctr.CheckFilters(o.Filters); err != nil {
		return err
	}
	for _, f := range o.Filters {
		switch key, _, _ := strings.Cut(f, "="); strings.TrimSuffix(key, "!") {
		case "label", "until":
		default:
			return fmt.Errorf("--filter %q: unknown key %q: it is label, label! or until", f, key)
		}
	}
	if _, err := e.ContainerFilter(ctx, o.Filters); err != nil {
		return err
	}
	if ok, err := console.Confirm(call.In, call.Err, o.Force, o.warning()); !ok {
		return err
	}
	var freed int64
	var errs []error
	// part does one kind of things; its heading stands above the first.
	part := func(heading string, remove func(removed func(string)) error) {
		if ctx.Err() != nil {
			return
		}
		errs = append(errs, cli.Joined(remove(func(name string) {
			if heading != "" {
				fmt.Fprintln(call.Out, heading)
				heading = ""
			}
			fmt.Fprintln(call.Out, name)
		}))...)
	}
	part("Deleted Containers", func(removed func(string)) error {
		sizes := idleSizes(ctx, e)
		return e.PruneContainers(ctx, libctr.PruneOptions{Filters: o.Filters, Removed: func(id string) {
			freed += sizes[id]
			removed(id)
		}})
	})
	if o.volumes {
		part("Deleted Volumes", func(removed func(string)) error {
			return e.PruneVolumes(ctx, libctr.PruneOptions{Filters: o.Filters, Removed: removed})
		})
	}
	part("Deleted Images", func(removed func(string)) error {
		return library.Change(e, func(r *library.Runtime) error {
			images, errs := r.Prune(ctx, o.all, o.Filters)
			for _, img := range images {
				freed += img.Freed
				removed(img.ID)
			}
			return errors.Join(errs...)
		})
	})
	if o.build {
		part("", func(func(string)) error {
			n, err := build.PruneCache(e, o.all)
			freed += n
			return err
		})
	}
	fmt.Fprintf(call.Out, "Total reclaimed space: %s\n", units.HumanSize(float64(freed)))
	return cli.ReportAllButLast(errors.Join(append(errs, ctx.Err())...))
}

// idleSizes are the sizes of the layers of containers that do not run, by ID.
func idleSizes(ctx context.Context, e *libctr.Engine) map[string]int64 {
	sizes := map[string]int64{}
	list, _ := e.List(ctx) // pruning says what is wrong
	for _, c := range list {
		if own, _, err := e.Size(ctx, c); err == nil && !c.Active() {
			sizes[c.ID] = own
		}
	}
	return sizes
}
