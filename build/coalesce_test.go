// SPDX-License-Identifier: Apache-2.0

package build

import "testing"

func TestCoalesce(t *testing.T) {
	for name, tc := range map[string]struct{ in, target, want string }{
		"equal": {"FROM a AS one\nRUN x\nFROM a AS two\n# why\nRUN x\nFROM b\nCOPY --from=two / /\n", "",
			"FROM a AS one\nRUN x\nFROM one AS two\n\n\nFROM b\nCOPY --from=two / /\n"},
		"three, one without a name": {"FROM a AS one\nRUN x\nFROM a\nRUN x\nFROM a as three\nrun x\nRUN y\nFROM a AS four\nRUN x\nFROM b\n", "",
			"FROM a AS one\nRUN x\nFROM one\n\nFROM a as three\nrun x\nRUN y\nFROM one AS four\n\nFROM b\n"},
		"with a heredoc": {"FROM a AS one\nRUN <<E\nx\nE\nFROM a AS two\nRUN <<E\nx\nE\nFROM b\n", "",
			"FROM a AS one\nRUN <<E\nx\nE\nFROM one AS two\n\n\n\nFROM b\n"},
		"heredocs that differ":           {"FROM a AS one\nRUN <<E\nx\nE\nFROM a AS two\nRUN <<E\ny\nE\nFROM b\n", "", ""},
		"another base":                   {"FROM a AS one\nRUN x\nFROM b AS two\nRUN x\nFROM c\n", "", ""},
		"another platform":               {"FROM a AS one\nRUN x\nFROM --platform=linux/arm64 a AS two\nRUN x\nFROM c\n", "", ""},
		"the last":                       {"FROM a AS one\nRUN x\nFROM a AS two\nRUN x\n", "", ""},
		"the target":                     {"FROM a AS one\nRUN x\nFROM a AS two\nRUN x\nFROM b\n", "two", ""},
		"the target by number":           {"FROM a AS one\nRUN x\nFROM a AS two\nRUN x\nFROM b\n", "1", ""},
		"triggers":                       {"FROM a AS one\nONBUILD RUN x\nFROM a AS two\nONBUILD RUN x\nFROM b\n", "", ""},
		"nothing but FROM":               {"FROM a AS one\nFROM a AS two\nFROM b\n", "", ""},
		"a base that is a stage later":   {"FROM a AS one\nRUN x\nFROM b AS a\nRUN y\nFROM a AS two\nRUN x\nFROM c\n", "", ""},
		"a source that is a stage later": {"FROM a AS one\nCOPY --from=s / /\nFROM b AS s\nRUN y\nFROM a AS two\nCOPY --from=s / /\nFROM c\n", "", ""},
		"the first has no name":          {"FROM a\nRUN x\nFROM a AS two\nRUN x\nFROM b\n", "", ""},
		"not a Containerfile":            {"FROB\n", "", ""},
		"a name twice":                   {"FROM a AS one\nRUN x\nFROM a AS one\nRUN x\nFROM b\n", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := coalesce([]byte(tc.in), tc.target)
			if ok != (tc.want != "") || ok && string(got) != tc.want {
				t.Errorf("coalesce = %q, %t; want %q", got, ok, tc.want)
			}
		})
	}
}
