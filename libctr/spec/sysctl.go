// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
)

// ParseSysctls reads the values of --sysctl, each NAME=VALUE.
func ParseSysctls(values []string) (map[string]string, error) {
	set := make(map[string]string, len(values))
	for _, v := range values {
		name, value, ok := strings.Cut(v, "=")
		name, value = strings.ReplaceAll(strings.TrimSpace(name), "/", "."), strings.TrimSpace(value)
		switch {
		case !ok || name == "" || value == "":
			return nil, field.Errorf("%s %q: want NAME=VALUE", field.Name("sysctl"), v)
		case strings.ContainsAny(v, "\n\x00") || strings.Contains(name, ".."):
			return nil, field.Errorf("%s %q: line breaks, NUL bytes and empty parts cannot stand here", field.Name("sysctl"), v)
		}
		set[name] = value
	}
	return set, nil
}

// checkSysctl refuses what is not the container's own: the host would be changed.
func checkSysctl(name string, o *Options) error {
	switch {
	case strings.HasPrefix(name, "net."):
		if o.NetHost {
			return errors.New("the network namespace is the host's")
		}
	case strings.HasPrefix(name, "fs.mqueue."),
		slices.Contains([]string{"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall",
			"kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"}, name):
		if o.IPC.Host {
			return errors.New("the IPC namespace is the host's")
		}
	case name == "kernel.domainname":
		if o.UTS.Host {
			return errors.New("the UTS namespace is the host's")
		}
	case name == "kernel.hostname":
		return field.Errorf("use %s", field.Name("hostname"))
	default:
		return errors.New("it belongs to no namespace: it is the host's")
	}
	return nil
}
