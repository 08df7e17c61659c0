// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
)

type mountOptions struct {
	all    bool
	format string
}

// NewMount returns the command `image mount`.
func NewMount(g *cli.Global) *cobra.Command { return newMount(g, mount) }

func newMount(g *cli.Global, run cli.Run[*mountOptions]) *cobra.Command {
	var o mountOptions
	cmd := &cobra.Command{
		Use:   "mount [options] [IMAGE...]",
		Short: "Mount the files of images, or list those that are mounted",
		Long: `Mounts the files of images read-only and prints where; without an image it lists those that are mounted. They stay so until image unmount, or until the image is
removed. Ordinary users mount in berth unshare, and the mounts end with that.`,
		Example: "berth image mount app\n  berth image mount --format json",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "mount all images")
	cmd.Flags().StringVar(&o.format, "format", "", "output format: json")
	return cmd
}

// mountReport is a mounted image with --format json.
type mountReport struct {
	ID           string `json:"id"`
	Names        []string
	Repositories []string
	Mountpoint   string `json:"mountpoint"`
}

func mount(ctx context.Context, call cli.Call, o *mountOptions) error {
	switch {
	case o.format != "" && o.format != "json":
		return fmt.Errorf("unknown --format argument: %q", o.format)
	case o.all && len(call.Args) > 0:
		return errors.New("cannot mix --all with images")
	}
	if err := call.NeedMounts(); err != nil {
		return err
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	list, errs := imagesOf(e, call.Args)
	reports := []mountReport{}
	for _, img := range list {
		at := e.MountedImage(img)
		if o.all || len(call.Args) > 0 {
			if at, err = e.MountImage(img); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if at != "" {
			reports = append(reports, mountReport{img.ID, img.Names, img.Tags(), at})
		}
	}
	if err := printMounts(call, o, reports); err != nil {
		return err
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}

// imagesOf are the images of these names, or all; the errors are of those that are not found.
func imagesOf(e *libctr.Engine, names []string) (list []*image.Image, errs []error) {
	view := e.ImageView()
	if len(names) == 0 {
		all, err := view.Images()
		if err != nil {
			return nil, []error{err}
		}
		for _, img := range all {
			if !img.IsManifestList() {
				list = append(list, img)
			}
		}
		return list, nil
	}
	for _, name := range names {
		img, err := lookup(view, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		list = append(list, img)
	}
	return list, errs
}

func printMounts(call cli.Call, o *mountOptions, reports []mountReport) error {
	if o.format == "json" {
		return console.JSON(call.Out, reports)
	}
	if len(call.Args) == 1 && len(reports) == 1 {
		_, err := fmt.Fprintln(call.Out, reports[0].Mountpoint)
		return err
	}
	var rows [][]string
	for _, r := range reports {
		name := r.ID
		if len(r.Names) > 0 {
			name = r.Names[0]
		}
		rows = append(rows, []string{name, r.Mountpoint})
	}
	return console.Columns(call.Out, rows)
}

type unmountOptions struct{ all, force bool }

// NewUnmount returns the command `image unmount`.
func NewUnmount(g *cli.Global) *cobra.Command { return newUnmount(g, unmount) }

func newUnmount(g *cli.Global, run cli.Run[*unmountOptions]) *cobra.Command {
	var o unmountOptions
	cmd := &cobra.Command{
		Use:     "unmount [options] IMAGE [IMAGE...]",
		Aliases: []string{"umount"},
		Short:   "Undo image mount",
		Long:    "Unmounts what image mount has mounted, and prints the images' IDs. An image that is not mounted is passed over.",
		Example: "berth image unmount app\n  berth image unmount --all",
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "unmount all images that are mounted")
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "no effect: unmount undoes a mount in any case; accepted for compatibility")
	return cmd
}

func unmount(ctx context.Context, call cli.Call, o *unmountOptions) error {
	switch {
	case o.all && len(call.Args) > 0:
		return errors.New("cannot mix --all with images")
	case !o.all && len(call.Args) == 0:
		return fmt.Errorf("%s: give an image's name or ID, or --all", call.Name)
	}
	if err := call.NeedMounts(); err != nil {
		return err
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	list, errs := imagesOf(e, call.Args)
	for _, img := range list {
		switch err := e.UnmountImage(img.ID); {
		case err == nil:
			fmt.Fprintln(call.Out, img.ID)
		case !errors.Is(err, libctr.ErrNotMounted):
			errs = append(errs, err)
		}
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}
