// SPDX-License-Identifier: Apache-2.0

package image

import (
	"fmt"
	"io"
	"time"
)

// Policy says when a registry is asked for an image.
type Policy string

// The policies. The empty one is Missing.
const (
	Always  Policy = "always"  // always; an error if it is not in the registry
	Missing Policy = "missing" // if there is no local image of the name
	Never   Policy = "never"   // never: ErrNotFound if there is no local image
	Newer   Policy = "newer"   // and take a local image if the registry's is the same or cannot be had
)

// ParsePolicy reads --pull's value; true is Always and false is Missing, as in podman.
func ParsePolicy(s string) (Policy, error) {
	switch s {
	case "", "missing", "ifmissing", "ifnotpresent", "false":
		return Missing, nil
	case "always", "true":
		return Always, nil
	case "never":
		return Never, nil
	case "newer", "ifnewer":
		return Newer, nil
	}
	return "", fmt.Errorf("unsupported pull policy %q: must be always, missing, never or newer", s)
}

// RegistryOptions say how a registry is spoken to. The zero value leaves all to
// registries.conf, certs.d and auth.json.
type RegistryOptions struct {
	TLSVerify *bool  // false also allows plain HTTP; nil leaves it to registries.conf
	Creds     string // USERNAME:PASSWORD
	AuthFile  string
	CertDir   string
}

// PullOptions say how a missing image is pulled: library.Runtime.Pull.
type PullOptions struct {
	RegistryOptions
	Policy         Policy
	Platform       Platform
	AllTags        bool          // all tags of the repository
	Retries        *uint         // after passing failures; nil is containers.conf's, but not if nobody listens
	RetryDelay     time.Duration // before the first retry, doubled each time; 0 is containers.conf's
	DecryptionKeys []string      // KEYFILE[:PASSPHRASE], for encrypted layers
	Progress       io.Writer     `json:"-"` // is told what happens, with moving bars if it is a terminal; nil is nobody
}
