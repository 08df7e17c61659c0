// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// walk calls do for every command of the tree.
func walk(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		walk(c, do)
	}
}

func wholeTree() *cobra.Command {
	root, err := newRootCmd(&cli.Global{Argv: []string{"berth"}})
	if err != nil {
		panic(err)
	}
	return root
}

// enters lists the commands that work on layers or make processes in the user namespace, by their paths.
var enters = []string{
	"create", "run", "start", "rm", "restart", "cp", "container cp", "diff", "container diff", "export", "container export", "container create", "container run", "container start", "container rm", "container restart", "container prune", "init", "container init", "container cleanup", "container clone", "container checkpoint", "container restore",
	"pull", "push", "load", "save", "import", "tag", "untag", "rmi", "commit", "container commit", "build", "build-worker", "buildx build", "buildx create", "buildx rm",
	"image build", "image containerfile", "image diff", "image pull", "image push", "image load", "image save", "image import", "image tag", "image untag", "image rm", "image prune",
	"builder build", "builder prune", "buildx prune",
	"info", "system boot", "system info", "system check", "system df", "system prune", "system reset", "unshare", "cleanup", "volume rm", "volume prune", "volume export", "volume import", "volume stats", "volume reload", "network check",
}

func TestTheConstructorEntersForJustTheCommandsThatNeedIt(t *testing.T) {
	walk(wholeTree(), func(cmd *cobra.Command) {
		path := strings.TrimPrefix(cmd.CommandPath(), "berth ")
		if path == "berth" || cmd.HasSubCommands() || strings.HasPrefix(path, "partial") {
			return
		}
		argv := append([]string{"berth", "--log-level", "debug", "--root=/x"}, strings.Fields(path)...)
		if got, want := rootless.MustEnter(argv), slices.Contains(enters, path); got != want {
			t.Errorf("MustEnter(%q) = %v, want %v: see entering.c", argv, got, want)
		}
	})
}

func TestEveryGlobalFlagIsPassedOverByTheConstructor(t *testing.T) {
	root := wholeTree()
	for _, f := range []string{"root", "runroot", "tmpdir", "storage-driver", "storage-opt", "runtime", "runtime-flag", "cgroup-manager", "events-backend", "module", "log-level", "noout"} {
		flag := root.PersistentFlags().Lookup(f)
		if flag == nil {
			t.Errorf("there is no global flag --%s", f)
			continue
		}
		argv := []string{"berth", "--" + f}
		if flag.NoOptDefVal == "" {
			argv = append(argv, "run")
		}
		if !rootless.MustEnter(append(argv, "pull", "x")) || rootless.MustEnter(append(argv, "ps")) {
			t.Errorf("MustEnter(%q + command) does not find the command", argv)
		}
		if got := cli.CommandWord(root, append(argv, "ps")); got != "ps" {
			t.Errorf("commandWord(%q) = %q, want ps", append(argv, "ps"), got)
		}
	}
}

func TestEveryCommandHasHelpAndAnExample(t *testing.T) {
	walk(wholeTree(), func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" || cmd.Parent() != nil && cmd.Parent().Name() == "completion" {
			return
		}
		if cmd.Short == "" {
			t.Errorf("%s has no description", cmd.CommandPath())
		}
		if !cmd.HasSubCommands() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
	})
}

func TestTheShortTreeOfAFrequentCommandIsTheSame(t *testing.T) {
	for name := range frequentCommands() {
		short, err := newRootCmd(&cli.Global{Argv: []string{"berth", "--root", "ps", name}})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(short.Commands()); n != 1 {
			t.Errorf("the tree for %s has %d commands, want 1", name, n)
		}
		whole, _, err := wholeTree().Find([]string{name})
		if err != nil || whole.UsageString() != short.Commands()[0].UsageString() {
			t.Errorf("%s differs in the whole tree (%v)", name, err)
		}
	}
}

func TestNoFlagNamesTwoDefaults(t *testing.T) {
	walk(wholeTree(), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if line := pflagLine(f); strings.Count(line, "(default") > 1 {
				t.Errorf("%s --%s: %s", cmd.CommandPath(), f.Name, line)
			}
		})
	})
}

// pflagLine is a flag's line in the help.
func pflagLine(f *pflag.Flag) string {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.AddFlag(f)
	return strings.TrimSpace(fs.FlagUsages())
}

func TestNoCommandStandsTwiceInAHelp(t *testing.T) {
	walk(wholeTree(), func(cmd *cobra.Command) {
		seen := map[string]bool{}
		for _, c := range cmd.Commands() {
			for _, name := range append([]string{c.Name()}, c.Aliases...) {
				if seen[name] {
					t.Errorf("%s has %s twice", cmd.CommandPath(), name)
				}
				seen[name] = true
			}
		}
	})
}

func TestHelpIsIndentedAndLeavesGlobalFlagsToTheRoot(t *testing.T) {
	walk(wholeTree(), func(cmd *cobra.Command) {
		if cmd.Parent() != nil && cmd.Parent().Name() == "completion" {
			return // cobra's own
		}
		text := cmd.UsageString()
		if strings.Contains(text, "[flags]") || cmd.HasParent() && strings.Contains(text, "--cgroup-manager") != (cmd.LocalNonPersistentFlags().Lookup("cgroup-manager") != nil) {
			t.Errorf("%s:\n%s", cmd.CommandPath(), text)
		}
		_, examples, _ := strings.Cut(text, "\nExamples:\n")
		for line := range strings.Lines(examples) {
			if line == "\n" {
				break
			}
			if !strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "   ") {
				t.Errorf("%s: an example that is not indented by two: %q", cmd.CommandPath(), line)
			}
		}
	})
}

func TestWordsThatAreNoCommands(t *testing.T) {
	for line, want := range map[string]struct{ err, hint string }{
		"statistics --no-stream":         {`unknown command "statistics" for "berth"`, "see: berth --help"},
		"--root /x psx -a":               {`unknown command "psx" for "berth"`, "did you mean: berth ps"},
		"container lss --all":            {`unknown command "lss" for "berth container"`, "did you mean: berth container ls"},
		"--log-level debug image lst -q": {`unknown command "lst" for "berth image"`, "did you mean: berth image list"},
		"volume --root /x rmm a":         {`unknown command "rmm" for "berth volume"`, "did you mean: berth volume rm"},
		"system chekc --repair":          {`unknown command "chekc" for "berth system"`, "did you mean: berth system check"},
		"run --nam x":                    {"berth run: --nam is not supported", "did you mean: berth run --name"},
		"ps --formt x":                   {"berth ps: --formt is not supported", "did you mean: berth ps --format"},
		"image rm --forse x":             {"berth image rm: --forse is not supported", "did you mean: berth image rm --force"},
		"run --isolation hyperv hello":   {"berth run: --isolation is not supported", "see: berth run --help"},
		"run":                            {"berth run requires at least 1 argument, got 0", "usage: berth run [options] IMAGE [COMMAND [ARG...]]"},
		"tag a":                          {"berth tag requires at least 2 arguments, got 1", "usage: berth tag IMAGE NAME [NAME...]"},
		"rename a":                       {"berth rename requires 2 arguments, got 1", "usage: berth rename CONTAINER NAME"},
		"container rename a b c":         {"berth container rename requires 2 arguments, got 3", "usage: berth container rename CONTAINER NAME"},
		"info x":                         {"berth info takes no arguments, got 1", "usage: berth info [options]"},
		"build a b":                      {"berth build takes at most 1 argument, got 2", "usage: berth build [options] [CONTEXT]"},
	} {
		argv := append([]string{"berth"}, strings.Fields(line)...)
		root, err := newRootCmd(&cli.Global{Argv: argv})
		if err == nil {
			root.SetArgs(argv[1:])
			err = root.Execute()
		}
		if err == nil || err.Error() != want.err {
			t.Errorf("%s: %v, want %s", line, err, want.err)
			continue
		}
		if h := cli.Hints(err); len(h) != 1 || h[0] != want.hint {
			t.Errorf("%s: hints %q, want %q", line, h, want.hint)
		}
	}
}

func TestTheShellsKnowEveryArgument(t *testing.T) {
	walk(wholeTree(), func(cmd *cobra.Command) {
		if unknown := cli.UnknownArguments(cmd.Use); unknown != nil {
			t.Errorf("%s: %q: say in internal/cli/complete.go what %v are", cmd.CommandPath(), cmd.Use, unknown)
		}
	})
}
