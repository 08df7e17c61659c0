// SPDX-License-Identifier: Apache-2.0

package nearest

import "testing"

func TestWord(t *testing.T) {
	known := []string{"run", "rm", "rmi", "ps", "pull", "push", "images", "inspect", "restart", "containerfile"}
	for word, want := range map[string]string{
		"rnu":       "run", // swapped
		"psx":       "ps",
		"image":     "images",
		"inspct":    "inspect",
		"container": "containerfile", // the beginning of it
		"pus":       "push",
		"urn":       "run",
		"gull":      "", // another first letter is another word
		"stats":     "",
		"zzz":       "",
		"x":         "",
		"":          "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("Word(%q) = %q, want %q", word, got, want)
		}
	}
}
