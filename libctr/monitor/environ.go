// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"slices"
	"strings"
)

// environ are the variables that a monitor, and all that it starts, keeps of the command that started it. They live as
// long as the container, so what a shell has besides (tokens, passwords) does not belong there: a list of what is
// needed, and nothing else. docs/security.md, "What outlives a command", says what each is for.
var environ = []string{
	// where programs and files are
	"PATH", "LD_LIBRARY_PATH", "HOME", "USER", "LOGNAME", "TMPDIR",
	"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
	// the user's systemd, which makes cgroups
	"DBUS_SESSION_BUS_ADDRESS",
	// the container libraries' configuration, and in which user namespace this is
	"CONTAINERS_CONF", "CONTAINERS_CONF_OVERRIDE", "CONTAINERS_STORAGE_CONF", "CONTAINERS_STORAGE_CONF_OVERRIDE",
	"_CONTAINERS_USERNS_CONFIGURED", "_CONTAINERS_ROOTLESS_UID", "_CONTAINERS_ROOTLESS_GID",
	// Berth's own, and the Go runtime's, to find faults
	"BERTH_MONITOR", "BERTH_MONITOR_DEBUG", "GOCOVERDIR", "GOTRACEBACK",
}

// Environ returns what of a command's environment outlives the command: what the monitor gets, and from it the OCI runtime,
// the network helper, the cleanup of a --rm container, and the monitors that it starts for others.
func Environ(env []string) []string {
	kept := make([]string, 0, len(environ)+2) // what callers add
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); slices.Contains(environ, name) {
			kept = append(kept, v)
		}
	}
	return kept
}
