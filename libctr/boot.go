// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"

	"github.com/berth-containers/berth/libctr/record"
)

// startsAtBoot reports whether the container is to be started when the host has started again: what the user wants is in its restart
// policy, and in whether he stopped it himself; what it did when the host went down is in its state.
func (c *Container) startsAtBoot() bool {
	cfg, err := c.Config()
	if err != nil || c.State.Status == record.Created {
		return false
	}
	byUser := c.State.StoppedBy == record.ByUser
	switch cfg.Restart.Policy {
	case "always":
		return true
	case "unless-stopped":
		return !byUser
	case "on-failure": // the end of the host is a failure; one that had ended before stays as it is
		return !byUser && c.State.Status == record.Exited && c.State.ExitCode != 0 && c.endedWithHost()
	}
	return false
}

// endedWithHost reports whether the container ran when the host went down.
func (c *Container) endedWithHost() bool {
	s := c.State
	return s.BootID != BootID() && (s.StoppedBy == record.BySystem || s.Error == endedWithHost)
}

// BootResult is what StartAtBoot did with a container.
type BootResult struct {
	Container *Container
	Err       error // why it could not be started; nil if it runs
}

// StartAtBoot starts what should run after the host's start: containers that ran when it went down, or that it kept from being restarted, if
// their policy is unless-stopped or on-failure, and all with always, as podman's filter should-start-on-boot says. Those that run are left
// alone: it may be called again. Containers that others need (their network, say) are started before these.
func (e *Engine) StartAtBoot(ctx context.Context) ([]BootResult, error) {
	list, err := e.List(ctx)
	if err != nil {
		return nil, err
	}
	var results []BootResult
	for _, c := range list { // the oldest first: a container can only need an older one
		if c.Active() || c.Restarting() || !c.startsAtBoot() {
			continue
		}
		_, err := e.Start(ctx, c, StartOptions{})
		if errors.Is(err, ErrRunning) {
			err = nil
		}
		results = append(results, BootResult{c, err})
		if ctx.Err() != nil {
			return results, ctx.Err()
		}
	}
	return results, nil
}
