// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type mountOptions struct {
	sel     selectFlags
	format  string
	noTrunc bool
}

// NewMount returns the command `mount`.
func NewMount(g *cli.Global) *cobra.Command { return newMount(g, mount) }

func newMount(g *cli.Global, run cli.Run[*mountOptions]) *cobra.Command {
	var o mountOptions
	cmd := &cobra.Command{
		Use:   "mount [options] [CONTAINER...]",
		Short: "Mount the root file systems of containers, or list those that are mounted",
		Long: `Mounts the root file systems of containers, which need not run, and prints where; without a container it lists those that are mounted.
They stay so until unmount, or until the container is removed. Ordinary users mount in berth unshare, and the mounts end with that.`,
		Example: "berth mount web\n  berth mount --format json",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.sel.bindAll(f, "mount all containers")
	o.sel.bindLatest(f)
	f.StringVar(&o.format, "format", "", "output format of the list: json")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "do not truncate IDs in the list")
	f.BoolVar(&o.noTrunc, "notruncate", false, "the same, by an older name")
	_ = f.MarkHidden("notruncate")
	return cmd
}

func mount(ctx context.Context, call cli.Call, o *mountOptions) error {
	if o.format != "" && o.format != "json" {
		return fmt.Errorf("unknown --format argument: %q", o.format)
	}
	if err := call.NeedMounts(); err != nil {
		return err
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if len(call.Args) == 0 && o.sel.none() {
		return listMounts(ctx, e, call, o)
	}
	return o.sel.each(ctx, e, call, nil, func(c libctr.Selected) error {
		at, err := e.Mount(ctx, c.Container)
		if err == nil {
			fmt.Fprintln(call.Out, at)
		}
		return err
	})
}

// mountReport is a line of the list with --format json.
type mountReport struct {
	ID         string `json:"id"`
	Names      []string
	Mountpoint string `json:"mountpoint"`
}

func listMounts(ctx context.Context, e *libctr.Engine, call cli.Call, o *mountOptions) error {
	list, err := e.List(ctx)
	if err != nil {
		return err
	}
	reports := []mountReport{}
	for _, c := range list {
		if at := e.Mounted(c); at != "" {
			reports = append(reports, mountReport{c.ID, []string{c.State.Name}, at})
		}
	}
	if o.format == "json" {
		return console.JSON(call.Out, reports)
	}
	for _, r := range reports {
		id := r.ID
		if !o.noTrunc {
			id = id[:12]
		}
		fmt.Fprintf(call.Out, "%s  %s\n", id, r.Mountpoint)
	}
	return nil
}

type unmountOptions struct {
	sel   selectFlags
	force bool
}

// NewUnmount returns the command `unmount`.
func NewUnmount(g *cli.Global) *cobra.Command { return newUnmount(g, unmount) }

func newUnmount(g *cli.Global, run cli.Run[*unmountOptions]) *cobra.Command {
	var o unmountOptions
	cmd := &cobra.Command{
		Use:     "unmount [options] CONTAINER [CONTAINER...]",
		Aliases: []string{"umount"},
		Short:   "Undo mount",
		Long:    "Unmounts what mount has mounted of containers. A container that runs goes on, since it has a mount of its own.",
		Example: "berth unmount web",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.sel.bindAll(f, "unmount all containers that are mounted")
	f.BoolVarP(&o.force, "force", "f", false, "no error for a container that is not mounted")
	o.sel.bindLatest(f)
	return cmd
}

func unmount(ctx context.Context, call cli.Call, o *unmountOptions) error {
	if err := call.NeedMounts(); err != nil {
		return err
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	mounted := func(c *libctr.Container) bool { return e.Mounted(c) != "" }
	return o.sel.eachNamed(ctx, e, call, mounted, anyOrder, func(c *libctr.Container) error {
		err := e.Unmount(ctx, c)
		if errors.Is(err, libctr.ErrNotMounted) && (o.force || o.sel.all) {
			return nil
		}
		return err
	})
}
