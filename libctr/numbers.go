// SPDX-License-Identifier: Apache-2.0

package libctr

import "strconv"

func itoa(n int) string { return strconv.Itoa(n) }

func atoi64(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}
