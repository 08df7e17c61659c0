// SPDX-License-Identifier: Apache-2.0

package partial

import "strings"

// PinnedImages lists the images that a Containerfile names in FROM and in from= of COPY, ADD and RUN. all is false if
// it cannot be said which images those are: where one has no digest, or is wanted for a platform.
func PinnedImages(text string) (refs []string, all bool) {
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		return nil, false
	}
	all = true
	stages := map[string]bool{"scratch": true}
	note := func(ref string) (string, error) {
		switch {
		case stages[strings.ToLower(ref)] || isDigits(ref):
		case strings.Contains(ref, "@sha256:") && !strings.Contains(ref, "$"):
			refs = append(refs, ref)
		default:
			all = false
		}
		return ref, nil
	}
	for i := range cf.instrs {
		in := &cf.instrs[i]
		if in.cmd != "FROM" {
			if _, err := replaceFrom(in, cf.text(in), note); err != nil {
				return nil, false
			}
			continue
		}
		image, name, platform, err := in.from()
		if err != nil || platform != "" {
			return nil, false
		}
		_, _ = note(image) // never fails
		stages[name] = true
	}
	return refs, all
}
