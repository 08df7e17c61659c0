// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

func newTopCmd(e *engineFlags) *cobra.Command {
	var latest bool
	cmd := &cobra.Command{
		Use:     "top [options] CONTAINER [COLUMN...]",
		Short:   "Show the processes of a container",
		Long:    "Show the processes of a container. The columns are podman's: " + strings.Join(libctr.TopColumns(), " ") + ".",
		Example: "berth top web\n  berth top web pid,user,args",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			names := args
			var columns []string
			if !latest {
				if len(args) == 0 {
					return fmt.Errorf("top: give a container's name or ID")
				}
				names, columns = args[:1], args[1:]
			} else {
				names, columns = nil, args
			}
			list, _, err := selection{latest: latest}.find(cmd.Context(), engine, names)
			if err != nil {
				return err
			}
			for i, w := range columns {
				columns[i] = strings.TrimPrefix(w, "-eo")
			}
			rows, err := engine.Top(list[0], strings.FieldsFunc(strings.Join(columns, ","), func(r rune) bool { return r == ',' || r == ' ' }))
			if err != nil {
				return wrapf(notRunningHint(err, list[0].State.Name), "top of container %q", list[0].State.Name)
			}
			return printColumns(cmd.OutOrStdout(), rows)
		}),
	}
	cmd.Flags().BoolVarP(&latest, "latest", "l", false, "the container made last")
	cmd.Flags().SetInterspersed(false)
	return cmd
}
