// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// DeviceInjector adds devices of the Container Device Interface, which files in dirs describe, to an OCI spec. Inject of package
// libctr/cdi is one; libctr itself does not link it, as it links no Puller.
type DeviceInjector func(dirs, names []string, s *specs.Spec) error

// isCDI reports whether a device is the name of one that a file describes, VENDOR/CLASS=NAME, rather than a path.
func isCDI(device string) bool { return !filepath.IsAbs(device) && strings.Contains(device, "=") }

// injectCDI adds the devices to the spec. Without one it only sees that they are there.
func (e *Engine) injectCDI(m *making, s *specs.Spec) error {
	if len(m.cdi) == 0 {
		return nil
	}
	if e.opts.CDI == nil {
		return hint.Add(field.Errorf("%s %s: this program has no CDI devices", field.Name("device"), m.cdi[0]), "give the device's path")
	}
	if s == nil {
		return e.opts.CDI(m.cdiDirs, m.cdi, new(specs.Spec))
	}
	before := 0
	if s.Linux != nil {
		before = len(s.Linux.Devices)
	}
	if err := e.opts.CDI(m.cdiDirs, m.cdi, s); err != nil || !m.spec.Host.Rootless {
		return err
	}
	// No device can be made in a user namespace: the host's are bound, as those of paths are.
	added := s.Linux.Devices[before:]
	s.Linux.Devices = s.Linux.Devices[:before]
	for _, d := range added {
		s.Mounts = append(s.Mounts, specs.Mount{Destination: d.Path, Type: "bind", Source: d.Path, Options: []string{"bind", "rprivate", "nosuid", "noexec"}})
	}
	return nil
}
