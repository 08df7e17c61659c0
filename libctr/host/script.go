// SPDX-License-Identifier: Apache-2.0

package host

import (
	"io"
	"os"
)

// IsScript reports whether a program is a script: it may then end before what it has started does.
func IsScript(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [2]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && magic == [2]byte{'#', '!'}
}
