// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"os"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/build/confine"
	"github.com/berth-containers/berth/build/copier"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
)

// help does what this program was started for as a helper of its own, if it was; the libraries' are reexec's.
func help() bool {
	confine.Help(os.Args)
	return build.ReadUserFile(os.Args) || copier.Help(os.Args)
}

// leashed has what this program starts die with it: layers are unpacked, RUN runs and git fetches in processes of their own.
func leashed() error { return libctr.Leash("") }

// otherCommands are those that only this program has.
func otherCommands(f *engineFlags) ([]*cobra.Command, error) {
	return append(append(imageCommands(f), buildCommands(f)...), newSystemGroup(f), newPartialGroup(f)), nil
}

// pullImage fetches the image of a new container.
func pullImage(ctx context.Context, e *libctr.Engine, name string, opts image.PullOptions) (ids []string, err error) {
	err = withImages(e, func(r *library.Runtime) error {
		ids, err = r.Pull(ctx, name, opts)
		return err
	})
	return ids, err
}
