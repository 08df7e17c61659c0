// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"fmt"
	"os"
	"strconv"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/pflag"
)

// OptionalBool is a flag's value that leaves *target nil where the flag is not given.
func OptionalBool(target **bool) pflag.Value { return optionalBool{target} }

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

// Registry are the flags that say how a registry is spoken to.
type Registry struct{ o image.RegistryOptions }

// Bind adds the flags to f.
func (r *Registry) Bind(f *pflag.FlagSet) {
	o := &r.o
	f.Var(OptionalBool(&o.TLSVerify), "tls-verify", "require HTTPS and verify certificates (default: what registries.conf says, else true)")
	f.Lookup("tls-verify").NoOptDefVal = "true"
	f.StringVar(&o.Creds, "creds", "", "`USERNAME:PASSWORD` for the registry")
	f.StringVar(&o.AuthFile, "authfile", "", "`FILE` with credentials (default: REGISTRY_AUTH_FILE, else auth.json of your session)")
	f.StringVar(&o.CertDir, "cert-dir", "", "`DIR` with the registry's certificates and keys")
}

// Options are what the flags say. A file named must be there: the library takes a missing one for an empty one.
func (r *Registry) Options() (image.RegistryOptions, error) {
	if r.o.AuthFile != "" {
		if _, err := os.Stat(r.o.AuthFile); err != nil {
			return r.o, field.Errorf("%s: %w", field.Name("authfile"), err)
		}
	}
	return r.o, nil
}
