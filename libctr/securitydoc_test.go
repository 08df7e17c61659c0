// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/security.md names the tests that keep holes shut. Each of them is there: a Go test by its name (or the beginning of it, with
// …), a file by its path, a bats test by a part of its name.
func TestSecurityPageNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	names, err := testNames("..")
	if err != nil {
		t.Fatal(err)
	}
	missing := func(word string) string {
		function := regexp.MustCompile(`^(Test|Fuzz)[A-Z]\w*…?$`).MatchString(word)
		switch prefix, open := strings.CutSuffix(word, "…"); {
		case function && open && strings.Contains(names, "func "+prefix), function && strings.Contains(names, "func "+word+"("):
			return ""
		case function:
			return "no Go test " + word
		case regexp.MustCompile(`^[\w.-]+\.bats$`).MatchString(word):
			word = "test/" + word
		}
		if regexp.MustCompile(`^(test|libctr|internal|build|rootless|network|cmd|docs)/[\w./-]+$`).MatchString(word) {
			if _, err := os.Stat(filepath.Join("..", word)); err != nil {
				return "no file " + word
			}
			return ""
		}
		if !regexp.MustCompile(`@test .*` + regexp.QuoteMeta(word)).MatchString(names) {
			return "no bats test with " + word + " in its name"
		}
		return ""
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	path := regexp.MustCompile(`(?:^|[\s(])(test/[\w./-]*\w|decisions/[\w./-]*\w)`)
	inTable := false
	for i, line := range strings.Split(string(page), "\n") {
		var words []string
		for _, m := range path.FindAllStringSubmatch(line, -1) {
			if rest, ok := strings.CutPrefix(m[1], "decisions/"); ok {
				m[1] = "docs/decisions/" + rest
				if !strings.HasSuffix(rest, ".md") {
					continue // the text of a link
				}
			}
			words = append(words, m[1])
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		last := strings.TrimSpace(cells[len(cells)-1])
		row := strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| ---")
		switch {
		case !strings.HasPrefix(line, "|"):
			inTable = false
		case strings.HasPrefix(last, "Test"):
			inTable = true
			continue
		case inTable && row:
			tests := quoted.FindAllStringSubmatch(last, -1)
			for _, m := range tests {
				words = append(words, m[1])
			}
			if len(tests) == 0 && !path.MatchString(last) {
				t.Errorf("line %d: the row names no test: %s", i+1, line)
			}
		}
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			if regexp.MustCompile(`^(Test|Fuzz)[A-Z]`).MatchString(m[1]) || strings.HasSuffix(m[1], ".bats") {
				words = append(words, m[1])
			}
		}
		for _, w := range words {
			if m := missing(w); m != "" {
				t.Errorf("line %d: %s", i+1, m)
			}
		}
	}
}

// testNames is the text of all test files below dir, in which their names are.
func testNames(dir string) (string, error) {
	var all strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, "_test.go") && !strings.HasSuffix(path, ".bats") {
			return nil
		}
		data, err := os.ReadFile(path)
		for line := range strings.Lines(string(data)) {
			if strings.HasPrefix(line, "func ") || strings.HasPrefix(line, "@test ") {
				all.WriteString(line)
			}
		}
		return err
	})
	return all.String(), err
}
