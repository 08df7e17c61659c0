package monitor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const maxUserFile = 16 << 20

// addUsers adds the lines of the record to the container's /etc/passwd and /etc/group, where there are such files. A
// line whose name or ID is listed already stays out: at each start but the first, and where the container has
// made it another.
func (m *Monitor) addUsers() error {
	for _, f := range []struct{ path, lines string }{{"etc/passwd", m.cfg.Passwd}, {"etc/group", m.cfg.Group}} {
		if f.lines == "" {
			continue
		}
		if err := addLines(m.rootfs(), f.path, f.lines); err != nil {
			return fmt.Errorf("add the container's user to /%s: %w", f.path, err)
		}
	}
	return nil
}

// addLines appends lines to the regular file at path below root. The image is not trusted: its links end in it.
func addLines(root, path, lines string) (err error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: root, Err: err}
	}
	defer unix.Close(dir)
	found, err := unix.Openat2(dir, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(found)
	var st unix.Stat_t
	if err := unix.Fstat(found, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size > maxUserFile {
		return nil
	}
	f, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(found), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	have, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	text := missingLines(string(have), lines)
	if text == "" {
		return nil
	}
	if len(have) > 0 && have[len(have)-1] != '\n' {
		text = "\n" + text
	}
	_, err = f.WriteString(text)
	return err
}

// missingLines returns those of the lines whose name and ID, the first and the third field, no line of have has.
func missingLines(have, lines string) string {
	var missing strings.Builder
	for line := range strings.Lines(lines) {
		name, id := entryKey(line)
		listed := false
		for h := range strings.Lines(have) {
			n, i := entryKey(h)
			listed = listed || n == name || i == id
		}
		if !listed {
			missing.WriteString(line)
		}
	}
	return missing.String()
}

func entryKey(line string) (name, id string) {
	fields := strings.SplitN(strings.TrimSpace(line), ":", 4)
	if len(fields) < 3 {
		return "", ""
	}
	return fields[0], fields[2]
}
