// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryRowHasATest wants each row of the acceptance list, A1 to A42, in the name of a test: here, in the packages below,
// or in the bats files.
func TestEveryRowHasATest(t *testing.T) {
	var names []string
	for pattern, name := range map[string]string{
		"*_test.go": `(?m)^func ((?:Test|Fuzz)\w+)`, "*/*_test.go": `(?m)^func ((?:Test|Fuzz)\w+)`, "../../test/partial*.bats": `(?m)^@test "(.*)" \{`,
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(name).FindAllStringSubmatch(string(data), -1) {
				names = append(names, m[1])
			}
		}
	}
	all := strings.Join(names, "\n")
	for row := 1; row <= 42; row++ {
		if !regexp.MustCompile(fmt.Sprintf(`A%d(\D|$)`, row)).MatchString(all) {
			t.Errorf("no test is named after row A%d", row)
		}
	}
}
