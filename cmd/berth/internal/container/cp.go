// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type cpOptions struct{ archive, overwrite bool }

// NewCp returns the command `cp`.
func NewCp(g *cli.Global) *cobra.Command { return newCp(g, cp) }

func newCp(g *cli.Global, run cli.Run[*cpOptions]) *cobra.Command {
	var o cpOptions
	cmd := &cobra.Command{
		Use:   "cp [options] [CONTAINER:]SRC_PATH [CONTAINER:]DEST_PATH",
		Short: "Copy files and directories between containers and the host",
		Long: "Copies a file, or a directory with all in it, between a container and the host, or between containers, running or not. Of SRC_PATH/.\n" +
			"what is in the directory is copied. In place of a path on the host, - is a tar archive on standard input or output.",
		Example: "berth cp site/. web:/usr/share/nginx/html\n  berth cp web:/etc/nginx/nginx.conf .\n  berth cp web:/var/log - >log.tar",
		Args:    cobra.ExactArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.BoolVarP(&o.archive, "archive", "a", true, "give what is copied into a container to the container's user; with --archive=false it keeps its owners")
	f.BoolVar(&o.overwrite, "overwrite", false, "put files in the place of directories, and directories in the place of files")
	for _, name := range []string{"extract", "pause"} {
		f.Bool(name, name == "pause", "no effect; accepted for compatibility")
		_ = f.MarkHidden(name)
	}
	return cmd
}

func cp(ctx context.Context, call cli.Call, o *cpOptions) error {
	fromName, from := splitEnd(call.Args[0])
	toName, to := splitEnd(call.Args[1])
	switch {
	case from.Path == "" || to.Path == "":
		return fmt.Errorf("invalid arguments %q, %q: you must specify paths", call.Args[0], call.Args[1])
	case fromName == "" && toName == "":
		return hint.Add(fmt.Errorf("invalid arguments %q, %q: you must specify one container", call.Args[0], call.Args[1]), "write CONTAINER:PATH for the one that is in a container")
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if from.Container, err = existing(ctx, e, fromName); err != nil {
		return err
	}
	if to.Container, err = existing(ctx, e, toName); err != nil {
		return err
	}
	if fromName == "" && from.Path == "-" {
		from.In = call.In
	}
	if toName == "" && to.Path == "-" {
		to.Out = console.AsIs(call.Out)
	}
	return e.Copy(ctx, from, to, libctr.CopyOptions{KeepOwner: !o.archive, Overwrite: o.overwrite})
}

// splitEnd parts the container's name from the path. What begins with a dot or a slash is a path on the host.
func splitEnd(arg string) (container string, end libctr.CopyEnd) {
	name, path, found := strings.Cut(arg, ":")
	if !found || strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "/") {
		return "", libctr.CopyEnd{Path: arg}
	}
	return name, libctr.CopyEnd{Path: path}
}

// existing looks a container up; nil for an empty name.
func existing(ctx context.Context, e *libctr.Engine, name string) (*libctr.Container, error) {
	if name == "" {
		return nil, nil
	}
	c, err := e.Lookup(ctx, name)
	if errors.Is(err, libctr.ErrNoSuchContainer) {
		err = hint.Add(fmt.Errorf("container %q does not exist", name), "list the containers with: %s", hint.To(hint.ListContainers))
	}
	return c, err
}
