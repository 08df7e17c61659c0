// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/journalctl"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/moby/sys/user"
)

// LogReader reads a container's log, wherever it is kept.
type LogReader interface {
	// Next returns the next entry, which is valid until the next call. The error is io.EOF at the end, and ctx.Err() if ctx ends.
	Next(ctx context.Context) (logfile.Entry, error)
	// Skipped counts lines that were damaged.
	Skipped() int
	Close() error
}

// Logs opens the container's log. opts says what of it; path, format and, to follow it, the container's end are filled
// in here; any number of logs can be followed at once. The error is fs.ErrNotExist where nothing was logged yet.
func (e *Engine) Logs(ctx context.Context, c *Container, opts logfile.ReadOptions) (LogReader, error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	switch cfg.Log.Driver {
	case "k8s-file", "json-file", record.Journald:
	default:
		return nil, hint.Add(fmt.Errorf("this container is using the '%s' log driver, cannot read logs: %w", cfg.Log.Driver, ErrNoLogs), "make it again with: %s k8s-file", field.Name("log-driver"))
	}
	if opts.Follow {
		e.follow(ctx, c, &opts)
	}
	if cfg.Log.Driver == record.Journald {
		return e.journal(c, opts)
	}
	opts.Path, opts.Format = cfg.Log.Path, logfile.Format(cfg.Log.Driver)
	opts.Pos = filepath.Join(c.RunDir, record.LogPosFile)
	return logfile.OpenReader(opts)
}

// follow has opts follow the log until the container has ended for good.
func (e *Engine) follow(ctx context.Context, c *Container, opts *logfile.ReadOptions) {
	running := c.State.Status.HasProcess()
	if !running && !c.Restarting() {
		opts.Follow = false
		return
	}
	done := make(chan struct{})
	opts.Done = done
	go func() {
		defer close(done)
		if _, err := e.waitForGood(ctx, c); err != nil && !errors.Is(err, context.Canceled) {
			e.log.Debug("wait for the container whose log is followed", "error", err)
		}
	}()
}

// journal opens the log of a container that writes to the journal.
func (e *Engine) journal(c *Container, opts logfile.ReadOptions) (LogReader, error) {
	uid, err := hostUID()
	if err != nil {
		return nil, err
	}
	if opts.Follow { // a journalctl that waits for the journal does not see that nobody reads what it finds
		if err := Leash(e.opts.Program); err != nil {
			return nil, err
		}
	}
	r, err := journalctl.Open(journalctl.Options{ID: c.ID, UID: uid, ReadOptions: opts})
	if errors.Is(err, exec.ErrNotFound) {
		return nil, hint.Add(fmt.Errorf("the log is in systemd's journal: %w", err), "install journalctl (Debian's package systemd), or make the container again with: %s k8s-file", field.Name("log-driver"))
	}
	if err != nil {
		return nil, noAccess(err)
	}
	return journalReader{r}, nil
}

// journalReader adds the hints to a reader's errors.
type journalReader struct{ *journalctl.Reader }

func (r journalReader) Next(ctx context.Context) (logfile.Entry, error) {
	e, err := r.Reader.Next(ctx)
	return e, noAccess(err)
}

// noAccess tells what helps a user who may not read the journal.
func noAccess(err error) error {
	if !errors.Is(err, journalctl.ErrNoAccess) {
		return err
	}
	return hint.Add(err, "have journald keep its files (mkdir /var/log/journal), of which each user's own can be read, or become a member of the group systemd-journal")
}

// hostUID is the caller's ID as journald sees it, also in a user namespace.
func hostUID() (int, error) {
	maps, err := user.CurrentProcessUIDMap()
	if err != nil {
		return 0, err
	}
	uid := int64(os.Geteuid())
	for _, m := range maps {
		if uid >= m.ID && uid < m.ID+m.Count {
			return int(uid - m.ID + m.ParentID), nil
		}
	}
	return int(uid), nil
}
