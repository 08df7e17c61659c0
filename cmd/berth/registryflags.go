package main

import (
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// optionalBool is a flag's value that tells "not given" from false.
type optionalBool struct{ target **bool }

func (o optionalBool) String() string {
	if o.target == nil || *o.target == nil {
		return ""
	}
	return strconv.FormatBool(**o.target)
}

func (o optionalBool) Set(s string) error {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return fmt.Errorf("%q is not true or false", s)
	}
	*o.target = &v
	return nil
}

func (o optionalBool) Type() string { return "bool" }

// registryFlags say how a registry is spoken to.
type registryFlags struct{ o image.RegistryOptions }

func (r *registryFlags) bind(f *pflag.FlagSet) {
	o := &r.o
	f.Var(optionalBool{&o.TLSVerify}, "tls-verify", "require HTTPS and check certificates (default: what registries.conf says, else true)")
	f.Lookup("tls-verify").NoOptDefVal = "true"
	f.StringVar(&o.Creds, "creds", "", "`USERNAME:PASSWORD` for the registry")
	f.StringVar(&o.AuthFile, "authfile", "", "`FILE` with credentials (default: REGISTRY_AUTH_FILE, else auth.json of your session)")
	f.StringVar(&o.CertDir, "cert-dir", "", "`DIR` with the registry's certificates and keys")
}

// options returns what the flags say. A file named must be there: the library takes a missing one for an empty one.
func (r *registryFlags) options(*cobra.Command) (image.RegistryOptions, error) {
	if r.o.AuthFile != "" {
		if _, err := os.Stat(r.o.AuthFile); err != nil {
			return r.o, fmt.Errorf("--authfile: %w", err)
		}
	}
	return r.o, nil
}

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
	return platform(p.platform, p.os, p.arch, p.variant)
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
