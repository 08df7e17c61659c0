// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
	buildahcli "go.podman.io/buildah/pkg/cli"
)

// commitFlags are commit's flags.
type commitFlags struct {
	build.CommitOptions
	format, iidFile string
	quiet           bool
}

func newCommitCmd(e *engineFlags) *cobra.Command {
	var o commitFlags
	cmd := &cobra.Command{
		Use:   "commit [options] CONTAINER [IMAGE]",
		Short: commitShort,
		Long: "Makes an image of a container's files and settings, running or not, and prints its ID. Volumes are not part of it. A\n" +
			"container that writes meanwhile may leave half-written files in the image, unless it is paused.",
		Example: "berth commit web app:2\n  berth commit --change 'CMD [\"nginx\"]' --message 'add pages' web app:2",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.format != "" {
				if o.Format, err = buildahcli.GetFormat(o.format); err != nil {
					return fmt.Errorf("--format %q: must be oci or docker", o.format)
				}
			}
			if len(args) == 2 {
				o.Name = args[1]
			}
			engine, err := e.open(cmd.Context())
			if err != nil {
				return err
			}
			return commit(cmd, engine, args[0], o, cmd.OutOrStdout())
		},
	}
	fl := cmd.Flags()
	fl.StringVarP(&o.Author, "author", "a", "", "`NAME` of the image's author")
	fl.StringArrayVarP(&o.Changes, "change", "c", nil, "`INSTRUCTION` for the image's config: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR (repeatable)")
	fl.StringVarP(&o.format, "format", "f", "", "format of manifest and config: oci, or docker, which also keeps HEALTHCHECK, SHELL and ONBUILD (default: docker for an image with one of them, else oci)")
	fl.StringVar(&o.iidFile, "iidfile", "", "`FILE` to write the image's ID to")
	fl.BoolVar(&o.IncludeVolumes, "include-volumes", false, "list the places of the container's volumes as VOLUMEs of the image")
	fl.StringVarP(&o.Message, "message", "m", "", "`TEXT` for the image's history")
	fl.BoolVarP(&o.Pause, "pause", "p", false, "pause the container meanwhile")
	fl.BoolVarP(&o.quiet, "quiet", "q", false, "show no progress")
	fl.BoolVarP(&o.Squash, "squash", "s", false, "make one layer of all")
	return cmd
}

func commit(cmd *cobra.Command, e *libctr.Engine, name string, o commitFlags, out io.Writer) (err error) {
	ctx := cmd.Context()
	c, err := e.Lookup(ctx, name)
	if err != nil {
		return err
	}
	s, err := build.Begin(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.End()) }()
	o.Progress = progress(o.quiet)
	id, err := s.Commit(ctx, c, o.CommitOptions)
	if err != nil {
		return err
	}
	if o.iidFile != "" {
		if err := os.WriteFile(o.iidFile, []byte(id), 0o644); err != nil {
			return fmt.Errorf("--iidfile: %w; the image's ID is %s", err, id)
		}
	}
	fmt.Fprintln(out, id)
	return nil
}
