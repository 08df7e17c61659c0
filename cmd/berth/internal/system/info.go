// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"
	"encoding/json"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

type infoOptions struct{ format string }

// NewInfo returns the command `info`.
func NewInfo(g *cli.Global) *cobra.Command { return newInfo(g, info) }

func newInfo(g *cli.Global, run cli.Run[*infoOptions]) *cobra.Command {
	var o infoOptions
	cmd := &cobra.Command{
		Use:     "info [options]",
		Short:   "Display system information",
		Example: "berth info --format '{{.Host.OCIRuntime.Name}}'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVarP(&o.format, "format", "f", "", "json, or a Go template with podman's fields")
	cli.Fields(cmd.Flags(), &libctr.Info{})
	return cmd
}

func info(ctx context.Context, call cli.Call, o *infoOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	info, err := e.Info(ctx)
	if err != nil {
		return err
	}
	info.Version.Version = call.Version()
	switch {
	case console.IsJSON(o.format):
		return console.JSON(call.Out, info)
	case o.format != "":
		return console.PrintTemplate(call.Out, "info", o.format, []any{info}, nil)
	}
	data, err := json.Marshal(info) // the names in YAML are those in JSON
	if err != nil {
		return err
	}
	var tree yaml.Node
	if err := yaml.Unmarshal(data, &tree); err != nil {
		return err
	}
	blockStyle(&tree)
	enc := yaml.NewEncoder(call.Out)
	enc.SetIndent(2)
	return enc.Encode(&tree)
}

// blockStyle has a tree read from JSON written as YAML is by hand.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		blockStyle(c)
	}
}
