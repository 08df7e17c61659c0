// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"

	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
	"go.yaml.in/yaml/v3"
)

func newInfoCmd(e *engineFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "info [options]",
		Short:   "Show what Berth works on and with",
		Example: "berth info --format '{{.Host.OCIRuntime.Name}}'",
		Args:    cobra.NoArgs,
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, _ []string) error {
			info, err := engine.Info(cmd.Context())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case report.IsJSON(format):
				return printJSON(out, info)
			case format != "":
				return printTemplate(out, "info", format, []any{info}, nil)
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
			enc := yaml.NewEncoder(out)
			enc.SetIndent(2)
			return enc.Encode(&tree)
		}),
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "json, or a Go template with podman's fields")
	return cmd
}

// blockStyle has a tree read from JSON written as YAML is by hand.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		blockStyle(c)
	}
}
