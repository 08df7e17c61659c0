// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package image

import (
	"context"
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

type rmiOptions struct {
	library.RemoveOptions
	all bool
}

// NewRmi returns the command `rmi`.
func NewRmi(g *cli.Global) *cobra.Command { return newRmi(g, withImages(rmi)) }

func newRmi(g *cli.Global, run cli.Run[*rmiOptions]) *cobra.Command {
	var o rmiOptions
	cmd := &cobra.Command{
		Use:   "rmi [options] IMAGE [IMAGE...]",
		Short: "Remove one or more images",
		Long: "Removes a name from an image, and the image itself if it has no other name.\n\n" +
			"Exit status: 1 if an image was not found, 2 if one is in use by a container, 125 for other errors.",
		Example: "berth rmi app\nberth rmi --force 4f1d2a",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.all && len(args) > 0:
				return errors.New("remove images: --all takes no image names")
			case !o.all && len(args) == 0:
				return errors.New("remove images: name one, or use --all")
			}
			o.Ignore = o.Ignore || o.Force // as in podman
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.all, "all", "a", false, "remove all images")
	f.BoolVarP(&o.Force, "force", "f", false, "remove the containers of an image too, and an image with several names by its ID; ignore images that do not exist")
	f.BoolVarP(&o.Ignore, "ignore", "i", false, "ignore images that do not exist")
	f.BoolVar(&o.NoPrune, "no-prune", false, "do not remove untagged parents")
	return cmd
}

func rmi(ctx context.Context, e *libctr.Engine, r *library.Runtime, call cli.Call, o *rmiOptions) error {
	o.RemoveContainers = func(imageID string) error { return removeContainersOf(ctx, e, imageID) }
	var removed []library.Removed
	var errs []error
	if o.all {
		removed, errs = r.RemoveAll(ctx, o.RemoveOptions)
	} else {
		removed, errs = r.Remove(ctx, call.Args, o.RemoveOptions)
	}
	for _, img := range removed {
		for _, name := range img.Untagged {
			fmt.Fprintln(call.Out, "Untagged: "+name)
		}
	}
	for _, img := range removed {
		if img.Deleted {
			if err := e.UnmountImage(img.ID); err != nil && !errors.Is(err, libctr.ErrNotMounted) {
				errs = append(errs, err)
			}
			fmt.Fprintln(call.Out, "Deleted: "+img.ID)
		}
	}
	return rmiError(errs)
}

// rmiError joins the errors; the exit codes are those of podman-rmi(1), "Exit Status".
func rmiError(errs []error) error {
	code, others := 0, false
	for _, err := range errs {
		switch {
		case errors.Is(err, image.ErrInUse):
			code = 2
		case !errors.Is(err, image.ErrNotFound):
			others = true
		case code == 0:
			code = 1
		}
	}
	switch err := errors.Join(errs...); {
	case err == nil:
		return nil
	case others:
		return err
	default:
		return &cli.ExitError{Code: code, Err: err}
	}
}

// removeContainersOf removes Berth's containers made from an image; what is left of others' the
// storage library removes.
func removeContainersOf(ctx context.Context, e *libctr.Engine, imageID string) error {
	all, err := e.List(ctx)
	if err != nil {
		return err
	}
	for _, c := range all {
		if c.State.ImageID != imageID {
			continue
		}
		if err := e.Remove(ctx, c, libctr.RemoveOptions{Force: true}); err != nil {
			return err
		}
	}
	return nil
}
