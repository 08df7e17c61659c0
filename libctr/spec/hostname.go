// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"strings"

	"github.com/berth-containers/berth/internal/field"
)

// CheckHostname checks the value of --hostname: hostname(7), at most 64 bytes. What
// passes can stand in /etc/hosts and /etc/hostname without breaking their lines.
func CheckHostname(name string) error {
	if len(name) > 64 {
		return field.Errorf("%s %q: longer than 64 bytes", field.Name("hostname"), name)
	}
	for _, label := range strings.Split(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return field.Errorf("%s %q: a part between dots is empty, or begins or ends with -", field.Name("hostname"), name)
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return field.Errorf("%s %q: only letters, digits, - and . can stand in a host name", field.Name("hostname"), name)
			}
		}
	}
	return nil
}
