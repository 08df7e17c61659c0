//go:build !lean

package main

import (
	"context"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/libctr"
)

// buildProblems is what builds that were killed have left, for system check. With repair it is removed.
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
	return problems, nil
}
