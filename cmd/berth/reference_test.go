// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/berth-containers/berth/cmd/berth/internal/reference"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What make install writes has each command, with all that its help has.
func TestTheReferenceHasEverything(t *testing.T) {
	for _, man := range []bool{true, false} {
		root := wholeTree()
		pages := reference.Pages(root, man)
		walk(root, func(cmd *cobra.Command) {
			if !shown(cmd) {
				return
			}
			name := strings.ReplaceAll(cmd.CommandPath(), " ", "-") + map[bool]string{true: ".1", false: ".md"}[man]
			page, ok := pages[name]
			if !ok {
				t.Errorf("there is no page %s", name)
				return
			}
			delete(pages, name)
			plain := strings.NewReplacer(`\-`, "-", `\(aq`, "'", `\e`, `\`, `\(ga`, "`", `\(ha`, "^", `\(ti`, "~", `\fB`, "", `\fR`, "", `\fI`, "", `\|`, "|").Replace(page)
			want := []string{cmd.Short}
			cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if !f.Hidden {
					want = append(want, "--"+f.Name)
				}
			})
			for line := range strings.Lines(cmd.Example) {
				want = append(want, strings.TrimSpace(line))
			}
			for _, w := range want {
				if w = strings.TrimSuffix(w, "."); !strings.Contains(plain, w) && (man || w != cmd.Short || cmd.Long == "") {
					t.Errorf("%s does not say %q", name, w)
				}
			}
			for _, link := range regexp.MustCompile(`\]\((berth[^)]*)\)`).FindAllStringSubmatch(page, -1) {
				if !man && !strings.HasSuffix(link[1], ".md") {
					t.Errorf("%s links to %s", name, link[1])
				}
			}
		})
		for name := range pages {
			t.Errorf("%s is the page of no command", name)
		}
	}
}

// shown is whether a command and those above it are in the help.
func shown(cmd *cobra.Command) bool {
	for ; cmd.HasParent(); cmd = cmd.Parent() {
		if cmd.Hidden || cmd.Name() == "help" {
			return false
		}
	}
	return true
}
