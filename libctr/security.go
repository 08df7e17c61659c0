// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/spec"
	"go.podman.io/common/pkg/apparmor"
	"go.podman.io/common/pkg/config"
)

// Security returns what the values of --security-opt and containers.conf together say of how a process is confined, for
// containers and RUN alike. Its seccomp profile has been read, and its AppArmor profile is loaded.
func (e *Engine) Security(values []string, privileged bool) (s spec.Security, err error) {
	conf, err := e.conf()
	if err != nil {
		return s, err
	}
	noNew, err := e.noNewPrivileges()
	if err != nil {
		return s, err
	}
	if noNew { // first, so that a flag overrides it
		values = slices.Concat([]string{"no-new-privileges"}, values)
	}
	if s, err = spec.ParseSecurity(values); err != nil {
		return s, err
	}
	if s.Seccomp == "" && conf.Containers.SeccompProfile != config.SeccompDefaultPath {
		s.Seccomp = conf.Containers.SeccompProfile
	}
	if err := s.ReadSeccomp(); err != nil {
		return s, err
	}
	s.AppArmor, err = e.appArmor(s.AppArmor, conf.Containers.ApparmorProfile, privileged)
	return s, err
}

// noNewPrivileges is containers.conf's no_new_privileges, which podman's library does not read.
func (e *Engine) noNewPrivileges() (on bool, err error) {
	for _, f := range e.containersConf("no_new_privileges") {
		switch v := f.table("containers")["no_new_privileges"].(type) {
		case nil:
		case bool:
			on = v
		default:
			return false, fmt.Errorf("no_new_privileges of %s: %v is neither true nor false", f.path, v)
		}
	}
	return on, nil
}

// appArmorOn reports whether the kernel confines programs with AppArmor.
func appArmorOn() bool { return fileSays("/sys/module/apparmor/parameters/enabled", "Y") }

// appArmor returns the profile of a new container: the one asked for, "unconfined", or empty where there is none to give.
// Root's containers have containers.conf's by default; the libraries' own, containers-default-VERSION, is loaded
// where it is not. An ordinary user can load none, and is given none unless he names one that is loaded.
func (e *Engine) appArmor(asked, byDefault string, privileged bool) (string, error) {
	switch {
	case asked == "unconfined":
		return asked, nil
	case asked != "" && !appArmorOn():
		return "", hint.Add(field.Errorf("%s apparmor=%s: AppArmor is not enabled on this machine", field.Name("security-opt"), asked), "leave the option out, or use apparmor=unconfined")
	case e.Rootless(), asked == "" && (privileged || byDefault == "" || !apparmor.IsEnabled()):
		return asked, nil
	case asked == "":
		return loadAppArmor(byDefault)
	}
	return loadAppArmor(asked)
}

// loadAppArmor loads the libraries' default profile of that name, if it is not loaded; any other must be.
func loadAppArmor(name string) (string, error) {
	loaded, err := apparmor.CheckProfileAndLoadDefault(name)
	switch {
	case err == nil:
		return loaded, nil
	case strings.HasPrefix(name, apparmor.ProfilePrefix):
		return "", hint.Add(err, "see journalctl -k for what the kernel says; %s apparmor=unconfined goes without", field.Name("security-opt"))
	}
	return "", hint.Add(err, "load it first with: sudo apparmor_parser -r FILE")
}

// reloadAppArmor loads the default profile that a container was made with: a boot has forgotten it.
func (e *Engine) reloadAppArmor(name string) error {
	if !strings.HasPrefix(name, apparmor.ProfilePrefix) || e.Rootless() || !apparmor.IsEnabled() {
		return nil
	}
	_, err := loadAppArmor(name)
	return err
}
