// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"fmt"
)

// Cleanup removes what is left, besides its files, of a container that does not run: mounts, network and what the OCI runtime knows of it, which a
// monitor that was killed could not remove. One that Init has made is as it was before. The error wraps ErrRunning where the container runs, or waits to be restarted.
func (e *Engine) Cleanup(ctx context.Context, c *Container) error {
	return about("clean up", c, e.cleanup(ctx, c))
}

func (e *Engine) cleanup(ctx context.Context, c *Container) error {
	if err := e.needRunDir(c); err != nil {
		return err
	}
	lock, err := e.lockStopped(ctx, c, RemoveOptions{}) // which ends one that Init has made
	if err != nil {
		return err
	}
	defer lock.Close()
	cfg, err := c.Config()
	if err != nil {
		return err
	}
	if err := e.endAbandoned(ctx, cfg); err != nil {
		return err
	}
	if err := e.removeNetNS(c.ID, cfg); err != nil {
		return err
	}
	e.removeBinds(c.ID)
	if err := e.dropMounted(c.ID); err != nil {
		return fmt.Errorf("unmount it: %w", err)
	}
	e.event(c.State, "cleanup")
	return nil
}
