// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// ExecOptions is what exec asks for. The zero value of each field means: as the container's own process.
type ExecOptions struct {
	Args       []string
	Env        []string // -e and --env-file, over the container's environment
	WorkingDir string
	User       *User // nil is the container's
	Terminal   bool
	TTYSize    TTYSize
	Privileged bool // all capabilities
	Host       Host
}

// Exec returns the process object (runtime-spec, config.md, "Process") of a further
// process in the container that s describes. It does not change s.
//
// Root gets the container's capabilities, another user given by name or number gets none.
func Exec(s *specs.Spec, o ExecOptions) (*specs.Process, error) {
	if len(o.Args) == 0 {
		return nil, ErrNoCommand
	}
	p := *s.Process
	p.Args, p.Terminal, p.ConsoleSize = o.Args, o.Terminal, nil
	if o.Terminal {
		p.ConsoleSize = o.TTYSize.box()
	}
	p.Cwd = or(o.WorkingDir, p.Cwd)
	env := EnvOptions{UnsetAll: true, Files: p.Env, Flags: o.Env}
	if o.User != nil {
		check := Options{User: *o.User, Host: o.Host}
		if len(s.Linux.UIDMappings) > 0 {
			check.UserNS.Mode = "keep-id" // any nested one: its maps count
		}
		if err := check.checkIDs(s.Linux.UIDMappings, s.Linux.GIDMappings); err != nil {
			return nil, err
		}
		p.User = specs.User{UID: o.User.UID, GID: o.User.GID, Umask: p.User.Umask, AdditionalGids: processGroups(&check)}
		p.Capabilities = userCaps(p.Capabilities, o.User.UID)
		env.Files = append(slices.Clone(env.Files), "HOME="+or(o.User.Home, "/"))
	}
	if o.Terminal {
		env.Files = append([]string{"TERM=xterm"}, env.Files...)
	}
	p.Env = Environment(env)
	if o.Privileged {
		all := o.Host.Bounding
		p.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
		if p.User.UID != 0 {
			p.Capabilities.Inheritable, p.Capabilities.Ambient = all, all
		}
	}
	return &p, checkExec(&p)
}

func checkExec(p *specs.Process) error {
	if err := CheckWorkingDir(p.Cwd); err != nil {
		return err
	}
	return checkStrings(p.Args, p.Env)
}

// userCaps are the capabilities, out of the container's, of a user chosen for exec.
func userCaps(container *specs.LinuxCapabilities, uid uint32) *specs.LinuxCapabilities {
	c := &specs.LinuxCapabilities{Bounding: container.Bounding}
	if uid == 0 {
		c.Effective, c.Permitted = c.Bounding, c.Bounding
	}
	return c
}
