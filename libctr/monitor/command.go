// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/libctr/ctl"
)

// checkCommand looks for the command in the running container, as the runtime
// will: a runtime says that it is missing on the standard error of the process
// too, where the user has it already from us. It returns nil where it cannot tell.
func (m *Monitor) checkCommand(init int, spec *ctl.ProcessSpec) error {
	root, err := openDir("/proc/" + strconv.Itoa(init) + "/root")
	if err != nil {
		return nil
	}
	defer unix.Close(root)
	command := spec.Args[0]
	cwd := spec.Cwd
	if cwd == "" {
		cwd = "/"
	}
	if err := m.checkDir(root, cwd, cwd, 127); err != nil {
		return err
	}
	candidates := []string{path.Join(cwd, command)}
	if path.IsAbs(command) {
		candidates[0] = command
	} else if !strings.Contains(command, "/") {
		if candidates = searchPath(command, cwd, spec.Env); candidates == nil {
			return nil
		}
	}
	found := false
	for _, c := range candidates {
		switch lookAt(root, c) {
		case executable, unclear:
			return nil
		case notExecutable:
			found = true
		}
	}
	if found {
		return commandNotExecutable(command)
	}
	return commandNotFound(command)
}

// searchPath returns nil where the environment has no PATH.
func searchPath(command, cwd string, env []string) (candidates []string) {
	for _, v := range env {
		dirs, ok := strings.CutPrefix(v, "PATH=")
		if !ok {
			continue
		}
		candidates = nil
		for dir := range strings.SplitSeq(dirs, ":") {
			if !path.IsAbs(dir) {
				dir = path.Join(cwd, dir)
			}
			candidates = append(candidates, path.Join(dir, command))
		}
	}
	return candidates
}

type verdict int

const (
	missing verdict = iota
	notExecutable
	executable
	unclear
)

// lookAt judges a file below root, where also absolute links lead to places below root.
func lookAt(root int, name string) verdict {
	fd, err := unix.Openat2(root, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	switch err {
	case nil:
	case unix.ENOENT, unix.ENOTDIR:
		return missing
	default: // ELOOP: /proc/self/exe; ENOSYS, EPERM: no openat2
		return unclear
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return unclear
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o111 == 0 {
		return notExecutable
	}
	return executable
}

// checkNeedDir returns an error where the container's --workdir is not there.
func (m *Monitor) checkNeedDir() error {
	need := m.cfg.NeedDir
	if need == nil {
		return nil
	}
	dir, path := m.rootfs(), need.Path
	if need.Root != "" {
		dir, path = m.bindRoot(need.Root), strings.TrimPrefix(need.Path, need.At)
	}
	root, err := openDir(dir)
	if err != nil {
		return nil // the runtime says what is wrong with a mount
	}
	defer unix.Close(root)
	return m.checkDir(root, "./"+path, need.Path, 126)
}

// checkDir returns an error, with podman's text and this exit code, where path, which the container knows as shown, is no
// directory below root.
func (m *Monitor) checkDir(root int, path, shown string, missing int) error {
	fd, err := unix.Openat2(root, path, &unix.OpenHow{Flags: unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
	switch err {
	case nil:
		unix.Close(fd)
	case unix.ENOENT:
		return &ctl.RequestError{Text: fmt.Sprintf("workdir %q does not exist on container %s", shown, m.cfg.ID), Code: missing}
	case unix.ENOTDIR:
		return &ctl.RequestError{Text: fmt.Sprintf("workdir %q is not a directory", shown), Code: 126}
	}
	return nil // e.g. ENOSYS, or ELOOP: /proc/self
}
