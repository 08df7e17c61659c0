// SPDX-License-Identifier: Apache-2.0

package record

import "strings"

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// ValidName reports whether a container may have this name: letters, digits, and _ . - after the first of them. It is the
// name of a file, too.
func ValidName(name string) bool {
	return name != "" && len(name) <= 255 && strings.Contains(letters, name[:1]) && strings.Trim(name, letters+"_.-") == ""
}

// ValidID reports whether s can be the ID of a container.
func ValidID(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }
