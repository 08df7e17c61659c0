// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/network"
	"github.com/spf13/cobra"
)

func newPortCmd(e *engineFlags) *cobra.Command {
	var all, latest bool
	cmd := &cobra.Command{
		Use:     "port [options] CONTAINER [PORT[/PROTOCOL]]",
		Short:   "Show the published ports of a container",
		Example: "berth port web 80",
		Args:    cobra.MaximumNArgs(2),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			sel := selection{all: all, latest: latest}
			want := ""
			if !all && !latest && len(args) == 2 {
				args, want = args[:1], args[1]
			} else if (all || latest) && len(args) == 1 {
				args, want = nil, args[0]
			}
			if !all && !latest && len(args) == 0 {
				return fmt.Errorf("port: give a container's name or ID")
			}
			list, _, err := sel.find(cmd.Context(), engine, args)
			if err != nil {
				return err
			}
			for _, c := range list {
				if all {
					fmt.Fprintln(cmd.OutOrStdout(), c.ID[:12])
				}
				if err := ports(cmd, c, want); err != nil {
					return err
				}
			}
			return nil
		}),
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "every container")
	cmd.Flags().BoolVarP(&latest, "latest", "l", false, "the container made last")
	return cmd
}

func ports(cmd *cobra.Command, c *libctr.Container, want string) error {
	number, proto, hasProto := strings.Cut(want, "/")
	found := false
	if want == "" {
		for _, line := range network.PortLines(c.State.Ports) {
			fmt.Fprintln(cmd.OutOrStdout(), line)
		}
		return nil
	}
	for _, p := range c.State.Ports {
		if number == fmt.Sprint(p.ContainerPort) && (!hasProto || proto == p.Protocol) {
			found = true
			fmt.Fprintln(cmd.OutOrStdout(), network.HostAddr(p))
		}
	}
	if !found {
		return fmt.Errorf("container %q publishes no port %s", c.State.Name, want)
	}
	return nil
}
