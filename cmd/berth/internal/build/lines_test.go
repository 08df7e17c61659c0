// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package build

import (
	"testing"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/cli/clitest"
	"go.podman.io/buildah/define"
)

// What the flags of build mean is tested in package build.
func TestLines(t *testing.T) {
	clitest.Lines(t, newPrune, map[string]clitest.Line[pruneOptions]{
		"":    {},
		"-af": {Options: pruneOptions{all: true, PruneOptions: cli.PruneOptions{Force: true}}},
		"x":   {Err: `unknown command "x" for "prune"`},
	})
	clitest.Lines(t, newCommit, map[string]clitest.Line[commitOptions]{
		"web":                      {Args: "web"},
		"web app:2":                {Options: commitOptions{CommitOptions: build.CommitOptions{Name: "app:2"}}, Args: "web app:2"},
		"-f docker web":            {Options: commitOptions{CommitOptions: build.CommitOptions{Format: define.Dockerv2ImageManifest}}, Args: "web"},
		"-f oci -q web":            {Options: commitOptions{CommitOptions: build.CommitOptions{Format: define.OCIv1ImageManifest}, quiet: true}, Args: "web"},
		"-c CMD=x -m text -a me w": {Options: commitOptions{CommitOptions: build.CommitOptions{Changes: []string{"CMD=x"}, Message: "text", Author: "me"}}, Args: "w"},
		"-ps --include-volumes w":  {Options: commitOptions{CommitOptions: build.CommitOptions{Pause: true, Squash: true, IncludeVolumes: true}}, Args: "w"},
		"--iidfile f w":            {Options: commitOptions{idFile: "f"}, Args: "w"},
		"--config f w":             {Options: commitOptions{config: "f"}, Args: "w"},
		"-f tar web":               {Err: `--format "tar": must be oci or docker`},
		"a b c":                    {Err: "accepts between 1 and 2 arg(s), received 3"},
	})
}
