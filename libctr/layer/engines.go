// SPDX-License-Identifier: Apache-2.0

package layer

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
	"golang.org/x/sys/unix"
)

// engineNames are the programs that work on stores of containers/storage as Berth does, as the kernel knows them.
var engineNames = []string{"podman", "buildah", "skopeo", "crio", "cri-o", "bootc"}

// otherEngines lists the processes of other engines that may work on the store at graphRoot now, as "podman (process 12)".
// A process that is seen to have another store is none of them; in doubt it is one.
func otherEngines(graphRoot string) []string {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []string
	for _, d := range entries {
		pid, err := strconv.Atoi(d.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", d.Name())
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || len(cmdline) == 0 {
			continue
		}
		argv := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
		name := filepath.Base(argv[0])
		if !slices.Contains(engineNames, name) {
			// One that has executed itself again is "exe" or the like to itself.
			comm, err := os.ReadFile(filepath.Join(dir, "comm"))
			if name = strings.TrimSpace(string(comm)); err != nil || !slices.Contains(engineNames, name) {
				continue
			}
		}
		if mayUse(dir, argv, graphRoot) {
			found = append(found, fmt.Sprintf("%s (process %d)", name, pid))
		}
	}
	return found
}

// mayUse reports whether the engine in the process /proc/PID may have the store at graphRoot.
func mayUse(dir string, argv []string, graphRoot string) bool {
	// In the namespace of this process its own user is root, and everybody else is not. A user's engine has no right to
	// root's store, and root's engine has a store of its own.
	if status, err := os.ReadFile(filepath.Join(dir, "status")); err != nil || !bytes.Contains(status, []byte("\nUid:\t0\t")) {
		return false
	}
	if root, named := flagValue(argv, "--root"); named {
		return root == graphRoot
	}
	environ, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return true
	}
	for kv := range bytes.SplitSeq(environ, []byte{0}) {
		path, named := bytes.CutPrefix(kv, []byte("CONTAINERS_STORAGE_CONF="))
		if !named {
			continue
		}
		root := configuredRoot(string(path))
		return root == "" || root == graphRoot
	}
	return true
}

// flagValue finds a flag's value in a command line.
func flagValue(argv []string, flag string) (string, bool) {
	for i, a := range argv {
		if a == flag && i+1 < len(argv) {
			return argv[i+1], true
		}
		if v, ok := strings.CutPrefix(a, flag+"="); ok {
			return v, true
		}
	}
	return "", false
}

// configuredRoot is the graphroot that a storage.conf names; empty where it names none that can be told.
func configuredRoot(path string) string {
	var conf struct {
		Storage struct {
			GraphRoot string `toml:"graphroot"`
		} `toml:"storage"`
	}
	if _, err := toml.DecodeFile(path, &conf); err != nil || strings.Contains(conf.Storage.GraphRoot, "$") {
		return ""
	}
	if conf.Storage.GraphRoot == "" {
		return ""
	}
	return filepath.Clean(conf.Storage.GraphRoot)
}

// bootTime is when the kernel started, by the clock as it stands now.
func bootTime() time.Time {
	var up unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &up) != nil {
		return time.Time{}
	}
	return time.Now().Add(-time.Duration(up.Nano()))
}
