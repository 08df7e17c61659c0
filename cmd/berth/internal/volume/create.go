// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

type createOptions struct {
	ignore bool
	volume libctr.VolumeOptions
}

// NewCreate returns the command `volume create`.
func NewCreate(g *cli.Global) *cobra.Command { return newCreate(g, create) }

func newCreate(g *cli.Global, run cli.Run[*createOptions]) *cobra.Command {
	var o createOptions
	var labels, opts []string
	var uid, gid uint32
	cmd := &cobra.Command{
		Use:   "create [options] [NAME]",
		Short: "Create a volume",
		Long: "Creates an empty volume. The first container that has it mounted over a directory of its image gives it that directory's\n" +
			"files, owner and mode; over a path that the image lacks, the container's user owns it.\n" +
			"A volume of the driver image has the files of the image that --opt image=NAME names. One of a volume plugin\n" +
			"is what the plugin makes of --opt; its socket is in [engine.volume_plugins] of containers.conf, or /run/docker/plugins/NAME.sock.",
		Example: "berth volume create data\n  berth volume create --driver image --opt image=nginx tools",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.volume.Labels, err = spec.ParseLabels("label", labels); err != nil {
				return err
			}
			if o.volume.Options, err = spec.ParseLabels("opt", opts); err != nil {
				return err
			}
			if cmd.Flags().Changed("uid") {
				o.volume.UID = &uid
			}
			if cmd.Flags().Changed("gid") {
				o.volume.GID = &gid
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVar(&o.ignore, "ignore", false, "do not fail if the volume exists")
	cmd.Flags().StringVarP(&o.volume.Driver, "driver", "d", "local", "volume driver: local, image, or the name of a volume plugin")
	cmd.Flags().Uint32Var(&gid, "gid", 0, "group that owns the volume (default the image's, or the first container's)")
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "set a label: NAME=VALUE (repeatable)")
	cmd.Flags().StringArrayVarP(&opts, "opt", "o", nil, "set an option: image=NAME of the driver image; type=, device=, o=OPTIONS as mount(8) has them; without a type o=uid=N,gid=N,size=N,inodes=N,nocopy (repeatable)")
	cmd.Flags().Uint32Var(&uid, "uid", 0, "user that owns the volume (default the image's, or the first container's)")
	return cmd
}

func create(ctx context.Context, call cli.Call, o *createOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	name := ""
	if len(call.Args) == 1 {
		name = call.Args[0]
	}
	v, err := e.CreateVolume(ctx, name, o.volume)
	if o.ignore && errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if err == nil {
		fmt.Fprintln(call.Out, v.Name)
	}
	return err
}
