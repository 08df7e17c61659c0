// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

// rmiOptions are rmi's flags.
type rmiOptions struct {
	library.RemoveOptions
	all bool
}

func newRmiCmd(f *engineFlags) *cobra.Command {
	var o rmiOptions
	cmd := &cobra.Command{
		Use:   "rmi [options] IMAGE [IMAGE...]",
		Short: "Remove local images",
		Long: "Takes the name from an image, and removes the image if it has no other name.\n\n" +
			"Exit status: 1 if an image was not found, 2 if one is in use by a container, 125 for other failures.",
		Example: "berth rmi app\nberth rmi --force 4f1d2a",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.all && len(args) > 0:
				return errors.New("remove images: --all takes no image names")
			case !o.all && len(args) == 0:
				return errors.New("remove images: name one, or use --all")
			}
			o.Ignore = o.Ignore || o.Force // as in podman
			return changeImages(cmd.Context(), f, func(e *libctr.Engine, r *library.Runtime) error {
				o.RemoveContainers = func(imageID string) error { return removeContainersOf(cmd.Context(), e, imageID) }
				return rmi(cmd.Context(), r, args, o, cmd.OutOrStdout())
			})
		},
	}
	fl := cmd.Flags()
	fl.BoolVarP(&o.all, "all", "a", false, "remove every image")
	fl.BoolVarP(&o.Force, "force", "f", false, "remove containers that use an image, and images with several names by ID; do not mind if one does not exist")
	fl.BoolVarP(&o.Ignore, "ignore", "i", false, "do not mind if an image does not exist")
	fl.BoolVar(&o.NoPrune, "no-prune", false, "leave the untagged parents of what is removed")
	return cmd
}

func rmi(ctx context.Context, r *library.Runtime, names []string, o rmiOptions, out io.Writer) error {
	var removed []library.Removed
	var errs []error
	if o.all {
		removed, errs = r.RemoveAll(ctx, o.RemoveOptions)
	} else {
		removed, errs = r.Remove(ctx, names, o.RemoveOptions)
	}
	for _, img := range removed {
		for _, name := range img.Untagged {
			fmt.Fprintln(out, "Untagged: "+name)
		}
	}
	for _, img := range removed {
		if img.Deleted {
			fmt.Fprintln(out, "Deleted: "+img.ID)
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
		return &exitError{Code: code, Err: err}
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
