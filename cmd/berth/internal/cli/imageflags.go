// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/pflag"
)

// PlatformFlags are the four flags that choose a platform.
type PlatformFlags struct{ platform, os, arch, variant string }

// Bind adds the flags.
func (p *PlatformFlags) Bind(f *pflag.FlagSet) {
	f.StringVar(&p.platform, "platform", "", "`OS/ARCH[/VARIANT]` of the image (not with --os and --arch)")
	f.StringVar(&p.os, "os", "", "`OS` of the image instead of this machine's")
	f.StringVar(&p.arch, "arch", "", "`ARCH` of the image instead of this machine's")
	f.StringVar(&p.variant, "variant", "", "`VARIANT` of the architecture")
}

// Options returns the platform that the flags say; the zero value is this machine's.
func (p *PlatformFlags) Options() (image.Platform, error) {
	return flags.Platform(p.platform, p.os, p.arch, p.variant)
}

// RetryFlags are --retry and --retry-delay.
type RetryFlags struct {
	retries uint
	delay   string
}

// Bind adds the flags.
func (r *RetryFlags) Bind(f *pflag.FlagSet) {
	f.UintVar(&r.retries, "retry", 3, "number of retries after a failure that may be temporary")
	f.StringVar(&r.delay, "retry-delay", "", "time before the first retry, doubled each time (for example 2s)")
}

// Options returns how often is tried again, nil without --retry, and how long is waited before; 0 without --retry-delay.
func (r *RetryFlags) Options(f *pflag.FlagSet) (retries *uint, delay time.Duration, err error) {
	if f.Changed("retry") {
		retries = &r.retries
	}
	if r.delay == "" {
		return retries, 0, nil
	}
	delay, err = time.ParseDuration(r.delay)
	if err != nil || delay < 0 {
		return nil, 0, fmt.Errorf("--retry-delay %q: want a duration, as in 2s", r.delay)
	}
	return retries, delay, nil
}
