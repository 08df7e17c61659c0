// SPDX-License-Identifier: Apache-2.0

package console

import (
	"strings"

	"go.podman.io/common/pkg/report"
)

// IsJSON reports whether --format asks for JSON. Most command lines do not, and need no regular expression for that.
func IsJSON(format string) bool { return strings.Contains(format, "json") && report.IsJSON(format) }
