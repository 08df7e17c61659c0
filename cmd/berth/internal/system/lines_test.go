// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"
	"testing"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/cli/clitest"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/spf13/cobra"
)

func TestLines(t *testing.T) {
	clitest.Lines(t, newInfo, map[string]clitest.Line[infoOptions]{
		"":          {},
		"-f {{.}}":  {Options: infoOptions{format: "{{.}}"}},
		"something": {Err: `unknown command "something" for "info"`},
	})
	clitest.Lines(t, newVersion, map[string]clitest.Line[versionOptions]{
		"":              {},
		"--format json": {Options: versionOptions{format: "json"}},
	})
	clitest.Lines(t, newCheck, map[string]clitest.Line[checkOptions]{
		"":            {Options: checkOptions{max: layer.OldAge}},
		"-r":          {Options: checkOptions{repair: true, max: layer.OldAge}},
		"--quick -r":  {Options: checkOptions{repair: true, quick: true, max: layer.OldAge}},
		"-r -f -m 2h": {Options: checkOptions{repair: true, force: true, max: 2 * time.Hour}},
	})
	clitest.Lines(t, newMigrate, map[string]clitest.Line[migrateOptions]{
		"":                   {},
		"--new-runtime runc": {Options: migrateOptions{runtime: "runc"}},
	})
	clitest.Lines(t, newPrune, map[string]clitest.Line[pruneOptions]{
		"-a -f --volumes":           {Options: pruneOptions{PruneOptions: cli.PruneOptions{Force: true}, all: true, volumes: true}},
		"--build --filter until=1h": {Options: pruneOptions{PruneOptions: cli.PruneOptions{Filters: []string{"until=1h"}}, build: true}},
		"--external":                {Err: "--external is not supported: containers of other programs are left alone"},
	})
	clitest.Lines(t, newReset, map[string]clitest.Line[resetOptions]{
		"-f": {Options: resetOptions{force: true}},
		"x":  {Err: `unknown command "x" for "reset"`},
	})
	clitest.Lines(t, newDf, map[string]clitest.Line[dfOptions]{
		"":                 {},
		"-v":               {Options: dfOptions{verbose: true}},
		"--format json":    {Options: dfOptions{format: "json"}},
		"-v --format json": {Err: "--verbose and --format exclude each other"},
	})
}

func TestEventsLines(t *testing.T) {
	event := func(o libctr.EventOptions) eventsOptions { return eventsOptions{noTrunc: true, EventOptions: o} }
	clitest.Lines(t, newEvents, map[string]clitest.Line[eventsOptions]{
		"--stream=false": {Options: event(libctr.EventOptions{})},
		"--since 100":    {Options: event(libctr.EventOptions{Follow: true, Since: time.Unix(100, 0)})},
		"--since 100 --until 200 -f event=start -f type=container": {Options: event(libctr.EventOptions{
			Follow: true, Since: time.Unix(100, 0), Until: time.Unix(200, 0), Filters: []string{"event=start", "type=container"}})},
		"--stream=false --format json": {Options: eventsOptions{noTrunc: true, format: "json"}},
		"--until x":                    {Err: `--until: "x" is neither a duration (10m), seconds since 1970, nor a time (2026-11-21T12:00:00)`},
	})
	// Without --since only new events are shown, as in podman.
	began := time.Now()
	onlyNew := func(g *cli.Global, run cli.Run[*eventsOptions]) *cobra.Command {
		return newEvents(g, func(ctx context.Context, call cli.Call, o *eventsOptions) error {
			if o.Since.Before(began) || o.Since.After(time.Now()) {
				t.Errorf("without --since: from %v, want now", o.Since)
			}
			o.Since = time.Time{}
			return run(ctx, call, o)
		})
	}
	clitest.Lines(t, onlyNew, map[string]clitest.Line[eventsOptions]{"": {Options: event(libctr.EventOptions{Follow: true})}})
}
