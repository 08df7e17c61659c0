package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
)

// walk calls do for every command of the tree.
func walk(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		walk(c, do)
	}
}

func wholeTree() *cobra.Command {
	root, err := newRootCmd([]string{"berth"})
	if err != nil {
		panic(err)
	}
	return root
}

// enters lists the commands that work on layers or make processes in the user namespace, by their paths.
var enters = []string{
	"create", "run", "start", "rm", "restart", "container create", "container run", "container start", "container rm", "container restart", "container prune",
	"pull", "push", "load", "save", "import", "tag", "untag", "rmi", "commit", "container commit", "build", "buildx build",
	"image build", "image containerfile", "image pull", "image push", "image load", "image save", "image import", "image tag", "image untag", "image rm", "image prune",
	"builder build", "builder prune", "buildx prune",
	"info", "system info", "system check", "system df", "system prune", "unshare", "cleanup", "volume rm", "volume prune",
}

func TestTheConstructorEntersForJustTheCommandsThatNeedIt(t *testing.T) {
	walk(wholeTree(), func(cmd *cobra.Command) {
		path := strings.TrimPrefix(cmd.CommandPath(), "berth ")
		if path == "berth" || cmd.HasSubCommands() || strings.HasPrefix(path, "partial") {
			return
		}
		argv := append([]string{"berth", "--log-level", "debug", "--root=/x"}, strings.Fields(path)...)
		if got, want := rootless.MustEnter(argv), slices.Contains(enters, path); got != want {
			t.Errorf("MustEnter(%q) = %v, want %v: see entering in rootless/enter.c", argv, got, want)
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
		if got := commandWord(root, append(argv, "ps")); got != "ps" {
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
	for _, c := range frequentCommands() {
		short, err := newRootCmd([]string{"berth", "--root", "ps", c.name, "ps"})
		if err != nil {
			t.Fatal(err)
		}
		if n := len(short.Commands()); n != 1 {
			t.Errorf("the tree for %s has %d commands, want 1", c.name, n)
		}
		whole, _, err := wholeTree().Find([]string{c.name})
		if err != nil || whole.UsageString() != short.Commands()[0].UsageString() {
			t.Errorf("%s differs in the whole tree (%v)", c.name, err)
		}
	}
}
