// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every example of every command has its line in test/examples.txt, and so test/examples.bats runs it, or a reason stands there.
func TestEveryExampleIsRun(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "test", "examples.txt"))
	if err != nil {
		t.Fatal(err)
	}
	run := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " ### ")
		if line != "" && !strings.HasPrefix(line, "# ") && !strings.HasPrefix(line, "$ ") && !strings.HasPrefix(line, "== ") {
			run[line] = false
		}
	}
	walk(wholeTree(), func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			if _, ok := run[line]; !ok {
				t.Errorf("%s: the example is not in test/examples.txt: add the line\n%s", cmd.CommandPath(), line)
			}
			run[line] = true
		}
	})
	for _, line := range slices.Sorted(maps.Keys(run)) {
		if !run[line] {
			t.Errorf("test/examples.txt: no command has the example\n%s", line)
		}
	}
}
