// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"testing"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/cli/clitest"
	"github.com/berth-containers/berth/libctr"
)

func TestLines(t *testing.T) {
	none := map[string]string{}
	made := libctr.VolumeOptions{Driver: "local", Labels: none, Options: none}
	id, three := uint32(7), 3*time.Second
	clitest.Lines(t, newCreate, map[string]clitest.Line[createOptions]{
		"":                           {Options: createOptions{volume: made}},
		"data":                       {Options: createOptions{volume: made}, Args: "data"},
		"-l a=1 -l b data":           {Options: createOptions{volume: libctr.VolumeOptions{Driver: "local", Labels: map[string]string{"a": "1", "b": ""}, Options: none}}, Args: "data"},
		"--ignore data":              {Options: createOptions{ignore: true, volume: made}, Args: "data"},
		"--label =x data":            {Err: `--label "=x": a name is missing in front of the value`},
		"a b":                        {Err: "accepts at most 1 arg(s), received 2"},
		"--driver x -o o=uid=1 data": {Options: createOptions{volume: libctr.VolumeOptions{Driver: "x", Labels: none, Options: map[string]string{"o": "uid=1"}}}, Args: "data"},
		"--uid 7 data":               {Options: createOptions{volume: libctr.VolumeOptions{Driver: "local", Labels: none, Options: none, UID: &id}}, Args: "data"},
	})
	clitest.Lines(t, newLs, map[string]clitest.Line[lsOptions]{
		"":                    {},
		"-qn":                 {Options: lsOptions{quiet: true, noHeading: true}},
		"-f name=a -f label":  {Options: lsOptions{filters: []string{"name=a", "label"}}},
		"--format {{.Name}}":  {Options: lsOptions{format: "{{.Name}}"}},
		"--filter=dangling=1": {Options: lsOptions{filters: []string{"dangling=1"}}},
	})
	clitest.Lines(t, newInspect, map[string]clitest.Line[inspectOptions]{
		"a b":     {Options: inspectOptions{format: "json"}, Args: "a b"},
		"-f {} a": {Options: inspectOptions{format: "{}"}, Args: "a"},
		"":        {Err: "volume inspect: give names of volumes, or --all"},
		"-a":      {Options: inspectOptions{format: "json", all: true}},
		"-a x":    {Err: "volume inspect: give names of volumes, or --all"},
	})
	clitest.Lines(t, newRm, map[string]clitest.Line[rmOptions]{
		"a b":    {Args: "a b"},
		"-fa":    {Options: rmOptions{RemoveVolumeOptions: libctr.RemoveVolumeOptions{Force: true}, all: true}},
		"-t 3 a": {Options: rmOptions{RemoveVolumeOptions: libctr.RemoveVolumeOptions{Force: true, Timeout: &three}}, Args: "a"},
		"-f":     {Err: "volume rm: give a volume's name"},
	})
	clitest.Lines(t, newPrune, map[string]clitest.Line[cli.PruneOptions]{
		"":                          {},
		"-f --filter anonymous=1":   {Options: cli.PruneOptions{Force: true, Filters: []string{"anonymous=1"}}},
		"--filter a=1 --filter b=2": {Options: cli.PruneOptions{Filters: []string{"a=1", "b=2"}}},
	})
	clitest.Lines(t, newStats, map[string]clitest.Line[statsOptions]{
		"":                                {Options: statsOptions{interval: 5 * time.Second}},
		"-i 2 --no-stream --no-reset a b": {Options: statsOptions{interval: 2 * time.Second, noStream: true, noReset: true}, Args: "a b"},
		"--format json":                   {Options: statsOptions{interval: 5 * time.Second, format: "json"}},
		"-i 0":                            {Err: "--interval 0: must be at least 1 second"},
	})
	clitest.Lines(t, newExport, map[string]clitest.Line[exportOptions]{
		"a":          {Args: "a"},
		"-o x.tar a": {Options: exportOptions{output: "x.tar"}, Args: "a"},
		"":           {Err: "accepts 1 arg(s), received 0"},
	})
}
