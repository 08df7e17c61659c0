// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"strings"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

// imageCommands returns the commands on images, and the group `image` that has them all.
func imageCommands(f *engineFlags) []*cobra.Command {
	group := group("image", "Manage images",
		newBuildCmd(f), newPushCmd(f), named(newPartialExtractCmd(f), "containerfile"), newImageExistsCmd(f), newHistoryCmd(f), newImportCmd(f), newImageInspectCmd(f), newLoadCmd(f), named(newImagesCmd(f), "list", "ls"),
		newImagePruneCmd(f), newPullCmd(f), named(newRmiCmd(f), "rm"), newSaveCmd(f), newTagCmd(f), newImageTreeCmd(f), newUntagCmd(f))
	return []*cobra.Command{
		newPullCmd(f), newLoadCmd(f), newSaveCmd(f), newImportCmd(f), newTagCmd(f), newUntagCmd(f), newRmiCmd(f),
		newHistoryCmd(f), newLoginCmd(f), newLogoutCmd(f), group,
	}
}

// named gives a command another name for its place in a group.
func named(cmd *cobra.Command, name string, aliases ...string) *cobra.Command {
	_, rest, _ := strings.Cut(cmd.Use, " ")
	cmd.Use = name + " " + rest
	cmd.Aliases = aliases
	return cmd
}

// changeImages opens the store to be changed, lets work do it, and cleans up.
func changeImages(ctx context.Context, f *engineFlags, work func(*libctr.Engine, *library.Runtime) error) (err error) {
	e, err := f.open(ctx)
	if err != nil {
		return err
	}
	return withImages(e, func(r *library.Runtime) error { return work(e, r) })
}

// withImages lets work change the engine's images, and cleans up.
func withImages(e *libctr.Engine, work func(*library.Runtime) error) (err error) {
	store, err := e.Store()
	if err != nil {
		return err
	}
	r, err := library.NewRuntime(store, e.SystemContext())
	if err != nil {
		return err
	}
	defer func() {
		if cerr := r.Close(); err == nil {
			err = cerr
		}
	}()
	return work(r)
}
