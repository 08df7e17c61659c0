// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/cmd/berth/internal/container"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/spf13/cobra"
	buildahcli "go.podman.io/buildah/pkg/cli"
	"go.podman.io/image/v5/manifest"
)

type commitOptions struct {
	build.CommitOptions
	idFile string
	config string // file
	quiet  bool
}

// NewCommit returns the command `commit`.
func NewCommit(g *cli.Global) *cobra.Command { return newCommit(g, commit) }

func newCommit(g *cli.Global, run cli.Run[*commitOptions]) *cobra.Command {
	var o commitOptions
	var format string
	cmd := &cobra.Command{
		Use:   "commit [options] CONTAINER [IMAGE]",
		Short: container.CommitShort,
		Long: "Creates an image from a container's files and settings, running or not, and prints its ID. Volumes are not part of it. A\n" +
			"container that writes meanwhile may leave half-written files in the image, unless it is paused.",
		Example: "berth commit web app:2\n  berth commit --config config.json web app:2\n  berth commit --change 'CMD [\"nginx\"]' --message 'add pages' web app:2",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if format != "" {
				if o.Format, err = buildahcli.GetFormat(format); err != nil {
					return fmt.Errorf("--format %q: must be oci or docker", format)
				}
			}
			if len(args) == 2 {
				o.Name = args[1]
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.Author, "author", "a", "", "`NAME` of the image's author")
	f.StringArrayVarP(&o.Changes, "change", "c", nil, "apply `INSTRUCTION` to the image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME, WORKDIR (repeatable)")
	f.StringVar(&o.config, "config", "", "merge the container configuration in `FILE`, JSON as in an image's config, into the image's")
	f.StringVarP(&format, "format", "f", "", "format of manifest and config: oci, or docker, which also keeps HEALTHCHECK, SHELL and ONBUILD (default: docker for an image with one of them, else oci)")
	f.StringVar(&o.idFile, "iidfile", "", "write the image ID to `FILE`")
	f.BoolVar(&o.IncludeVolumes, "include-volumes", false, "list the container's volumes as VOLUMEs of the image")
	f.StringVarP(&o.Message, "message", "m", "", "`TEXT` for the image's history")
	f.BoolVarP(&o.Pause, "pause", "p", false, "pause the container during the commit")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "do not show progress")
	f.BoolVarP(&o.Squash, "squash", "s", false, "squash all layers into one")
	return cmd
}

// readConfig reads the file of --config.
func readConfig(path string) (*manifest.Schema2Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--config: %w", err)
	}
	c := new(manifest.Schema2Config)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, hint.Add(fmt.Errorf("--config %s: parsing configuration: %w", path, err), `it is an object with fields such as {"Cmd": ["sh"], "Env": ["A=b"], "User": "web"}`)
	}
	return c, nil
}

func commit(ctx context.Context, call cli.Call, o *commitOptions) (err error) {
	if o.config != "" {
		if o.Config, err = readConfig(o.config); err != nil {
			return err
		}
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	s, err := build.Begin(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.End()) }()
	o.Progress = console.Progress(o.quiet)
	id, err := s.Commit(ctx, c, o.CommitOptions)
	if err != nil {
		return err
	}
	if o.idFile != "" {
		if err := os.WriteFile(o.idFile, []byte(id), 0o644); err != nil {
			return fmt.Errorf("--iidfile: %w; the image's ID is %s", err, id)
		}
	}
	fmt.Fprintln(call.Out, id)
	return nil
}
