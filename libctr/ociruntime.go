// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

// ConfSpec is what containers.conf says of how processes are confined, those of containers and those of RUN: where the options for
// both begin. It has the facts of the host, too.
func (e *Engine) ConfSpec() (s spec.Options, err error) {
	conf, err := e.conf()
	if err != nil {
		return s, err
	}
	c := &conf.Containers
	if s.Host, err = spec.ReadHost(); err != nil {
		return s, fmt.Errorf("look at the host: %w", err)
	}
	s.Umask, s.DefaultCaps = c.Umask, c.DefaultCapabilities.Get()
	if s.DefaultUlimits, err = spec.ParseUlimits(c.DefaultUlimits.Get(), s.Host); err != nil {
		return s, fmt.Errorf("default_ulimits of containers.conf: %w", err)
	}
	if s.DefaultSysctls, err = spec.ParseSysctls(c.DefaultSysctls.Get()); err != nil {
		return s, fmt.Errorf("default_sysctls of containers.conf: %w", err)
	}
	if c.ShmSize != "" {
		size, err := spec.ParseSize("shm-size", c.ShmSize)
		if err != nil {
			return s, fmt.Errorf("shm_size of containers.conf: %w", err)
		}
		s.ShmSize = &size
	}
	if c.OOMScoreAdj != nil {
		score := *c.OOMScoreAdj
		if !s.Host.RaiseLimits {
			score = max(score, s.Host.OOMScoreAdj)
		}
		s.OOMScoreAdj = &score
	}
	if s.Resources.PidsDefault = c.PidsLimit; c.PidsLimit == 0 {
		s.Resources.PidsDefault = -1 // containers.conf(5): 0 is no limit
	}
	return s, nil
}

// RunRuntime is how RUN is run.
type RunRuntime struct {
	record.Runtime
	SeccompCache string // where the compiled filters are, see spec.PrecompileSeccomp; empty where the runtime takes none
}

// OCIRuntime is the runtime that the engine would start a container with: its program and its arguments. State is kept in root, not
// where the containers have theirs. It is for the RUN instructions of a build. s becomes what that runtime and this host can do,
// in a cgroup named after id, below the one at parent unless that is empty.
func (e *Engine) OCIRuntime(ctx context.Context, root, id, parent string, s *spec.Options) (RunRuntime, error) {
	info, err := e.Runtime(ctx, "")
	if err != nil {
		return RunRuntime{}, err
	}
	cg, err := e.cgroups()
	if err != nil {
		return RunRuntime{}, err
	}
	r, err := e.runtimeRecord(info, cg)
	if err != nil {
		return RunRuntime{}, err
	}
	r.Args[1] = root // behind --root
	if err := e.fitHost(s, info, cg, cg.pathIn(parent, id, e.Rootless())); err != nil {
		return RunRuntime{}, err
	}
	e.warnSpec(s, cg)
	nestLabels(s)
	run := RunRuntime{Runtime: r}
	if info.isCrun() {
		run.SeccompCache = e.seccompCache()
	}
	return run, nil
}

// fitHost fills in s what depends on this host and on the runtime.
func (e *Engine) fitHost(s *spec.Options, r *RuntimeInfo, cg cgroups, cgroup string) (err error) {
	if s.Host, err = spec.ReadHost(); err != nil {
		return fmt.Errorf("look at the host: %w", err)
	}
	s.OCIVersion = r.SpecVersion
	s.NoCgroup, s.CgroupPath = cg.manager == "disabled", cgroup
	return e.fitDefaults(cg, s)
}

// warnSpec says what of s will be done differently from what was asked.
func (e *Engine) warnSpec(s *spec.Options, cg cgroups) {
	for _, w := range s.Warnings() {
		if s.NoCgroup && cg.why != "" && strings.HasPrefix(w.Error(), "no cgroup") {
			w = fmt.Errorf("%w (%s)", w, cg.why)
		}
		e.warn(w)
	}
}

func (e *Engine) seccompCache() string { return filepath.Join(e.data, "cache", "seccomp") }
