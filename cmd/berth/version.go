// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"strings"

	berthversion "github.com/berth-containers/berth/internal/version"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

func version() string { return berthversion.Version }

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
}

func ownVersion() versionInfo {
	return versionInfo{
		APIVersion: berthversion.Version, Version: berthversion.Version, GoVersion: runtime.Version(), GitCommit: berthversion.Commit,
		OsArch: runtime.GOOS + "/" + runtime.GOARCH, Os: runtime.GOOS,
	}
}

func newVersionCmd(_ *engineFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version [options]",
		Short:   "Print the version",
		Example: "berth version --format '{{.Client.Version}}'",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := ownVersion()
			out := cmd.OutOrStdout()
			if report.IsJSON(format) {
				return printJSON(out, map[string]versionInfo{"Client": v})
			}
			if format != "" {
				return printTemplate(out, "version", strings.TrimSuffix(format, "\n"), []any{struct{ Client, Server versionInfo }{v, v}}, nil)
			}
			rows := [][]string{{"Client:", "Berth"}, {"Version:", v.Version}, {"Go Version:", v.GoVersion}}
			if v.GitCommit != "" {
				rows = append(rows, []string{"Git Commit:", v.GitCommit})
			}
			return printColumns(out, append(rows, []string{"OS/Arch:", v.OsArch}))
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "json, or a Go template")
	return cmd
}
