// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/berth-containers/berth/internal/field"
)

// Namespace says where one of the container's namespaces comes from. The zero value is a new one.
type Namespace struct {
	Host      bool
	Path      string // an existing one; wins over Container
	Container string // that of another container: the caller turns it into Path
}

// ParseNamespace reads the value of pid, ipc, uts or cgroupns (name): private, host,
// container:NAME or ns:PATH.
func ParseNamespace(name field.Name, value string) (Namespace, error) {
	kind, arg, _ := strings.Cut(value, ":")
	switch {
	case value == "" || value == "private", name == "ipc" && value == "shareable": // any can be shared
		return Namespace{}, nil
	case value == "host":
		return Namespace{Host: true}, nil
	case kind == "container" && arg != "":
		return Namespace{Container: arg}, nil
	case kind == "ns" && filepath.IsAbs(arg):
		return Namespace{Path: arg}, nil
	}
	return Namespace{}, field.Errorf("%s %q: want private, host, container:NAME or ns:PATH", name, value)
}

func (n Namespace) oci(list []specs.LinuxNamespace, typ specs.LinuxNamespaceType) []specs.LinuxNamespace {
	if n.Host {
		return list
	}
	return append(list, specs.LinuxNamespace{Type: typ, Path: n.Path})
}
