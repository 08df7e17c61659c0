// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"

	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// registryFlags say how a registry is spoken to.
type registryFlags struct{ flags.Registry }

func (r *registryFlags) bind(f *pflag.FlagSet) { r.Bind(f) }

func (r *registryFlags) options(*cobra.Command) (image.RegistryOptions, error) { return r.Options() }

// platformFlags are the four flags that choose a platform.
type platformFlags struct{ platform, os, arch, variant string }

func (p *platformFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&p.platform, "platform", "", "`OS/ARCH[/VARIANT]` of the image (not with --os and --arch)")
	f.StringVar(&p.os, "os", "", "`OS` of the image instead of this machine's")
	f.StringVar(&p.arch, "arch", "", "`ARCH` of the image instead of this machine's")
	f.StringVar(&p.variant, "variant", "", "`VARIANT` of the architecture")
}

// parse returns the platform that the flags say; the zero value is this machine's.
func (p *platformFlags) parse() (image.Platform, error) {
	return flags.Platform(p.platform, p.os, p.arch, p.variant)
}

// retryFlags are --retry and --retry-delay.
type retryFlags struct {
	retries uint
	delay   string
}

func (r *retryFlags) bind(f *pflag.FlagSet) {
	f.UintVar(&r.retries, "retry", 3, "times to try again after a failure that may pass")
	f.StringVar(&r.delay, "retry-delay", "", "time before the first retry, doubled each time, as in 2s")
}

func (r *retryFlags) apply(f *pflag.FlagSet, o *image.PullOptions) error {
	if f.Changed("retry") {
		o.Retries = &r.retries
	}
	if r.delay == "" {
		return nil
	}
	d, err := time.ParseDuration(r.delay)
	if err != nil || d < 0 {
		return fmt.Errorf("--retry-delay %q: want a duration, as in 2s", r.delay)
	}
	o.RetryDelay = d
	return nil
}
