// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
	selinux "github.com/opencontainers/selinux/go-selinux"
	"github.com/opencontainers/selinux/go-selinux/label"
	"go.podman.io/storage"
	"golang.org/x/sys/unix"
)

// On a machine with SELinux a container has two labels (podman-run(1), "label="): that of its processes and that of the
// files which they may use. A level with two categories of the container's own keeps containers from each other. The store's
// record of the container holds both, so that podman on the same store does not give them away; the OCI spec has them, and the
// mount options of its layer. Where there is no SELinux, or containers.conf says label = false, all of this is nothing.

// labelOpts are the options for the labels of a new container, as the storage library wants them, which makes the labels.
func (e *Engine) labelOpts(ctx context.Context, store storage.Store, o *spec.Options) ([]string, error) {
	if !selinux.GetEnabled() {
		return nil, nil
	}
	user, err := e.userLabel()
	if err != nil {
		return nil, err
	}
	opts, err := joinLabels(user, o, func(container string) (string, error) {
		c, err := e.Lookup(ctx, container)
		if err != nil {
			return "", err
		}
		cfg, err := c.Config()
		if err != nil {
			return "", err
		}
		return cfg.ProcessLabel, nil
	})
	if err != nil {
		return nil, err
	}
	return opts, reserveLabels(store)
}

// joinLabels puts together what decides a container's labels: its caller's, --security-opt, and the namespaces that it shares.
func joinLabels(user []string, o *spec.Options, labelOf func(container string) (string, error)) ([]string, error) {
	if o.Privileged {
		return []string{"disable"}, nil
	}
	opts := slices.Concat(user, o.Security.Labels)
	for _, ns := range []struct {
		kind string
		n    spec.Namespace
	}{{"pid", o.PID}, {"ipc", o.IPC}} {
		switch {
		case ns.n.Host: // a container's label may not touch what is the host's
			return []string{"disable"}, nil
		case ns.n.Container != "":
			other, err := labelOf(ns.n.Container)
			if err != nil {
				return nil, field.Errorf("%s container:%s: %w", field.Name(ns.kind), ns.n.Container, err)
			}
			if other == "" {
				return []string{"disable"}, nil
			}
			same, err := selinux.DupSecOpt(other)
			if err != nil {
				return nil, fmt.Errorf("label of container %s: %w", ns.n.Container, err)
			}
			opts = append(opts, same...)
		}
	}
	return opts, nil
}

// userLabel is for containers.conf's label_users: the container has the SELinux user and role of its caller.
func (e *Engine) userLabel() ([]string, error) {
	conf, err := e.conf()
	if err != nil || !conf.Containers.EnableLabeledUsers {
		return nil, err
	}
	current, err := selinux.CurrentLabel()
	if err != nil || current == "" {
		return nil, err
	}
	c, err := selinux.NewContext(current)
	if err != nil {
		return nil, fmt.Errorf("label of this process: %w", err)
	}
	return []string{"user:" + c["user"], "role:" + c["role"]}, nil
}

// reserveLabels keeps the categories of the store's other containers from being drawn again.
func reserveLabels(store storage.Store) error {
	all, err := store.Containers()
	if err != nil {
		return err
	}
	for _, c := range all {
		if err := selinux.ReserveLabelV2(c.ProcessLabel()); err != nil && !errors.Is(err, selinux.ErrMCSAlreadyExists) {
			return fmt.Errorf("label of container %.12s: %w", c.ID, err)
		}
	}
	return nil
}

// relabel gives a path that is mounted, and all below it, the label of one container (Z), or of all (z, shared).
func relabel(path, mountLabel string, shared bool) error {
	err := label.Relabel(path, mountLabel, shared)
	if errors.Is(err, unix.ENOTSUP) { // its file system has no labels, and the kernel one for the whole of it
		return nil
	}
	if err != nil {
		err = hint.Add(fmt.Errorf("give %s the label %s: %w", path, mountLabel, err), "leave out z and Z, and use %s label=disable if the container may not use it then", field.Name("security-opt"))
	}
	return err
}

// relabelVolume gives a new volume the label that every container may use.
func relabelVolume(path string) error {
	if !selinux.GetEnabled() {
		return nil
	}
	processLabel, mountLabel, err := label.InitLabels(nil)
	if err != nil {
		return err
	}
	selinux.ReleaseLabel(processLabel)
	return relabel(path, mountLabel, true)
}

// ownFilesLabelled are the files in a container's directory that are bound into it.
var ownFilesLabelled = []string{"hosts", "resolv.conf", "hostname", "containerenv"}

// labelFiles gives the container's own files its label; they are written again for a start.
func labelFiles(dir, mountLabel string) error {
	if mountLabel == "" {
		return nil
	}
	for _, name := range ownFilesLabelled {
		path := filepath.Join(dir, name)
		if _, err := os.Lstat(path); err != nil {
			continue
		}
		if err := relabel(path, mountLabel, false); err != nil {
			return err
		}
	}
	return nil
}

// mountedWith adds the label to the mount options of a container's layer.
func mountedWith(r record.Rootfs, mountLabel string) record.Rootfs {
	if r.Type != "bind" { // a mount of its own; a copied directory has been labelled by the storage library
		r.Options = label.FormatMountLabel(r.Options, mountLabel)
	}
	return r
}

// nestLabels lets the container set labels (label=nested): it sees the kernel's interface, and its file systems have
// their root's label only.
func nestLabels(o *spec.Options) {
	if !o.Security.Nested || !selinux.GetEnabled() {
		return
	}
	o.Security.Unmask = append(slices.Clone(o.Security.Unmask), "/sys/fs/selinux")
	o.Mounts = append(slices.Clone(o.Mounts), spec.Mount{Type: "bind", Source: "/sys/fs/selinux", Destination: "/sys/fs/selinux"})
	annotations := map[string]string{"run.oci.mount_context_type": "rootcontext"}
	for k, v := range o.Annotations {
		annotations[k] = v
	}
	o.Annotations = annotations
}
