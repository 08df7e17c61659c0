// SPDX-License-Identifier: Apache-2.0

// Package unpack keeps within bounds what archives unpack to: their size, the room on the disk, the memory that a reader of the
// archive needs. An archive of a hundred bytes can say that it holds terabytes, as holes or as zeros that are packed well, and
// the libraries that unpack it write whatever comes.
package unpack

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// The variables of the environment that change Limits; [engine] env in containers.conf sets them for good.
const (
	SizeVar  = "BERTH_UNPACK_LIMIT"
	RatioVar = "BERTH_UNPACK_RATIO"
	FilesVar = "BERTH_UNPACK_FILES"
)

const (
	defaultSize  = 256 << 30
	defaultRatio = 500
	// defaultFiles is several times what the largest images in use have: some 2 million.
	defaultFiles = 10_000_000
	// warnRatio is what is said of an archive that is not stopped. Programs pack 2 to 10 times; logs and empty databases 100.
	warnRatio = 100
	// warnFrom and stopFrom are how much has to be unpacked for that: small files of zeros are in many images.
	warnFrom = 1 << 30
	stopFrom = 4 << 30
	// reserve is what is left free on a disk, and filesReserve how many files it still takes.
	reserve      = 1 << 20
	filesReserve = 4096
	// maxHeaders is what the headers of one entry may come to, with extended attributes; archive/tar takes 1 MiB of each kind.
	maxHeaders = 2 << 20
	// maxDirs is what the headers of all directories may come to: the libraries keep them in memory to the end.
	maxDirs = 512 << 20
	// maxNames is what all names may come to: the library that writes a layer's record keeps them in memory to the end.
	maxNames = 512 << 20
	// maxWalks is how many files the opaque markers of a layer may have looked at: with the vfs driver the library walks through the
	// directory of each, which may have all files that came before it.
	maxWalks = 1_000_000_000
	// maxMaps is what the headers and maps of all files with holes may come to: they are kept until the last is unpacked.
	maxMaps = 128 << 20
	// maxAfter is what may follow the end of an archive: tar fills up blocks of a tape, of some MiB at most.
	maxAfter = 64 << 20
)

// ErrRefused is in the tree of every error of an archive that is refused for what it would unpack to.
var ErrRefused = errors.New("too much to unpack")

// Limits are what unpacking an archive may come to; 0 is no limit.
type Limits struct {
	Size  int64 // bytes; of an image, that of all its layers
	Ratio int64 // how many times what is read of a packed archive
	Files int64 // entries of any kind; of an image, those of all its layers
}

// LimitsFromEnv returns the limits that the environment asks for, or the default ones.
func LimitsFromEnv() (Limits, error) {
	l := Limits{Size: defaultSize, Ratio: defaultRatio, Files: defaultFiles}
	if v := os.Getenv(SizeVar); v != "" && v != "none" {
		n, err := units.RAMInBytes(v)
		if err != nil || n < 0 {
			return l, hint.Add(fmt.Errorf("%s=%q is not a size", SizeVar, v), "give bytes or a size like 500g, or none for no limit")
		}
		l.Size = n
	} else if v != "" {
		l.Size = 0
	}
	if err := numberFromEnv(RatioVar, &l.Ratio); err != nil {
		return l, err
	}
	return l, numberFromEnv(FilesVar, &l.Files)
}

// numberFromEnv sets n to what a variable says, if it says something.
func numberFromEnv(name string, n *int64) error {
	v := os.Getenv(name)
	if v == "" {
		return nil
	}
	if v == "none" {
		v = "0"
	}
	set, err := strconv.ParseInt(v, 10, 64)
	if err != nil || set < 0 {
		return hint.Add(fmt.Errorf("%s=%q is not a number", name, v), "give a whole number, or none for no limit")
	}
	*n = set
	return nil
}

// Options are those of NewReader.
type Options struct {
	Limits
	What        string       // is unpacked: "layer sha256:...", for errors
	Before      int64        // what has been unpacked of the same image: bytes
	FilesBefore int64        // and entries
	Packed      func() int64 // how much has been read of the packed archive; nil if it is not packed
	Dir         string       // it is unpacked there, on a disk whose free room is a limit; empty for elsewhere
	Warn        func(text string)

	KeepHoles    bool // holes are not written, and need no room
	StopAtSparse bool // with ErrSparse

	Zeros func(Zeros) // is told of long runs of zeros in files without holes, behind each of them
}

// refuse returns the error of an archive that is refused, with the setting that would allow it.
func (o *Options) refuse(setting, format string, args ...any) error {
	err := fmt.Errorf("%s: %w: %s", o.What, ErrRefused, fmt.Sprintf(format, args...))
	if setting == "" {
		return err
	}
	return Advise(fmt.Errorf("%w (%s)", err, setting))
}

// Advise adds a hint to an error, perhaps of another process, whose text names the setting that would allow what was refused.
func Advise(err error) error {
	for _, setting := range []string{SizeVar, RatioVar, FilesVar} {
		if strings.Contains(err.Error(), "("+setting+")") {
			return hint.Add(err, "if you trust it, allow more with %s=VALUE in the environment, or in env of [engine] in containers.conf", setting)
		}
	}
	return err
}

// room reports whether n bytes more fit on the disk.
func (o *Options) room(entry string, n int64) error {
	var st unix.Statfs_t
	if o.Dir == "" || unix.Statfs(o.Dir, &st) != nil {
		return nil
	}
	if st.Files > 0 && st.Ffree < filesReserve {
		return fmt.Errorf("%s: %s: no room for more files on the disk of %s: %w", o.What, entry, o.Dir, unix.ENOSPC)
	}
	if free := int64(st.Bavail) * st.Bsize; n > free-reserve {
		return fmt.Errorf("%s: %s needs %s, and %s are free on the disk of %s: %w", o.What, entry, size(n), size(max(free, 0)), o.Dir, unix.ENOSPC)
	}
	return nil
}

// Room reports whether n bytes more fit on the disk of dir; what says who needs them.
func Room(dir, what string, n int64) error {
	o := Options{Dir: dir, What: what}
	if o.room("", n) == nil {
		return nil
	}
	return fmt.Errorf("%s takes %s on the disk of %s, which has less: %w", what, size(n), dir, unix.ENOSPC)
}

// CheckTree returns an error if the files in Dir are beyond the limits.
func (o *Options) CheckTree() error {
	var size, files int64
	err := filepath.WalkDir(o.Dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				size += info.Size()
			}
		}
		files++
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it has been moved
		case err != nil:
			return err
		case o.Size > 0 && size > o.Size:
			return o.TooLarge()
		case o.Files > 0 && files > o.Files:
			return o.refuse(FilesVar, "it has more than %d files", o.Files)
		}
		return nil
	})
	if errors.Is(err, ErrRefused) {
		return err
	}
	return nil // who else is at work there is told of an error
}

// TooLarge is the error of what is larger than the limit.
func (o *Options) TooLarge() error { return o.refuse(SizeVar, "it has more than %s", size(o.Size)) }

// CopySparse copies to a new file, and makes holes of zeros. It returns the size.
func CopySparse(f *os.File, r io.Reader) (n int64, err error) {
	buf := make([]byte, 1<<20)
	for {
		part := 0
		for part < len(buf) && err == nil {
			var m int
			m, err = r.Read(buf[part:])
			part += m
		}
		if !isZero(buf[:part]) {
			if _, err := f.WriteAt(buf[:part], n); err != nil {
				return n, err
			}
		}
		n += int64(part)
		if err == io.EOF {
			return n, f.Truncate(n)
		}
		if err != nil {
			return n, err
		}
	}
}

// WithRoom returns a reader that ends with ENOSPC before what is read of r has filled the disk of dir, where it is written.
func WithRoom(r io.Reader, what, dir string) io.Reader {
	return &roomReader{in: r, o: Options{What: what, Dir: dir}}
}

type roomReader struct {
	in    io.Reader
	o     Options
	read  int64 // bytes
	since int64 // bytes, since room was last looked at
}

func (r *roomReader) Read(p []byte) (int, error) {
	if r.since >= reserve/4 {
		r.since = 0
		if r.o.room("", reserve) != nil {
			return 0, fmt.Errorf("%s: the disk of %s is almost full after %s: %w", r.o.What, r.o.Dir, size(r.read), unix.ENOSPC)
		}
	}
	n, err := r.in.Read(p)
	r.since += int64(n)
	r.read += int64(n)
	return n, err
}

// size is a size as people read it.
func size(n int64) string {
	return units.CustomSize("%.4g %s", float64(n), 1024, []string{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"})
}

// Describe is what an archive from somewhere is called in errors.
func Describe(kind, name string) string {
	return strings.TrimSpace(kind + " " + cmp.Or(name, "without a name"))
}
