// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"go.podman.io/common/pkg/seccomp"
)

// verdict evaluates the rules for socket(2) as the kernel's filter does: exactly one may match.
func verdict(t *testing.T, filter *specs.LinuxSeccomp, args [3]uint64) string {
	t.Helper()
	var found []string
	for _, rule := range filter.Syscalls {
		if !slices.Contains(rule.Names, "socket") {
			continue
		}
		match := true
		for _, a := range rule.Args {
			if a.Op != specs.OpMaskedEqual {
				t.Fatalf("a rule for socket compares with %s", a.Op)
			}
			match = match && args[a.Index]&a.Value == a.ValueTwo
		}
		if match && rule.Action == specs.ActAllow {
			found = append(found, "allowed")
		} else if match {
			found = append(found, fmt.Sprint(*rule.ErrnoRet))
		}
	}
	if len(found) != 1 {
		t.Errorf("socket(%v) matches %d rules: %v", args, len(found), found)
		return ""
	}
	return found[0]
}

func TestSocketFamilies(t *testing.T) {
	for _, audit := range []bool{false, true} {
		s := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{}}}
		if audit {
			s.Process.Capabilities.Bounding = []string{"CAP_AUDIT_WRITE"}
		}
		filter, err := seccomp.LoadProfileFromConfig(DefaultSeccomp(), s)
		if err != nil {
			t.Fatal(err)
		}
		for family := range uint64(64) {
			for protocol := range uint64(32) {
				want := "allowed"
				switch {
				case family == 38 || family == 40: // AF_ALG, AF_VSOCK
					want = "1" // EPERM
				case family == 16 && protocol == 9 && !audit: // NETLINK_AUDIT
					want = "22" // EINVAL
				}
				for _, upper := range []uint64{0, 1 << 32, 1 << 63} { // the kernel ignores them
					if got := verdict(t, filter, [3]uint64{family | upper, 2, protocol | upper}); got != want {
						t.Errorf("CAP_AUDIT_WRITE %v: socket(%d, _, %d), upper bits %x: %s, want %s", audit, family, protocol, upper, got, want)
					}
				}
			}
		}
	}
}
