// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/berth-containers/berth/internal/field"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/hooks"
)

// addHooks adds the OCI hooks of the host that are for this container (oci-hooks(5)). A directory of containers.conf need not be there.
func (e *Engine) addHooks(ctx context.Context, m *making, s *specs.Spec) error {
	dirs := e.opts.HooksDirs
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err != nil {
			return field.Errorf("%s: %w", field.Name("hooks-dir"), err)
		}
	}
	if dirs == nil {
		conf, err := e.conf()
		if err != nil {
			return err
		}
		for _, dir := range conf.Engine.HooksDir.Get() {
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				dirs = append(dirs, dir)
			}
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	manager, err := hooks.New(ctx, dirs, nil)
	if err != nil {
		return fmt.Errorf("read the OCI hooks: %w", err)
	}
	_, err = manager.Hooks(s, s.Annotations, len(m.cfg.Binds) > 0)
	return err
}
