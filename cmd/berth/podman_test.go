// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

var update = flag.Bool("update", false, "write test/podman/supported.txt and docs/podman.md again")

const (
	podmanFacts = "../../test/podman"
	podmanPage  = "../../docs/podman.md"
)

// item is something that podman has: see test/podman/README.md.
type item struct {
	command string // as podman's user writes it; empty for the global flags
	kind    string // one of itemKinds
	name    string
}

var itemKinds = []string{"commands", "flags", "fields of `--format`", "keys of `--filter`"}

func (it item) String() string {
	return strings.TrimSpace(cmp.Or(it.command, "(global)") + " " + it.name)
}

// What podman 5.8.2 has, Berth has, or test/podman/different.tsv says why not, or docs/podman.md lists it as missing; what
// Berth has had once it keeps.
func TestPodmansCommands(t *testing.T) {
	tree := wholeTree()
	all := podmansItems(t)
	supported := map[item]bool{}
	for _, it := range all {
		supported[it] = has(tree, it)
	}
	listed := map[string]bool{}
	for _, line := range factLines(t, "supported.txt") {
		listed[line] = true
	}
	known := map[string]item{}
	for _, it := range all {
		known[it.String()] = it
	}
	for _, line := range slices.Sorted(maps.Keys(listed)) {
		if it, ok := known[line]; !ok {
			t.Errorf("test/podman/supported.txt: podman has no %q", line)
		} else if !supported[it] {
			t.Errorf("lost: berth had podman's %q. If that is on purpose, take the line out of test/podman/supported.txt, and say why in test/podman/different.tsv", line)
		}
	}
	for it, ok := range supported {
		if ok {
			listed[it.String()] = true
		}
	}
	list := strings.Join(slices.Sorted(maps.Keys(listed)), "\n") + "\n"
	isMade(t, filepath.Join(podmanFacts, "supported.txt"), list)
	isMade(t, podmanPage, podmansPage(t, all, supported))
}

// isMade checks that a file is what it would be made as now, or makes it.
func isMade(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	switch {
	case err == nil && bytes.Equal(got, []byte(want)):
	case *update:
		if err := os.WriteFile(path, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("%s is out of date (%v). Run: make podman-table, and commit what it writes", path, err)
	}
}

// factLines are the lines of a file of test/podman.
func factLines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(podmanFacts, name))
	if os.IsNotExist(err) && *update {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

// facts are the lines of a table of test/podman, without the heading.
func facts(t *testing.T, name string) (rows [][]string) {
	for _, line := range factLines(t, name)[1:] {
		rows = append(rows, strings.Split(line, "\t"))
	}
	return rows
}

// podmansItems are all that podman has, in order.
func podmansItems(t *testing.T) []item {
	t.Helper()
	all := map[item]bool{}
	add := func(command, kind, name string) {
		if command == "(global)" {
			command = ""
		} else {
			all[item{command, itemKinds[0], ""}] = true
		}
		all[item{command, kind, name}] = true
	}
	for _, command := range factLines(t, "commands.txt") {
		add(command, itemKinds[0], "")
	}
	for _, row := range facts(t, "flags.tsv") {
		name := "--" + row[1]
		if row[2] != "" {
			name += " -" + row[2]
		}
		add(row[0], itemKinds[1], name)
	}
	for _, row := range facts(t, "fields.tsv") {
		add(row[0], itemKinds[2], fieldName(row[1]))
	}
	for _, row := range facts(t, "filters.tsv") {
		add(row[0], itemKinds[3], "--filter "+strings.TrimSuffix(row[1], "="))
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b item) int {
		return cmp.Or(cmp.Compare(a.command, b.command), cmp.Compare(slices.Index(itemKinds, a.kind), slices.Index(itemKinds, b.kind)), cmp.Compare(a.name, b.name))
	})
}

// fieldName is .A.B of what the shells are offered: {{.A.B}}, {{.A.B. or {{.A.B, for a method with an argument.
func fieldName(offered string) string {
	return strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(offered, "{{"), "}}"), ".")
}

// has checks whether Berth has it, too.
func has(tree *cobra.Command, it item) bool {
	cmd := tree
	if it.command != "" {
		var rest []string
		var err error
		cmd, rest, err = tree.Find(strings.Fields(it.command))
		if err != nil || len(rest) > 0 || cmd.Hidden {
			return false
		}
	}
	switch it.kind {
	case itemKinds[1]:
		return hasFlag(cmd, it.name)
	case itemKinds[2]:
		return slices.ContainsFunc(suggested(cmd, "format", "{{"+it.name), func(s string) bool { return fieldName(s) == it.name })
	case itemKinds[3]:
		return slices.Contains(suggested(cmd, "filter", ""), strings.TrimPrefix(it.name, "--filter ")+"=")
	}
	return true
}

func hasFlag(cmd *cobra.Command, name string) bool {
	cmd.InitDefaultHelpFlag()
	long, short, _ := strings.Cut(name, " ")
	f := cmd.LocalFlags().Lookup(strings.TrimPrefix(long, "--"))
	return f != nil && (short == "" || f.Shorthand == strings.TrimPrefix(short, "-"))
}

// suggested is what a flag offers the shells for the beginning of its value.
func suggested(cmd *cobra.Command, flag, begun string) []string {
	f := cmd.Flags().Lookup(flag)
	if f == nil {
		return nil
	}
	if s, ok := f.Value.(cli.Suggester); ok {
		return s.Suggest(begun)
	}
	return nil
}

// difference is a line of different.tsv.
type difference struct {
	pattern string
	is      *regexp.Regexp
	why     string
}

func differences(t *testing.T, all []item) (list []difference) {
	for _, line := range factLines(t, "different.tsv") {
		pattern, why, ok := strings.Cut(line, "\t")
		if !ok {
			t.Errorf("test/podman/different.tsv: no tab in %q", line)
			continue
		}
		is := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*") + "$")
		if !slices.ContainsFunc(all, func(it item) bool { return is.MatchString(it.String()) }) {
			t.Errorf("test/podman/different.tsv: podman has no %q", pattern)
		}
		list = append(list, difference{pattern, is, why})
	}
	return list
}

// group is the part of the page that a command stands in: that of the command of the same name below a group.
func group(command string, all []item) string {
	first, _, below := strings.Cut(command, " ")
	switch {
	case command == "":
		return "global flags"
	case below:
		return first
	case slices.Contains([]string{"images", "rmi", "login", "logout"}, command):
		return "image"
	case slices.Contains([]string{"version", "unshare", "auto-update"}, command):
		return "system"
	}
	for _, g := range []string{"container", "image", "system"} {
		if slices.ContainsFunc(all, func(it item) bool { return it.command == g+" "+command }) {
			return g
		}
	}
	return command
}

// count is how many of the items of a kind there are.
type count struct{ all, supported, different, later int }

// later are flags of containers that come with networks and pods, the groups that have no command yet.
var later = []string{"--ip", "--ip6", "--mac-address", "--network-alias", "--pod", "--pod-id-file", "--init-ctr"}

func (c count) String() string {
	if c.all == 0 {
		return ""
	}
	text := fmt.Sprintf("%d of %d, %.1f %%", c.supported, c.all, float64(c.supported)*100/float64(c.all))
	if c.different > 0 {
		text += fmt.Sprintf(" (%d on purpose)", c.different)
	}
	if c.later > 0 {
		text += fmt.Sprintf("; %.1f %% of those that need no networks or pods", float64(c.supported)*100/float64(c.all-c.later))
	}
	return text
}

// podmansPage is docs/podman.md.
func podmansPage(t *testing.T, all []item, supported map[item]bool) string {
	t.Helper()
	differ := differences(t, all)
	counts := map[string]map[string]*count{}
	missing := map[string][]item{}        // by command
	onPurpose := make([]int, len(differ)) // how many items a line of different.tsv is about
	for _, it := range all {
		g := group(it.command, all)
		if counts[g] == nil {
			counts[g] = map[string]*count{}
			for _, kind := range itemKinds {
				counts[g][kind] = &count{}
			}
		}
		c := counts[g][it.kind]
		c.all++
		why := slices.IndexFunc(differ, func(d difference) bool { return d.is.MatchString(it.String()) })
		switch {
		case supported[it]:
			c.supported++
		case why >= 0:
			c.different++
			onPurpose[why]++
		default:
			if g == "container" && it.kind == itemKinds[1] && slices.Contains(later, strings.Fields(it.name)[0]) {
				c.later++
			}
			missing[it.command] = append(missing[it.command], it)
		}
	}
	var b strings.Builder
	b.WriteString(`<!-- Made by make podman-table from test/podman and the command tree. Do not edit. -->

# Podman 5.8.2's commands in Berth

What podman has, and how much of it Berth has: commands, flags with their short forms, fields of ` + "`--format`" + ` and keys of ` + "`--filter`" + `.
Where Berth has something but does it in another way is in [compatibility.md](compatibility.md). How this page is made: [test/podman](../test/podman/README.md).

## Shares

| group | ` + strings.Join(itemKinds, " | ") + ` |
| --- |` + strings.Repeat(" --- |", len(itemKinds)) + "\n")
	groups := slices.Sorted(maps.Keys(counts))
	for _, g := range groups {
		fmt.Fprintf(&b, "| %s |", g)
		for _, kind := range itemKinds {
			fmt.Fprintf(&b, " %s |", counts[g][kind])
		}
		b.WriteString("\n")
	}
	b.WriteString("\n## Different on purpose\n\n| what | why |\n| --- | --- |\n")
	for i, d := range differ {
		if onPurpose[i] > 0 {
			fmt.Fprintf(&b, "| `%s` | %s |\n", d.pattern, d.why)
		}
	}
	b.WriteString("\n## Not yet\n\n| command | what is missing |\n| --- | --- |\n")
	for _, command := range slices.Sorted(maps.Keys(missing)) {
		fmt.Fprintf(&b, "| `%s` | %s |\n", cmp.Or(command, "(global)"), strings.Join(missingNames(missing[command]), " "))
	}
	return b.String()
}

// missingNames are the names of a command's items; a field stands for those below it, and a command for all that it has.
func missingNames(items []item) (names []string) {
	if items[0].kind == itemKinds[0] {
		return []string{"the command"}
	}
	under := " " // the last field that is listed
	for _, it := range items {
		if it.kind == itemKinds[2] && strings.HasPrefix(it.name, under+".") {
			continue
		}
		under = it.name
		names = append(names, "`"+it.name+"`")
	}
	return names
}

// What the shells and docs/podman.md know of a command's --format and --filter, the flags say themselves.
func TestFormatsAndFiltersAreKnown(t *testing.T) {
	walk(wholeTree(), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			how := map[string]string{"format": "cli.Fields", "filter": "cli.FilterKeys"}[f.Name]
			if _, ok := f.Value.(cli.Suggester); how != "" && !ok && (f.Name == "filter" || strings.Contains(f.Usage, "template")) {
				t.Errorf("%s --%s: say with %s what it knows", cmd.CommandPath(), f.Name, how)
			}
		})
	})
}
