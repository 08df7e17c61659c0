// SPDX-License-Identifier: Apache-2.0

//go:build !lean

// Package reference writes manual pages and the reference of the commands from the command tree.
package reference

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/version"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type referenceOptions struct {
	man  bool
	root *cobra.Command
}

// New returns the hidden command `reference`, which make install calls; docs/decisions/0048.
func New(g *cli.Global) *cobra.Command { return newReference(g, write) }

func newReference(g *cli.Global, run cli.Run[*referenceOptions]) *cobra.Command {
	var o referenceOptions
	cmd := &cobra.Command{
		Use:    "reference [options] DIR",
		Short:  "Write the reference of all commands to a directory",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.root = cmd.Root()
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVar(&o.man, "man", false, "write manual pages for section 1, not Markdown")
	return cmd
}

func write(_ context.Context, call cli.Call, o *referenceOptions) error {
	dir := call.Args[0]
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	for name, text := range Pages(o.root, o.man) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// Pages are the pages of all commands of a tree by the names of their files: manual pages, or Markdown.
func Pages(root *cobra.Command, man bool) map[string]string {
	pages := map[string]string{}
	var add func(cmd *cobra.Command)
	add = func(cmd *cobra.Command) {
		cmd.InitDefaultHelpFlag()
		if man {
			pages[pageName(cmd)+".1"] = manual(cmd)
		} else {
			pages[pageName(cmd)+".md"] = markdown(cmd)
		}
		for _, c := range below(cmd) {
			add(c)
		}
	}
	add(root)
	return pages
}

// below are the commands of a group that a user may call.
func below(cmd *cobra.Command) (list []*cobra.Command) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			list = append(list, c)
		}
	}
	return list
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

func useLine(cmd *cobra.Command) string {
	if len(below(cmd)) > 0 {
		return cmd.CommandPath() + " [options] COMMAND"
	}
	return cmd.UseLine()
}

func description(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return strings.TrimSuffix(cmd.Short, ".") + "."
}

func examples(cmd *cobra.Command) (lines []string) {
	for line := range strings.Lines(cmd.Example) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// option is a flag as both formats show it: the value's name is empty for one without.
func eachOption(cmd *cobra.Command, do func(f *pflag.Flag, value, usage string)) {
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" && f.DefValue != "[]" && !strings.Contains(usage, "(default") {
			usage += fmt.Sprintf(" (default %s)", f.DefValue)
		}
		do(f, value, usage)
	})
}

func manual(cmd *cobra.Command) string {
	var b strings.Builder
	section := func(name string) { fmt.Fprintf(&b, ".SH %s\n", name) }
	fmt.Fprintf(&b, ".TH %s 1 \"\" \"Berth %s\" \"Berth's commands\"\n", roff(strings.ToUpper(pageName(cmd))), version.Version)
	b.WriteString(".ad l\n") // words such as long options cannot be spread over a line
	section("NAME")
	fmt.Fprintf(&b, "%s \\- %s\n", roff(pageName(cmd)), roff(cmd.Short))
	section("SYNOPSIS")
	fmt.Fprintf(&b, ".B %s\n%s\n", roff(cmd.CommandPath()), roff(strings.TrimPrefix(useLine(cmd), cmd.CommandPath()+" ")))
	section("DESCRIPTION")
	fmt.Fprintf(&b, "%s\n", roff(description(cmd)))
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, ".PP\nAlso: %s\n", roff(strings.Join(cmd.Aliases, ", ")))
	}
	if list := below(cmd); len(list) > 0 {
		section("COMMANDS")
		for _, c := range list {
			fmt.Fprintf(&b, ".TP\n.BR %s (1)\n%s\n", roff(pageName(c)), roff(c.Short))
		}
	}
	section("OPTIONS")
	eachOption(cmd, func(f *pflag.Flag, value, usage string) {
		b.WriteString(".TP\n")
		if f.Shorthand != "" {
			fmt.Fprintf(&b, "\\fB\\-%s\\fR, ", f.Shorthand)
		}
		fmt.Fprintf(&b, "\\fB\\-\\-%s\\fR", roff(f.Name))
		if value != "" {
			fmt.Fprintf(&b, " \\fI%s\\fR", roff(value))
		}
		fmt.Fprintf(&b, "\n%s\n", roff(usage))
	})
	if lines := examples(cmd); len(lines) > 0 {
		section("EXAMPLES")
		fmt.Fprintf(&b, ".nf\n%s\n.fi\n", roff(strings.Join(lines, "\n")))
	}
	if cmd.HasParent() {
		section("SEE ALSO")
		fmt.Fprintf(&b, ".BR %s (1)\n", roff(pageName(cmd.Parent())))
		if cmd.Parent().HasParent() {
			b.WriteString(".BR berth (1)\n")
		}
	}
	return b.String()
}

// roff is text that troff takes for itself: a dash is no hyphen, and a line that begins with a dot no request.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, "…", "...").Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func markdown(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n\n```\n%s\n```\n", cmd.CommandPath(), description(cmd), useLine(cmd))
	if len(cmd.Aliases) > 0 {
		fmt.Fprintf(&b, "\nAlso: `%s`\n", strings.Join(cmd.Aliases, "`, `"))
	}
	if list := below(cmd); len(list) > 0 {
		b.WriteString("\n## Commands\n\n| command | what it does |\n| --- | --- |\n")
		for _, c := range list {
			fmt.Fprintf(&b, "| [%s](%s.md) | %s |\n", c.CommandPath(), pageName(c), cell(c.Short))
		}
	}
	b.WriteString("\n## Options\n\n| option | what it does |\n| --- | --- |\n")
	eachOption(cmd, func(f *pflag.Flag, value, usage string) {
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", cell(strings.TrimSpace(name+" "+value)), cell(usage))
	})
	if lines := examples(cmd); len(lines) > 0 {
		fmt.Fprintf(&b, "\n## Examples\n\n```\n%s\n```\n", strings.Join(lines, "\n"))
	}
	if cmd.HasParent() {
		fmt.Fprintf(&b, "\nSee also: [%s](%s.md)\n", cmd.Parent().CommandPath(), pageName(cmd.Parent()))
	}
	return b.String()
}

// cell is text of one cell of a table.
func cell(text string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text) }
