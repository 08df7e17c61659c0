// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"time"

	"github.com/berth-containers/berth/libctr"
)

// ParseTime reads the value of a flag that is a time; the zero time for none.
func ParseTime(flag, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, err := libctr.ParseTime(value)
	return t, Wrapf(err, "%s", flag)
}
