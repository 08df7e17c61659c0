// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
)

// ParseRestart reads the value of --restart: no, always, on-failure[:N] or unless-stopped.
func ParseRestart(value string) (record.Restart, error) {
	policy, retries, counted := strings.Cut(value, ":")
	switch policy {
	case "", "no", "never":
		policy = "no"
	case "always", "on-failure", "unless-stopped":
	default:
		return record.Restart{}, field.Errorf("%s %q: want no, always, on-failure[:N] or unless-stopped", field.Name("restart"), value)
	}
	if !counted {
		return record.Restart{Policy: policy}, nil
	}
	if policy != "on-failure" {
		return record.Restart{}, field.Errorf("%s %q: only on-failure takes a number of retries", field.Name("restart"), value)
	}
	n, err := strconv.ParseUint(retries, 10, 31)
	if err != nil {
		return record.Restart{}, field.Errorf("%s %q: %q is not a number of retries", field.Name("restart"), value, retries)
	}
	return record.Restart{Policy: policy, MaxRetries: uint(n)}, nil
}
