// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/nearest"
	"github.com/spf13/cobra"
)

// ShareWords gives each command of a tree what all of them share: errors about arguments that name the command, and examples
// that are indented.
func ShareWords(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return argsError(cmd, len(args), check(cmd, args)) }
	}
	for _, c := range cmd.Commands() {
		ShareWords(c)
	}
}

// argsError says in whole words what cobra found wrong with the number of arguments.
func argsError(cmd *cobra.Command, got int, err error) error {
	if err == nil {
		return nil
	}
	var n, m int
	text, want := err.Error(), ""
	switch {
	case scan(text, "requires at least %d arg(s)", &n):
		want = "requires at least " + arguments(n)
	case scan(text, "accepts at most %d arg(s)", &n):
		want = "takes at most " + arguments(n)
	case scan(text, "accepts between %d and %d arg(s)", &n, &m):
		want = fmt.Sprintf("takes %d to %s", n, arguments(m))
	case scan(text, "accepts %d arg(s)", &n):
		want = "requires " + arguments(n)
	case strings.HasPrefix(text, "unknown command"): // cobra.NoArgs
		want = "takes no arguments"
	default:
		return err
	}
	return hint.Add(fmt.Errorf("%s %s, got %d", cmd.CommandPath(), want, got), "usage: %s", cmd.UseLine())
}

func scan(text, format string, numbers ...any) bool {
	_, err := fmt.Sscanf(text, format, numbers...)
	return err == nil
}

func arguments(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return fmt.Sprintf("%d arguments", n)
}

// Usage prints how a command is used; --help prints its description first.
func Usage(cmd *cobra.Command) error {
	var b strings.Builder
	section := func(title, text string) {
		if text = strings.Trim(text, "\n"); text != "" {
			fmt.Fprintf(&b, "\n%s:\n%s\n", title, text)
		}
	}
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		line = cmd.CommandPath() + " [options] COMMAND"
	}
	section("Usage", "  "+line)
	if len(cmd.Aliases) > 0 {
		section("Aliases", "  "+cmd.NameAndAliases())
	}
	var examples, commands strings.Builder
	for e := range strings.Lines(cmd.Example) {
		if e = strings.TrimSpace(e); e != "" {
			fmt.Fprintf(&examples, "  %s\n", e)
		}
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			fmt.Fprintf(&commands, "  %-*s  %s\n", c.NamePadding(), c.Name(), c.Short)
		}
	}
	section("Examples", examples.String())
	section("Commands", commands.String())
	section("Options", cmd.LocalFlags().FlagUsages())
	if cmd.HasParent() {
		fmt.Fprintf(&b, "\nRun \"%s --help\" for the global options.\n", cmd.Root().Name())
	}
	_, err := fmt.Fprint(cmd.OutOrStderr(), strings.TrimPrefix(b.String(), "\n"))
	return err
}

// CheckWords refuses a word that no command has in its place, before the flags behind it are taken for flags of the
// command before it.
func CheckWords(root *cobra.Command, argv []string) error {
	cmd := root
	for i := 1; i < len(argv) && cmd.HasSubCommands(); i++ {
		word := argv[i]
		if name, isFlag := strings.CutPrefix(word, "--"); isFlag || strings.HasPrefix(word, "-") {
			flag := root.PersistentFlags().Lookup(name)
			if flag == nil {
				return nil // one of the command's own, or a wrong one
			}
			if flag.NoOptDefVal == "" {
				i++ // its value is the next word
			}
			continue
		}
		if strings.HasPrefix(word, "__complete") {
			return nil // cobra's own, for the shells
		}
		next := subcommand(cmd, word)
		if next == nil {
			return UnknownCommand(cmd, word)
		}
		cmd = next
	}
	return nil
}

func subcommand(cmd *cobra.Command, word string) *cobra.Command {
	for _, c := range cmd.Commands() {
		if c.Name() == word || c.HasAlias(word) {
			return c
		}
	}
	return nil
}

// UnknownCommand is the error for a word that names no command below cmd, with the one that was perhaps meant.
func UnknownCommand(cmd *cobra.Command, word string) error {
	err := fmt.Errorf("unknown command %q for %q", word, cmd.CommandPath())
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(append(known, c.Name()), c.Aliases...)
		}
	}
	if s := nearest.Word(word, known); s != "" {
		return hint.Add(err, "did you mean: %s %s", cmd.CommandPath(), s)
	}
	return hint.Add(err, "see: %s --help", cmd.CommandPath())
}
