// SPDX-License-Identifier: Apache-2.0

package solve

import "context"

// Solve chooses one version of each part that in.Uses ask for, and of what those require. It
// prefers the locked version, then the highest, and looks at parts in the order of their names, so that equal
// inputs give equal results and messages. A yanked version is chosen only if it is locked, overridden
// or asked for by its digest.
//
// If there is no solution the error is a [*Failure]; other errors are those of src and ctx.
func Solve(ctx context.Context, src Source, in Input) (*Result, error) {
	k := newKnowledge(src, in)
	r, failed, err := k.solve(ctx)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, k.explain(ctx, failed)
	}
	return r, nil
}
