// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"regexp"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
)

var digestRE = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`) })

func isDigest(s string) bool { return digestRE().MatchString(s) }

// checkVersion wants strict semver 2 without build metadata, which is not legal in a tag.
func checkVersion(s string) *Error {
	if v, err := semver.StrictNewVersion(s); err != nil || v.Metadata() != "" {
		return Errorf("P004", "version %q is not MAJOR.MINOR.PATCH (no leading v, no +build)", s)
	}
	return nil
}

// compareDotted compares versions such as VERSION_ID's: fields of digits as numbers, others as
// text; 3.20 is less than 3.20.1.
func compareDotted(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if i >= len(x) {
			return -1
		}
		if i >= len(y) {
			return 1
		}
		if c := compareField(x[i], y[i]); c != 0 {
			return c
		}
	}
	return 0
}

func compareField(a, b string) int {
	if isDigits(a) && isDigits(b) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if len(a) != len(b) {
			return len(a) - len(b)
		}
	}
	return strings.Compare(a, b)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
