// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
)

// buildProblems is what killed builds, pulls and loads have left besides layers, for system check. With repair it is removed.
func buildProblems(ctx context.Context, e *libctr.Engine, repair bool) ([]libctr.Problem, error) {
	found, err := build.Leftovers(ctx, e)
	if err != nil {
		return nil, err
	}
	var problems []libctr.Problem
	for _, l := range found {
		p := libctr.Problem{What: l.What}
		if repair {
			p.Err = l.Remove(ctx)
			p.Mended = p.Err == nil
		}
		problems = append(problems, p)
	}
	scratch, err := library.AbandonedScratch("")
	for _, dir := range scratch {
		p := libctr.Problem{What: "temporary files of a command that was killed: " + dir.Path}
		if repair {
			p.Err = dir.Remove()
			p.Mended = p.Err == nil
		}
		problems = append(problems, p)
	}
	return problems, err
}
