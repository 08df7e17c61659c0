// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/monitor"
	units "github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// WarnLabel is the label of a volume that says when it is nearly full: a share of what it can take, 90%, or a size, 10G.
const WarnLabel = "io.berth.warn-at"

// VolumeStats are the figures of a volume at one moment.
type VolumeStats struct {
	Name, Driver, Mountpoint string

	Time  time.Time
	Known bool // false: only its containers have it mounted, and none of them runs; what follows is zero then

	Size        uint64 // bytes, as du(1) counts them
	SizeLimit   uint64 // bytes that it can take: its own limit, or what its file system has left for it
	Inodes      uint64 // files, directories, links …
	InodesLimit uint64 // 0: its file system has no number of them
	Limited     bool   // SizeLimit is the volume's own
	NearLimit   bool   // it has reached what its label WarnLabel says
}

// SizePercent and InodesPercent are how much of its limit the volume has taken.
func (s *VolumeStats) SizePercent() float64   { return share(s.Size, s.SizeLimit) }
func (s *VolumeStats) InodesPercent() float64 { return share(s.Inodes, s.InodesLimit) }

func share(used, limit uint64) float64 {
	if limit == 0 {
		return 0
	}
	return 100 * float64(used) / float64(limit)
}

// VolumeStats measures volumes, all where none is named. One that has reached what its label WarnLabel says, and had not when it was measured
// last, is an event, near_limit. The process must be in the user namespace.
func (e *Engine) VolumeStats(ctx context.Context, names ...string) ([]*VolumeStats, error) {
	var volumes []Volume
	for _, name := range names {
		v, err := e.Volume(name)
		if err != nil {
			return nil, err
		}
		volumes = append(volumes, v)
	}
	if len(names) == 0 {
		var err error
		if volumes, err = e.Volumes(); err != nil {
			return nil, err
		}
	}
	var list []*VolumeStats
	for _, v := range volumes {
		s, err := e.measureVolume(ctx, &v)
		if errors.Is(err, ErrNoSuchVolume) && len(names) == 0 {
			continue // removed this moment
		}
		if err != nil {
			return nil, fmt.Errorf("measure volume %q: %w", v.Name, err)
		}
		e.warnOfVolume(s, v.Labels)
		list = append(list, s)
	}
	return list, nil
}

func (e *Engine) measureVolume(ctx context.Context, v *Volume) (*VolumeStats, error) {
	s := &VolumeStats{Name: v.Name, Driver: v.Driver, Mountpoint: v.Mountpoint, Time: time.Now()}
	meta, err := readVolumeMeta(e.volumeDir(v.Name))
	if err != nil {
		return nil, err
	}
	if meta.plugin() || meta.mounted() && !meta.bind() {
		return s, e.measureMount(s)
	}
	files, err := e.openVolume(v.Name)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	if err := s.count(ctx, files); err != nil {
		return nil, err
	}
	var room unix.Statfs_t
	if err := unix.Fstatfs(int(files.Fd()), &room); err != nil {
		return nil, err
	}
	s.Known = true
	s.SizeLimit = s.Size + room.Bavail*uint64(room.Frsize)
	if room.Files > 0 {
		s.InodesLimit = s.Inodes + room.Ffree
	}
	if meta.Size > 0 {
		s.SizeLimit, s.Limited = meta.Size, true
	}
	if meta.Inodes > 0 {
		s.InodesLimit = meta.Inodes
	}
	return s, nil
}

// measureMount asks the file system of a volume that is one, where a container that runs has it.
func (e *Engine) measureMount(s *VolumeStats) error {
	fd, err := monitor.OpenUsed(e.volumeUsersDir(s.Name))
	if err != nil || fd < 0 {
		return err
	}
	defer unix.Close(fd)
	var room unix.Statfs_t
	if err := unix.Fstatfs(fd, &room); err != nil {
		return err
	}
	s.Known, s.Limited = true, true
	s.Size, s.SizeLimit = (room.Blocks-room.Bfree)*uint64(room.Frsize), room.Blocks*uint64(room.Frsize)
	s.Inodes, s.InodesLimit = room.Files-room.Ffree, room.Files
	return nil
}

// count walks through an open directory, and never out of it, whatever its containers make of it meanwhile.
func (s *VolumeStats) count(ctx context.Context, dir *os.File) error {
	root, err := os.OpenRoot(seenByChildren(dir))
	if err != nil {
		return err
	}
	defer root.Close()
	type inode struct{ dev, ino uint64 }
	seen := map[inode]bool{} // with more than one name
	return fs.WalkDir(root.FS(), ".", func(_ string, d fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var info fs.FileInfo
		if err == nil {
			info, err = d.Info()
		}
		if err != nil {
			return nil // gone meanwhile, or another thing than a moment ago
		}
		st := info.Sys().(*syscall.Stat_t)
		if i := (inode{uint64(st.Dev), st.Ino}); st.Nlink > 1 && !d.IsDir() {
			if seen[i] {
				return nil
			}
			seen[i] = true
		}
		s.Size += uint64(st.Blocks) * 512
		s.Inodes++
		return nil
	})
}

// warnOfVolume notes that a volume has become nearly full, once, until it is not any more.
func (e *Engine) warnOfVolume(s *VolumeStats, labels map[string]string) {
	value, ok := labels[WarnLabel]
	if !ok || !s.Known {
		return
	}
	at, err := parseWarnAt(value)
	if err != nil {
		return // a volume of an older Berth
	}
	s.NearLimit = at.reached(s)
	mark := filepath.Join(e.volumeDir(s.Name), warnedFile)
	switch _, err := os.Lstat(mark); {
	case s.NearLimit && errors.Is(err, fs.ErrNotExist):
		if atomicfile.Write(mark, nil, 0o600, false) != nil {
			return
		}
		e.note(Event{Type: "volume", Status: "near_limit", Name: s.Name, Attributes: map[string]string{
			"usage": strconv.FormatUint(s.Size, 10), "limit": strconv.FormatUint(s.SizeLimit, 10),
			"inodes": strconv.FormatUint(s.Inodes, 10), "inodesLimit": strconv.FormatUint(s.InodesLimit, 10), "warnAt": value,
		}})
	case !s.NearLimit && err == nil:
		_ = os.Remove(mark) // at worst the next event is missing
	}
}

// warnedFile is there while a volume is nearly full and an event has told.
const warnedFile = "warned"

// warnAt is when a volume is nearly full: percent of its bytes or its inodes, or bytes.
type warnAt struct {
	percent float64
	bytes   uint64
}

func (w warnAt) reached(s *VolumeStats) bool {
	if w.bytes > 0 {
		return s.Size >= w.bytes
	}
	return s.SizePercent() >= w.percent || s.InodesLimit > 0 && s.InodesPercent() >= w.percent
}

// parseWarnAt reads the value of WarnLabel.
func parseWarnAt(value string) (w warnAt, err error) {
	if number, ok := strings.CutSuffix(value, "%"); ok {
		if w.percent, err = strconv.ParseFloat(number, 64); err != nil || !(w.percent > 0 && w.percent <= 100) {
			return w, field.Errorf("%s %s=%s: want more than 0%%, and at most 100%%", field.Name("label"), WarnLabel, value)
		}
		return w, nil
	}
	n, err := units.FromHumanSize(value)
	if err != nil || n <= 0 {
		return w, field.Errorf("%s %s=%s: want a share such as 90%%, or a size such as 10G", field.Name("label"), WarnLabel, value)
	}
	w.bytes = uint64(n)
	return w, nil
}
