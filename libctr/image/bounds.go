// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"fmt"

	"github.com/berth-containers/berth/internal/hint"
)

// What an image's configuration may ask for, at most. No image that is known comes near; an image that does costs whoever
// runs it: a volume is a directory and a mount, and environment and command have to fit into what the kernel takes for a new process.
const (
	MaxConfigSize = 4 << 20 // bytes of JSON; containers/image's bound too

	maxVolumes   = 256
	maxEnv       = 4096
	maxEnvSize   = 1 << 20   // bytes of all of them
	maxWord      = 128 << 10 // bytes of a variable or of a word of the command: MAX_ARG_STRLEN, execve(2)
	maxWords     = 4096      // of entrypoint and command
	maxLabels    = 16 << 10
	maxPorts     = 128 << 10 // every port, tcp and udp
	maxHistory   = 16 << 10
	maxDiffIDs   = 16 << 10
	maxOnBuild   = 1024
	maxNameBytes = 4096 // of a user, a working directory, a volume's path: PATH_MAX
)

// Check returns an error, with a hint, if the configuration asks for more than any sane image does.
func (c *Config) Check() error {
	i := c.Image.Config
	env := 0
	for _, e := range i.Env {
		env += len(e)
	}
	counts := []struct {
		what     string
		has, max int
	}{
		{"volumes", len(i.Volumes), maxVolumes},
		{"variables", len(i.Env), maxEnv},
		{"bytes of variables", env, maxEnvSize},
		{"words of entrypoint and command", len(i.Entrypoint) + len(i.Cmd), maxWords},
		{"labels", len(i.Labels), maxLabels},
		{"exposed ports", len(i.ExposedPorts), maxPorts},
		{"steps of history", len(c.History), maxHistory},
		{"layers", len(c.RootFS.DiffIDs), maxDiffIDs},
		{"ONBUILD instructions", len(c.OnBuild), maxOnBuild},
	}
	if c.Healthcheck != nil {
		counts = append(counts, struct {
			what     string
			has, max int
		}{"words of the health check", len(c.Healthcheck.Test), maxWords})
	}
	for _, n := range counts {
		if n.has > n.max {
			return absurd("has %d %s, and %d are the most that is taken", n.has, n.what, n.max)
		}
	}
	for _, list := range [][]string{i.Env, i.Entrypoint, i.Cmd} {
		for _, w := range list {
			if len(w) > maxWord {
				return absurd("has a variable or a word of its command of %d bytes, and the kernel takes %d at most", len(w), maxWord)
			}
		}
	}
	names := []string{i.User, i.WorkingDir, i.StopSignal}
	for v := range i.Volumes {
		names = append(names, v)
	}
	for _, n := range names {
		if len(n) > maxNameBytes {
			return absurd("has a user, a directory or a signal with a name of %d bytes, and %d are the most that is taken", len(n), maxNameBytes)
		}
	}
	return nil
}

func absurd(format string, args ...any) error {
	return hint.Add(fmt.Errorf("the image's configuration "+format, args...), "such an image is broken or hostile; the bounds are in docs/security.md")
}

// ParseConfig reads an image's configuration in OCI's or Docker's format.
func ParseConfig(raw []byte) (*Config, error) {
	c := new(Config)
	if err := json.Unmarshal(raw, &c.Image); err != nil {
		return nil, err
	}
	var extras dockerExtras
	if err := json.Unmarshal(raw, &extras); err != nil {
		return nil, err
	}
	c.Comment, c.Version = extras.Comment, extras.Version
	c.Shell, c.OnBuild = extras.Config.Shell, extras.Config.OnBuild
	c.Healthcheck = extras.Config.Healthcheck
	if c.Healthcheck == nil {
		c.Healthcheck = extras.ContainerConfig.Healthcheck
	}
	return c, nil
}
