// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/libctr/record"
)

// Logs opens the container's log. opts says what of it; path, format and, to follow it, the container's end are filled
// in here; any number of logs can be followed at once. The error is fs.ErrNotExist where nothing was logged yet.
func (e *Engine) Logs(ctx context.Context, c *Container, opts logfile.ReadOptions) (*logfile.Reader, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	switch cfg.Log.Driver {
	case "k8s-file", "json-file":
	default:
		return nil, hint.Add(fmt.Errorf("this container is using the '%s' log driver, cannot read logs: %w", cfg.Log.Driver, ErrNoLogs), "make it again with: %s k8s-file", field.Name("log-driver"))
	}
	opts.Path, opts.Format = cfg.Log.Path, logfile.Format(cfg.Log.Driver)
	opts.Pos = filepath.Join(c.RunDir, record.LogPosFile)
	if opts.Follow {
		running := c.State.Status.HasProcess()
		if !running && !c.Restarting() {
			opts.Follow = false
		} else {
			done := make(chan struct{})
			opts.Done = done
			go func() {
				defer close(done)
				if _, err := e.waitForGood(ctx, c); err != nil && !errors.Is(err, context.Canceled) {
					e.log.Debug("wait for the container whose log is followed", "error", err)
				}
			}()
		}
	}
	return logfile.OpenReader(opts)
}
