package libctr

import (
	"context"

	"github.com/berth-containers/berth/libctr/record"
)

// OCIRuntime is the runtime that the engine would start a container with: its program, its global arguments,
// and the version of the runtime-spec that it accepts. State is kept in root, not where the containers have theirs. It
// is for what runs beside containers, as the RUN instructions of a build do.
func (e *Engine) OCIRuntime(ctx context.Context, root string) (record.Runtime, string, error) {
	info, err := e.Runtime(ctx, "")
	if err != nil {
		return record.Runtime{}, "", err
	}
	cg, err := e.cgroups()
	if err != nil {
		return record.Runtime{}, "", err
	}
	r, err := e.runtimeRecord(info, cg)
	if err != nil {
		return record.Runtime{}, "", err
	}
	r.Args[1] = root // behind --root
	return r, info.SpecVersion, nil
}
