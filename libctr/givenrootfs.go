// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/held"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/monitor"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/writable"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	selinux "github.com/opencontainers/selinux/go-selinux"
	"github.com/opencontainers/selinux/go-selinux/label"
	"golang.org/x/sys/unix"
)

// givenRootfs is what --rootfs says: a directory of the user's in place of an image.
type givenRootfs struct {
	path       string // absolute and clean
	overlay    bool   // the container writes elsewhere
	idmap      bool   // the files' owners are mapped
	uids, gids []held.IDRange
}

// parseRootfs reads DIRECTORY[:O|:idmap[=uids=FILE-HOST-AMOUNT[#…];gids=…]].
func parseRootfs(text string) (r givenRootfs, err error) {
	bad := func(why string) (givenRootfs, error) {
		return r, field.Errorf("%s %q: %s", field.Name("rootfs"), text, why)
	}
	r.path = text
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		switch option, maps, given := strings.Cut(text[i+1:], "="); {
		case option == "O" && !given:
			r.path, r.overlay = text[:i], true
		case option == "idmap":
			r.path, r.idmap = text[:i], true
			if r.uids, r.gids, err = parseRootfsMaps(maps); err != nil {
				return bad(err.Error())
			}
			if given && len(r.uids)+len(r.gids) == 0 {
				return bad("idmap= needs a mapping, as in idmap=uids=0-100000-65536;gids=0-100000-65536")
			}
		}
	}
	if r.path == "" {
		return bad("the directory is missing")
	}
	r.path, err = filepath.Abs(r.path)
	return r, err
}

func parseRootfsMaps(text string) (uids, gids []held.IDRange, err error) {
	if text == "" {
		return nil, nil, nil
	}
	for part := range strings.SplitSeq(text, ";") {
		key, list, _ := strings.Cut(part, "=")
		to := map[string]*[]held.IDRange{"uids": &uids, "gids": &gids}[key]
		if to == nil {
			return nil, nil, fmt.Errorf("%q: want uids= or gids=", part)
		}
		for triplet := range strings.SplitSeq(list, "#") {
			numbers := strings.Split(triplet, "-")
			var n [3]uint32
			for i, text := range numbers {
				v, err := strconv.ParseUint(text, 10, 32)
				if err != nil || len(numbers) != 3 {
					return nil, nil, fmt.Errorf("%q: want FILE-HOST-AMOUNT, as in 0-100000-65536", triplet)
				}
				n[i] = uint32(v)
			}
			*to = append(*to, held.IDRange{Inside: n[0], Outside: n[1], Size: n[2]})
		}
	}
	if len(uids) == 0 || len(gids) == 0 {
		return nil, nil, errors.New("want both uids= and gids=")
	}
	return uids, gids, nil
}

// findRootfs is in place of resolving the image for a container that has none.
func (e *Engine) findRootfs(m *making) (err error) {
	if m.given, err = parseRootfs(m.opts.Rootfs); err != nil {
		return err
	}
	st, err := os.Stat(m.given.path)
	if err == nil && !st.IsDir() {
		err = &os.PathError{Op: "open", Path: m.given.path, Err: syscall.ENOTDIR}
	}
	if err != nil {
		err := field.Errorf("%s: %w", field.Name("rootfs"), err)
		return hint.Add(err, "name a directory with a root file system, as in: %s", hint.To(hint.RunRootfs, "./rootfs", "sh"))
	}
	switch {
	case m.spec.UserNS.Mode == "auto":
		err := field.Errorf("%s auto: ranges of IDs are given out with the layers of images, and %s has none", field.Name("userns"), field.Name("rootfs"))
		return hint.Add(err, "choose the IDs with %s", field.Name("uidmap"))
	case m.given.idmap && e.Rootless():
		err := field.Errorf("%s idmap: the kernel lets only root map the owners of files in a mount", field.Name("rootfs"))
		return hint.Add(err, "run it as root, or leave idmap out: the files of user %d are the container's root's", os.Getuid())
	}
	m.img, m.conf = &image.Image{}, &image.Config{}
	m.conf.Image.OS, m.conf.Image.Architecture = "linux", runtime.GOARCH
	return nil
}

// addGivenRootfs has the container run from the user's directory. What the engine makes for it lies elsewhere, and goes with it.
func (e *Engine) addGivenRootfs(ctx context.Context, m *making) (err error) {
	g := &m.given
	r := &m.cfg.Rootfs
	*r = record.Rootfs{Type: record.GivenRootfs, Source: g.path, Links: hasLinks(g.path)}
	lock, err := e.writable().Lock(unix.LOCK_SH)
	if err != nil {
		return err
	}
	m.back.Push(func() error { return e.discardWritable(m.cfg.ID) })
	r.Writable, err = e.writable().Claim(writable.NoImage, m.cfg.ID, m.dir)
	if err := errors.Join(err, lock.Close()); err != nil {
		return err
	}
	if g.overlay {
		if err := writable.Fill(r.Writable, g.path); err != nil {
			return err
		}
		if r.Overlay, err = e.overlay(); err != nil {
			return err
		}
		r.Overlay.Upper, r.Overlay.Work = filepath.Join(r.Writable, writable.Upper), filepath.Join(r.Writable, writable.Work)
	}
	if g.idmap {
		if err := e.mapRootfs(m); err != nil {
			return err
		}
	}
	if err := e.labelGiven(ctx, m); err != nil {
		return err
	}
	m.logTo(r.Writable)
	return nil
}

// mapRootfs has the files' owners mapped, if there is something to map, and tries whether the kernel and the file system can.
func (e *Engine) mapRootfs(m *making) error {
	g, r := &m.given, &m.cfg.Rootfs
	r.UIDs, r.GIDs = g.uids, g.gids
	if len(g.uids) == 0 {
		if !m.spec.UserNS.Nested() {
			return nil // the container's IDs are the host's
		}
		uids, gids, err := m.spec.UserNS.Mappings(m.spec.Host)
		if err != nil {
			return err
		}
		r.UIDs, r.GIDs = heldRanges(uids), heldRanges(gids)
	}
	source, err := monitor.OpenSource(record.Bind{Source: r.Source, Links: r.Links})
	if err != nil {
		return err
	}
	defer unix.Close(source)
	if err := held.MountMapped(source, "", r.UIDs, r.GIDs); err != nil {
		err = field.Errorf("%s idmap: the owners of %s cannot be mapped: %w", field.Name("rootfs"), r.Source, err)
		return hint.Add(err, "leave idmap out, and give the files to the container's IDs; or use a file system that can, such as ext4, xfs or btrfs")
	}
	return nil
}

func heldRanges(list []specs.LinuxIDMapping) (ranges []held.IDRange) {
	for _, m := range list {
		ranges = append(ranges, held.IDRange{Inside: m.ContainerID, Outside: m.HostID, Size: m.Size})
	}
	return ranges
}

// labelGiven gives the container's process its label. The files keep theirs, as podman has it.
func (e *Engine) labelGiven(ctx context.Context, m *making) error {
	if !selinux.GetEnabled() {
		return nil
	}
	store, err := e.Store()
	if err != nil {
		return err
	}
	opts, err := e.labelOpts(ctx, store, &m.spec)
	if err != nil {
		return err
	}
	m.cfg.ProcessLabel, m.cfg.MountLabel, err = label.InitLabels(opts)
	return err
}

// given is the directory of a root file system that is the user's.
func given(r record.Rootfs) string {
	if r.Type == record.GivenRootfs {
		return r.Source
	}
	return ""
}
