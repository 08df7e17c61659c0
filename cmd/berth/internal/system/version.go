// SPDX-License-Identifier: Apache-2.0

package system

import (
	"context"
	"runtime"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	berthversion "github.com/berth-containers/berth/internal/version"
	"github.com/spf13/cobra"
)

// versionInfo has podman's fields.
type versionInfo struct {
	APIVersion string
	Version    string
	GoVersion  string
	GitCommit  string
	BuiltTime  string
	Built      int64
	OsArch     string
	Os         string

	BuildOrigin string `json:",omitempty"`
}

// versions are what a template is given.
type versions struct{ Client, Server versionInfo }

// ownVersion is what the program says that it is; see docs/decisions/0059.
func ownVersion(g *cli.Global) versionInfo {
	return versionInfo{
		APIVersion: berthversion.Podman, Version: g.Version(), BuildOrigin: "Berth " + berthversion.Version, GoVersion: runtime.Version(), GitCommit: berthversion.Commit,
		OsArch: runtime.GOOS + "/" + runtime.GOARCH, Os: runtime.GOOS,
	}
}

type versionOptions struct{ format string }

// NewVersion returns the command `version`.
func NewVersion(g *cli.Global) *cobra.Command { return newVersion(g, version) }

func newVersion(g *cli.Global, run cli.Run[*versionOptions]) *cobra.Command {
	var o versionOptions
	cmd := &cobra.Command{
		Use:     "version [options]",
		Short:   "Show the version",
		Example: "berth version --format '{{.Client.Version}}'",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	cmd.Flags().StringVarP(&o.format, "format", "f", "", "json, or a Go template")
	cli.Fields(cmd.Flags(), versions{})
	return cmd
}

func version(_ context.Context, call cli.Call, o *versionOptions) error {
	v := ownVersion(call.Global)
	if console.IsJSON(o.format) {
		return console.JSON(call.Out, map[string]versionInfo{"Client": v})
	}
	if o.format != "" {
		both := []versions{{v, v}}
		return console.PrintTemplate(call.Out, "version", strings.TrimSuffix(o.format, "\n"), both, nil)
	}
	rows := [][]string{{"Client:", "Berth"}, {"Version:", v.Version}, {"API Version:", v.APIVersion}, {"Go Version:", v.GoVersion}}
	if v.GitCommit != "" {
		rows = append(rows, []string{"Git Commit:", v.GitCommit})
	}
	return console.Columns(call.Out, append(rows, []string{"Build Origin:", v.BuildOrigin}, []string{"OS/Arch:", v.OsArch}))
}
