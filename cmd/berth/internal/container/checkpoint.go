// SPDX-License-Identifier: Apache-2.0

package container

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/libctr"
	"github.com/spf13/cobra"
)

type checkpointOptions struct {
	sel         selectFlags
	to          libctr.CheckpointOptions
	export      string // file
	createImage string // name
	printStats  bool
}

// NewCheckpoint returns the command `container checkpoint`.
func NewCheckpoint(g *cli.Global, image MakeImage) *cobra.Command {
	return newCheckpoint(g, func(ctx context.Context, call cli.Call, o *checkpointOptions) error {
		return checkpoint(ctx, call, o, image)
	})
}

func newCheckpoint(g *cli.Global, run cli.Run[*checkpointOptions]) *cobra.Command {
	var o checkpointOptions
	cmd := &cobra.Command{
		Use:   "checkpoint [options] CONTAINER [CONTAINER...]",
		Short: "Write the processes of containers down, and end them",
		Long: `Writes the processes of running containers into files, memory and all, and ends them; berth container restore starts them again where they were.
With --export, an archive gets that, the files that the container has changed and its volumes: another machine can restore from it. It has all
that was in the processes' memory, passwords included.

It needs root, CRIU, and an OCI runtime that uses it: runc, or a crun that is built with CRIU (Debian's is not).`,
		Example: "berth container checkpoint web\n  berth container checkpoint --export web.tar.zst --leave-running web\n  berth container checkpoint --create-image web-warm web",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd.Flags().Changed("compress"), args); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.sel.bindAll(f, "checkpoint all running containers")
	o.sel.bindLatest(f)
	f.StringVarP(&o.to.Compression, "compress", "c", "zstd", "pack the archive with `ALGORITHM`: gzip, none or zstd")
	f.StringVar(&o.createImage, "create-image", "", "make an image of the checkpoint, called `NAME`")
	f.StringVarP(&o.export, "export", "e", "", "write an archive of the checkpoint to `FILE`")
	f.BoolVar(&o.to.FileLocks, "file-locks", false, "checkpoint locked files, too")
	f.BoolVar(&o.to.IgnoreRootFS, "ignore-rootfs", false, "leave the container's changed files out of the archive")
	f.BoolVar(&o.to.IgnoreVolumes, "ignore-volumes", false, "leave the container's volumes out of the archive")
	f.BoolVarP(&o.to.Keep, "keep", "k", false, "keep CRIU's log and statistics")
	f.BoolVarP(&o.to.LeaveRunning, "leave-running", "R", false, "let the container go on")
	f.BoolVarP(&o.to.PreCheckpoint, "pre-checkpoint", "P", false, "write only the memory, and let the container go on: see --with-previous")
	f.BoolVar(&o.printStats, "print-stats", false, "print how long everything took, as JSON")
	f.BoolVar(&o.to.TCPEstablished, "tcp-established", false, "checkpoint TCP connections, too")
	f.BoolVar(&o.to.WithPrevious, "with-previous", false, "of the memory write only what has changed since the --pre-checkpoint")
	return cmd
}

// check refuses what makes no sense together, in podman's words where it has some.
func (o *checkpointOptions) check(compress bool, args []string) error {
	o.to.Compression = strings.ToLower(o.to.Compression)
	archive := o.export != "" || o.createImage != ""
	switch {
	case compress && o.export == "":
		return errors.New("--compress can only be used with --export")
	case o.to.Compression != "gzip" && o.to.Compression != "none" && o.to.Compression != "zstd":
		return fmt.Errorf("selected compression algorithm (%q) not supported. Please select one from: gzip, none, zstd", o.to.Compression)
	case !archive && o.to.IgnoreRootFS:
		return errors.New("--ignore-rootfs can only be used with --export")
	case !archive && o.to.IgnoreVolumes:
		return errors.New("--ignore-volumes can only be used with --export")
	case o.to.WithPrevious && o.to.PreCheckpoint:
		return errors.New("--with-previous can not be used with --pre-checkpoint")
	case o.export != "" && o.createImage != "":
		return errors.New("--create-image can not be used with --export")
	case o.createImage != "" && o.to.PreCheckpoint:
		return errors.New("--create-image can not be used with --pre-checkpoint")
	case archive && (o.sel.all || len(args) > 1):
		return errors.New("--export and --create-image take one container")
	}
	return nil
}

// statistics are what --print-stats prints. The names are podman's.
type statistics struct {
	CheckpointDuration int64            `json:"podman_checkpoint_duration,omitempty"` // microseconds
	RestoreDuration    int64            `json:"podman_restore_duration,omitempty"`
	Containers         []containerStats `json:"container_statistics"`
}

type containerStats struct {
	ID                 string                `json:"Id"`
	CheckpointDuration int64                 `json:"runtime_checkpoint_duration,omitempty"`
	RestoreDuration    int64                 `json:"runtime_restore_duration,omitempty"`
	CRIU               libctr.CRIUStatistics `json:"criu_statistics"`
}

func (s *statistics) print(out io.Writer) error {
	text, err := json.MarshalIndent(s, "", "    ")
	if err == nil {
		_, err = fmt.Fprintln(out, string(text))
	}
	return err
}

func checkpoint(ctx context.Context, call cli.Call, o *checkpointOptions, image MakeImage) error {
	began := time.Now()
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if e.Rootless() {
		return errors.New("checkpointing a container requires root")
	}
	var mu sync.Mutex // guards done
	var done []containerStats
	quiet := call
	if o.printStats {
		quiet.Out = io.Discard
	}
	err = o.sel.eachNamed(ctx, e, quiet, active, anyOrder, func(c *libctr.Container) error {
		report, err := o.checkpoint(ctx, e, c, image)
		if err != nil {
			return notRunningHint(err, c.State.Name)
		}
		mu.Lock()
		defer mu.Unlock()
		done = append(done, containerStats{ID: c.ID, CheckpointDuration: report.RuntimeDuration.Microseconds(), CRIU: report.CRIU})
		return nil
	})
	if !o.printStats || len(done) == 0 && err != nil {
		return err
	}
	s := statistics{CheckpointDuration: time.Since(began).Microseconds(), Containers: done}
	return errors.Join(err, s.print(call.Out))
}

func (o *checkpointOptions) checkpoint(ctx context.Context, e *libctr.Engine, c *libctr.Container, image MakeImage) (report *libctr.CheckpointReport, err error) {
	to := func(w io.Writer) error {
		opts := o.to
		opts.Export = w
		report, err = e.Checkpoint(ctx, c, opts)
		return err
	}
	switch {
	case o.export != "":
		err = atomicfile.Stream(o.export, 0o600, to)
	case o.createImage != "":
		o.to.Compression = "none"
		err = o.makeImage(ctx, e, c, to, image)
	default:
		return e.Checkpoint(ctx, c, o.to)
	}
	return report, err
}

// makeImage makes an image of the archive that to writes.
func (o *checkpointOptions) makeImage(ctx context.Context, e *libctr.Engine, c *libctr.Container, to func(io.Writer) error, image MakeImage) (err error) {
	dir, err := os.MkdirTemp(cmp.Or(os.Getenv("TMPDIR"), "/var/tmp"), "berth-checkpoint-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file := filepath.Join(dir, "checkpoint.tar")
	annotations, err := e.CheckpointAnnotations(c)
	if err != nil {
		return err
	}
	if err := atomicfile.Stream(file, 0o600, to); err != nil {
		return err
	}
	_, err = image(ctx, e, file, o.createImage, maps.Clone(annotations))
	return err
}
