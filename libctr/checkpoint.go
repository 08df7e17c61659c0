// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
)

// CheckpointOptions say how a container's processes are written down. The zero value ends the container, keeps the checkpoint with it, and
// refuses processes with open TCP connections or locked files.
type CheckpointOptions struct {
	LeaveRunning   bool // the container goes on
	TCPEstablished bool // also with TCP connections
	FileLocks      bool // also with locked files
	PreCheckpoint  bool // write only the memory, for a checkpoint with WithPrevious; the container goes on
	WithPrevious   bool // of the memory write only what has changed since the last PreCheckpoint
	Keep           bool // CRIU's log and statistics

	Export        io.Writer // gets an archive of the checkpoint, the container's changed files and its volumes; nil is none
	Compression   string    // of the archive: zstd (or empty), gzip, none
	IgnoreRootFS  bool      // leave its changed files out of the archive
	IgnoreVolumes bool      // leave its volumes out of the archive
}

// CheckpointReport is what a checkpoint or a restore took.
type CheckpointReport struct {
	RuntimeDuration time.Duration // of the OCI runtime's call
	CRIU            CRIUStatistics
}

// Checkpoint writes the processes of a running container into files, from which Restore starts it again, and ends them. Only root can do
// so, with CRIU installed and an OCI runtime that uses it; the error says what is missing. If it fails, the container runs on.
// A container with AutoRemove must be exported, and is removed then.
func (e *Engine) Checkpoint(ctx context.Context, c *Container, opts CheckpointOptions) (*CheckpointReport, error) {
	r, err := e.checkpoint(ctx, c, opts)
	return r, about("checkpoint", c, err)
}

func (e *Engine) checkpoint(ctx context.Context, c *Container, opts CheckpointOptions) (_ *CheckpointReport, err error) {
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	if err := e.needCRIU(ctx, "checkpointing", cfg.Runtime); err != nil {
		return nil, err
	}
	if err := checkpointable(c, cfg, &opts); err != nil {
		return nil, err
	}
	request := ctl.Checkpoint{PreDump: opts.PreCheckpoint, WithPrevious: opts.WithPrevious, LeaveRunning: opts.LeaveRunning,
		TCPEstablished: opts.TCPEstablished, FileLocks: opts.FileLocks, Keep: opts.Keep}
	if opts.PreCheckpoint || opts.WithPrevious {
		if err := needMemoryTracking(ctx); err != nil {
			return nil, err
		}
	}
	conn, err := e.connect(ctx, c)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	ev, files, err := call(ctx, conn, ctl.Request{Op: "checkpoint", Checkpoint: &request})
	if err != nil {
		return nil, err
	}
	for _, lock := range files { // until all is done here, nobody starts the container or removes it
		defer lock.Close()
	}
	if err := e.Refresh(c); err != nil {
		return nil, err
	}
	report := &CheckpointReport{RuntimeDuration: time.Duration(ev.Micros) * time.Microsecond}
	bundle := filepath.Join(c.Dir, record.BundleDir)
	if report.CRIU, err = readCRIUStatistics(filepath.Join(bundle, record.DumpStats)); err != nil {
		return nil, err
	}
	if opts.Export != nil {
		if err := e.exportCheckpoint(ctx, c, cfg, opts); err != nil {
			return nil, fmt.Errorf("export the checkpoint: %w", err)
		}
	}
	if !opts.Keep {
		if err := removeAllOf(bundle, record.DumpLog, record.DumpStats); err != nil {
			return nil, err
		}
	}
	if cfg.AutoRemove && len(files) > 0 {
		return report, e.removeDelegated(ctx, c)
	}
	return report, nil
}

// checkpointable refuses what podman refuses, and what would not come back.
func checkpointable(c *Container, cfg *record.Config, opts *CheckpointOptions) error {
	switch {
	case !c.Active() || c.State.Status != record.Running:
		if c.State.Status == record.Paused {
			return ErrPaused
		}
		return ErrNotRunning
	case cfg.AutoRemove && opts.Export == nil && !opts.LeaveRunning && !opts.PreCheckpoint:
		return field.Errorf("cannot checkpoint containers that have been started with '%s' unless '%s' is used", field.Name("rm"), field.Name("export"))
	case opts.WithPrevious && opts.PreCheckpoint:
		return field.Errorf("%s can not be used with %s", field.Name("with-previous"), field.Name("pre-checkpoint"))
	case cfg.Network.NetNS == "runtime" && len(cfg.Network.Attachments) > 0:
		return hint.Add(errors.New("a container with a user namespace and a network of its own cannot be restored"), "make it with %s none or host, or without %s", field.Name("network"), field.Name("userns"))
	case cfg.Rootfs.Memory != nil:
		return hint.Add(field.Errorf("it was made with %s memory, and what it has written would not be there for the processes that are restored", field.Name("storage")), "make it without")
	case !cfg.Runtime.Checkpoints:
		return hint.Add(errors.New("its OCI runtime could not checkpoint it when it was made"), "make it anew")
	case cfg.Log.Driver == "passthrough":
		return errors.New("its output is passed through to whoever has started it, who is not there when it is restored")
	}
	if opts.WithPrevious {
		if _, err := os.Stat(filepath.Join(c.Dir, record.BundleDir, record.PreCheckpointDir)); err != nil {
			return hint.Add(fmt.Errorf("there is no pre-checkpoint of it: %w", err), "make one first with: %s", hint.To(hint.PreCheckpointContainer, c.State.Name))
		}
	}
	return nil
}

// removeAllOf removes files of a directory, as far as they are there.
func removeAllOf(dir string, names ...string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// RestoreOptions say how a container is started from its checkpoint.
type RestoreOptions struct {
	TCPEstablished bool // with the TCP connections that it had
	TCPClose       bool // with them closed
	FileLocks      bool // with the locks of files that it had
	Keep           bool // the checkpoint, and CRIU's log and statistics

	took time.Duration // of the OCI runtime's call, afterwards
}

// request is what the monitor is told.
func (o *RestoreOptions) request() *ctl.Restore {
	if o == nil {
		return nil
	}
	return &ctl.Restore{TCPEstablished: o.TCPEstablished, TCPClose: o.TCPClose, FileLocks: o.FileLocks, Keep: o.Keep}
}

// Restore starts a container that does not run from its checkpoint, which is used up unless opts.Keep is set. The error wraps
// ErrInitialized where the container runs, and fs.ErrNotExist where it has no complete checkpoint.
func (e *Engine) Restore(ctx context.Context, c *Container, opts RestoreOptions) (*CheckpointReport, error) {
	r, err := e.restore(ctx, c, opts)
	return r, about("restore", c, err)
}

func (e *Engine) restore(ctx context.Context, c *Container, opts RestoreOptions) (*CheckpointReport, error) {
	if err := e.prepare(); err != nil {
		return nil, err
	}
	cfg, err := c.Config()
	if err != nil {
		return nil, err
	}
	if err := e.needCRIU(ctx, "restoring", cfg.Runtime); err != nil {
		return nil, err
	}
	if err := e.needRunDir(c); err != nil {
		return nil, err
	}
	lock, err := e.lockEnded(c)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	return e.restoreLocked(ctx, c, lock, opts)
}

// restoreLocked is Restore of a container whose lock the caller holds.
func (e *Engine) restoreLocked(ctx context.Context, c *Container, lock *os.File, opts RestoreOptions) (*CheckpointReport, error) {
	bundle := filepath.Join(c.Dir, record.BundleDir)
	if _, err := os.Stat(filepath.Join(bundle, record.CheckpointDir, "inventory.img")); err != nil {
		err = fmt.Errorf("a complete checkpoint for this container cannot be found, cannot restore: %w", err)
		return nil, hint.Add(err, "make one, while it runs, with: %s", hint.To(hint.CheckpointContainer, c.State.Name))
	}
	if _, err := e.startLocked(ctx, c, lock, StartOptions{restore: &opts}); err != nil {
		return nil, err
	}
	report := &CheckpointReport{RuntimeDuration: opts.took}
	stats, err := readCRIUStatistics(filepath.Join(bundle, record.RestoreStats))
	if err != nil {
		return nil, err
	}
	report.CRIU = stats
	if !opts.Keep {
		err = removeAllOf(bundle, record.RestoreLog, record.RestoreStats, record.DumpLog, record.DumpStats)
	}
	return report, err
}
