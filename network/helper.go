// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// program is an installed helper and what it said it can do.
type program struct {
	Path    string `json:"path"`
	Mtime   int64  `json:"mtime"` // nanoseconds; with Size it reports whether the program was replaced
	Size    int64  `json:"size"`
	Version string `json:"version"` // first line of --version
	// Options are the long options in --help, without dashes; none where the program does not say.
	Options map[string]bool `json:"options"`
}

// has reports whether --help names the long option.
func (p *program) has(option string) bool { return p.Options[option] }

// cacheFile is where the answers of the helpers are kept, in the runtime directory.
const cacheFile = "net-helpers.json"

// findProgram looks for the helper in dirs, in PATH and in the usual places, and asks it
// what it can do unless cacheDir remembers. The error is exec.ErrNotFound where it is not installed.
func findProgram(ctx context.Context, name string, dirs []string, cacheDir string) (*program, error) {
	path, err := lookPath(name, dirs)
	if err != nil {
		return nil, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	cache := map[string]*program{}
	cachePath := filepath.Join(cacheDir, cacheFile)
	if data, err := os.ReadFile(cachePath); err == nil {
		if json.Unmarshal(data, &cache) != nil {
			cache = map[string]*program{}
		}
	}
	p := cache[name]
	if p != nil && p.Path == path && p.Mtime == st.ModTime().UnixNano() && p.Size == st.Size() {
		return p, nil
	}
	p = &program{Path: path, Mtime: st.ModTime().UnixNano(), Size: st.Size()}
	if err := p.ask(ctx); err != nil {
		return nil, err
	}
	cache[name] = p
	if data, err := json.Marshal(cache); err == nil && cacheDir != "" {
		// A cache that cannot be written costs the next command some milliseconds, no more.
		_ = atomicfile.Write(cachePath, data, 0o600, false)
	}
	return p, nil
}

func lookPath(name string, dirs []string) (string, error) {
	for _, dir := range append(append([]string{}, dirs...), filepath.SplitList(os.Getenv("PATH"))...) {
		path := filepath.Join(dir, name)
		if filepath.IsAbs(path) && executable(path) {
			return path, nil
		}
	}
	for _, dir := range []string{"/usr/bin", "/usr/local/bin", "/usr/sbin"} { // a PATH may be short in a service
		if path := filepath.Join(dir, name); executable(path) {
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

func executable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}

// ask fills in Version and Options. Exit codes do not matter: pasta of 2023 prints its help and exits with 1. A wrapper script may
// keep both to itself: then nothing is known of the program, and only what every version can do is asked of it.
func (p *program) ask(ctx context.Context) error {
	version, err := output(ctx, p.Path, "--version")
	if err != nil {
		return err
	}
	p.Version, _, _ = strings.Cut(version, "\n")
	help, err := output(ctx, p.Path, "--help")
	if err != nil {
		return err
	}
	p.Options = map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)(?:^|[\s,])--([a-z][a-z0-9-]+)`).FindAllStringSubmatch(help, -1) {
		p.Options[m[1]] = true
	}
	return nil
}

func output(ctx context.Context, path, arg string) (string, error) {
	out, err := exec.CommandContext(ctx, path, arg).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("ask %s what it can do: %w", path, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// released is the date in the version, as 20240814, or 0 where it has none (Debian 12's pasta has none,
// it is of March 2023).
func (p *program) released() int {
	m := regexp.MustCompile(`20\d\d_?\d\d_?\d\d`).FindString(p.Version)
	n := 0
	for _, d := range m {
		if d != '_' {
			n = n*10 + int(d-'0')
		}
	}
	return n
}

// inContainer reports whether this host is a container: podman, docker and Berth leave a mark, Kubernetes a variable.
func inContainer() bool {
	for _, mark := range []string{"/run/.containerenv", "/.dockerenv"} {
		if _, err := os.Stat(mark); err == nil {
			return true
		}
	}
	return os.Getenv("KUBERNETES_SERVICE_HOST") != ""
}

// CheckTun reports whether a helper will be able to make its interface.
func CheckTun() error { return checkTun("/dev/net/tun") }

func checkTun(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		return unix.Close(fd)
	}
	err = &fs.PathError{Op: "open", Path: path, Err: err}
	err = fmt.Errorf("connect the container: %w", err)
	name := field.Name("network")
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return hint.Add(err, "let every user open it: sudo chmod 666 %s, or run the container with %s host or none", path, name)
	case inContainer():
		return hint.Add(err, "have the engine outside give this container the device, with %s %s, or run the container with %s host or none", field.Name("device"), path, name)
	default: // ENOENT, ENODEV, ENXIO
		return hint.Add(err, "load the kernel's driver: sudo modprobe tun, or run the container with %s host or none", name)
	}
}
