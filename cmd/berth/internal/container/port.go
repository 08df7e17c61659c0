// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/network"
	"github.com/spf13/cobra"
)

type portOptions struct{ all, latest bool }

// NewPort returns the command `port`.
func NewPort(g *cli.Global) *cobra.Command { return newPort(g, port) }

func newPort(g *cli.Global, run cli.Run[*portOptions]) *cobra.Command {
	var o portOptions
	cmd := &cobra.Command{
		Use:     "port [options] CONTAINER [PORT[/PROTOCOL]]",
		Short:   "List the port mappings of a container",
		Example: "berth port web 80",
		Args:    cobra.MaximumNArgs(2),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().BoolVarP(&o.all, "all", "a", false, "show the ports of all containers")
	cmd.Flags().BoolVarP(&o.latest, "latest", "l", false, "act on the most recently created container")
	return cmd
}

func port(ctx context.Context, call cli.Call, o *portOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	names, want := call.Args, ""
	switch {
	case !o.all && !o.latest && len(names) == 0:
		return fmt.Errorf("port: give a container's name or ID")
	case !o.all && !o.latest && len(names) == 2:
		names, want = names[:1], names[1]
	case (o.all || o.latest) && len(names) == 1:
		names, want = nil, names[0]
	}
	list, err := e.Select(ctx, libctr.Selection{All: o.all, Latest: o.latest, Names: names})
	if err != nil {
		return cli.ReportAllButLast(err)
	}
	for _, c := range list {
		if o.all {
			fmt.Fprintln(call.Out, c.ID[:12])
		}
		if err := printPorts(call.Out, c.Container, want); err != nil {
			return err
		}
	}
	return nil
}

func printPorts(out io.Writer, c *libctr.Container, want string) error {
	if want == "" {
		for _, line := range network.PortLines(c.State.Ports) {
			fmt.Fprintln(out, line)
		}
		return nil
	}
	number, proto, hasProto := strings.Cut(want, "/")
	found := false
	for _, p := range c.State.Ports {
		if number == fmt.Sprint(p.ContainerPort) && (!hasProto || proto == p.Protocol) {
			found = true
			fmt.Fprintln(out, network.HostAddr(p))
		}
	}
	if !found {
		return fmt.Errorf("container %q publishes no port %s", c.State.Name, want)
	}
	return nil
}
