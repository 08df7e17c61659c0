// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
)

type restoreOptions struct {
	sel        selectFlags
	from       libctr.ImportOptions
	archive    string // file
	previous   string // file
	pod        string
	staticIP   bool // ignore it
	staticMAC  bool // ignore it
	printStats bool
}

// NewRestore returns the command `container restore`.
func NewRestore(g *cli.Global) *cobra.Command { return newRestore(g, restore) }

func newRestore(g *cli.Global, run cli.Run[*restoreOptions]) *cobra.Command {
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore [options] CONTAINER|IMAGE [CONTAINER|IMAGE...]",
		Short: "Start containers from checkpoints",
		Long: `Starts containers where their processes were at their checkpoint. An IMAGE is one that berth container checkpoint --create-image has made; --import takes
the archive of --export. From both a new container is made, with the name and the ID of the one that was checkpointed unless --name is given.

An archive says what the processes are, and with which rights they run: restore only what you would run as root.`,
		Example: "berth container restore web\n  berth container restore --import web.tar.zst --name web2 --publish 8081:80\n  berth container restore web-warm",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(args); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.sel.bindAll(f, "restore all checkpointed containers")
	o.sel.bindLatest(f)
	f.BoolVar(&o.from.FileLocks, "file-locks", false, "restore the locks of files")
	f.BoolVar(&o.from.IgnoreRootFS, "ignore-rootfs", false, "leave the changed files in the archive out")
	f.BoolVar(&o.staticIP, "ignore-static-ip", false, "do not keep an address of --ip; no container has one, so this changes nothing")
	f.BoolVar(&o.staticMAC, "ignore-static-mac", false, "do not keep an address of --mac-address; no container has one, so this changes nothing")
	f.BoolVar(&o.from.IgnoreVolumes, "ignore-volumes", false, "leave the volumes in the archive out")
	f.StringVarP(&o.archive, "import", "i", "", "restore from the archive `FILE`")
	f.StringVar(&o.previous, "import-previous", "", "take the archive `FILE` of the --pre-checkpoint before it, too")
	f.BoolVarP(&o.from.Keep, "keep", "k", false, "keep the checkpoint, and CRIU's log and statistics")
	f.StringVarP(&o.from.Name, "name", "n", "", "`NAME` of the container that is made of an archive or an image")
	f.StringVar(&o.pod, "pod", "", "restore into the pod `NAME`: there are none, so this is refused")
	f.BoolVar(&o.printStats, "print-stats", false, "print how long everything took, as JSON")
	f.StringSliceVarP(&o.from.Publish, "publish", "p", nil, "publish `PORT`s, as with run, in place of those that it published (repeatable)")
	f.BoolVar(&o.from.TCPClose, "tcp-close", false, "restore with TCP connections closed")
	f.BoolVar(&o.from.TCPEstablished, "tcp-established", false, "restore TCP connections")
	return cmd
}

// check refuses what makes no sense together, in podman's words where it has some.
func (o *restoreOptions) check(args []string) error {
	switch {
	case o.pod != "":
		return errors.New("--pod: there are no pods")
	case o.from.Name != "" && o.from.TCPEstablished:
		return errors.New("--tcp-established cannot be used with --name")
	case o.from.TCPClose && o.from.TCPEstablished:
		return errors.New("--tcp-close cannot be used with --tcp-established")
	case o.archive != "" && (o.sel.all || o.sel.latest):
		return errors.New("cannot use --import with --all or --latest")
	case o.archive != "" && len(args) > 0:
		return errors.New("cannot use --import with positional arguments")
	case (o.sel.all || o.sel.latest) && len(args) > 0:
		return errors.New("--all or --latest and containers cannot be used together")
	case len(args) == 0 && !o.sel.all && !o.sel.latest && o.archive == "":
		return errors.New("you must provide at least one name or id")
	case len(args) > 1 && o.from.Name != "":
		return errors.New("--name can only be used with one checkpoint image")
	}
	return nil
}

// checkNoImport refuses what a container that is there already cannot be given.
func (o *restoreOptions) checkNoImport() error {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"import-previous", o.previous != ""}, {"ignore-rootfs", o.from.IgnoreRootFS}, {"ignore-volumes", o.from.IgnoreVolumes},
		{"name", o.from.Name != ""}, {"publish", len(o.from.Publish) > 0},
	} {
		if f.given {
			return fmt.Errorf("--%s can only be used with image or --import", f.name)
		}
	}
	return nil
}

func restore(ctx context.Context, call cli.Call, o *restoreOptions) error {
	r := &restoring{o: o, call: call, began: time.Now()}
	var err error
	if r.e, err = call.Open(ctx); err != nil {
		return err
	}
	if r.e.Rootless() {
		return errors.New("restoring a container requires root")
	}
	if o.previous != "" {
		o.from.Previous = fileOpener(o.previous)
	}
	switch {
	case o.archive != "":
		err = r.imported(ctx, o.archive, fileOpener(o.archive), "")
	case o.sel.all || o.sel.latest:
		if err = o.checkNoImport(); err == nil {
			err = o.sel.each(ctx, r.e, call, checkpointed, func(c libctr.Selected) error { return r.container(ctx, c.Container, c.By) })
		}
	default:
		var errs []error
		for _, name := range call.Args {
			if err := r.named(ctx, name); err != nil {
				errs = append(errs, err)
			}
		}
		err = cli.ReportAllButLast(errors.Join(errs...))
	}
	if !o.printStats || len(r.done) == 0 && err != nil {
		return err
	}
	s := statistics{RestoreDuration: time.Since(r.began).Microseconds(), Containers: r.done}
	return errors.Join(err, s.print(call.Out))
}

func checkpointed(c *libctr.Container) bool { return c.State.Checkpointed && !c.Active() }

func fileOpener(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}

// restoring is one run of the command.
type restoring struct {
	o     *restoreOptions
	call  cli.Call
	e     *libctr.Engine
	began time.Time
	done  []containerStats
}

// named restores a container, or from an image, whichever has the name.
func (r *restoring) named(ctx context.Context, name string) error {
	c, err := r.e.Lookup(ctx, name)
	if err == nil {
		return r.container(ctx, c, name)
	}
	if !errors.Is(err, libctr.ErrNoSuchContainer) {
		return err
	}
	img, ierr := r.e.ImageView().Lookup(name, image.LookupOptions{})
	if errors.Is(ierr, image.ErrNotFound) {
		return hint.Add(fmt.Errorf("no such container or image: %s: %w", name, err), "list the containers with: berth ps -a")
	}
	if ierr != nil {
		return ierr
	}
	open, err := r.e.CheckpointImage(ctx, img)
	if err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	return r.imported(ctx, "image "+name, open, name)
}

func (r *restoring) container(ctx context.Context, c *libctr.Container, by string) error {
	if err := r.o.checkNoImport(); err != nil {
		return err
	}
	report, err := r.e.Restore(ctx, c, r.o.from.RestoreOptions)
	return r.end(c, report, by, startCode(err))
}

func (r *restoring) imported(ctx context.Context, what string, open func() (io.ReadCloser, error), by string) error {
	opts := r.o.from
	opts.What, opts.Open = what, open
	c, report, err := r.e.RestoreFrom(ctx, opts)
	return r.end(c, report, by, startCode(err))
}

// end tells of a container that was restored: by its name as it was given, or by its ID.
func (r *restoring) end(c *libctr.Container, report *libctr.CheckpointReport, by string, err error) error {
	if err != nil {
		return err
	}
	r.done = append(r.done, containerStats{ID: c.ID, RestoreDuration: report.RuntimeDuration.Microseconds(), CRIU: report.CRIU})
	if r.o.printStats {
		return nil
	}
	if by == "" {
		by = c.ID
	}
	_, err = fmt.Fprintln(r.call.Out, by)
	return err
}
