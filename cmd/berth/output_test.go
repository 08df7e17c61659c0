// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// pastTheScreens are the ways to print that package console alone may use.
var pastTheScreens = regexp.MustCompile(`^(os\.(Stdout|Stderr)|json\.NewEncoder|report\.(New|NewTemplate|Headers)|formats\.(New|NewTemplate)|tabwriter\..*|template\.(New|Must)|fmt\.Print.*|log\.(Print|Fatal|Panic).*|syscall\.Write|unix\.Write|\.Printf|\.Println)$`)

// asTheyAre says which files print bytes as they are, and why they may.
var asTheyAre = map[string]string{
	"internal/build/build.go":          "RUN's own output; package build shows the rest",
	"internal/build/worker.go":         "events for the process that asked for the build",
	"internal/container/attachment.go": "a container's streams",
	"internal/container/cp.go":         "an archive",
	"internal/container/exec.go":       "a container's streams",
	"internal/container/run.go":        "a container's streams",
	"internal/container/export.go":     "an archive",
	"internal/container/init.go":       "a container's streams",
	"internal/image/save.go":           "an archive",
	"internal/live/live.go":            "whether it is a terminal, and that of a shell",
	"internal/partial/partial.go":      "a container file in a pipe",
	"internal/volume/export.go":        "an archive",
}

// elsewhere says which files below the module's root name os.Stdout or os.Stderr outside of the command, and why they may.
var elsewhere = map[string]string{
	"build/copier/get.go":       "a helper's pipe",
	"build/copier/copier.go":    "a helper's pipe",
	"build/userfile.go":         "a helper's pipe",
	"build/confine/confine.go":  "a helper's pipe",
	"build/git.go":              "a helper in place of git",
	"build/packer.go":           "a helper's pipe",
	"libctr/monitor_start.go":   "for debugging",
	"network/udprelay/main.go":  "a helper's pipe",
	"cmd/berth-monitor/main.go": "no user starts it",
}

// calls calls do for every selector (os.Stdout, cmd.Printf as .Printf) and every name of a function called in a Go file.
func calls(t *testing.T, file string, do func(name string, at token.Position)) {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && x.Name != "cmd" && x.Name != "c" {
				do(x.Name+"."+n.Sel.Name, set.Position(n.Pos()))
			} else if x, ok := n.X.(*ast.SelectorExpr); ok { // console.Out.File
				do(x.Sel.Name+"."+n.Sel.Name, set.Position(n.Pos()))
				if n.Sel.Name == "Printf" || n.Sel.Name == "Println" {
					do("."+n.Sel.Name, set.Position(n.Pos()))
				}
			} else if n.Sel.Name == "Printf" || n.Sel.Name == "Println" {
				do("."+n.Sel.Name, set.Position(n.Pos()))
			}
		case *ast.CallExpr:
			if x, ok := n.Fun.(*ast.Ident); ok {
				do(x.Name, set.Position(n.Pos()))
			}
		}
		return true
	})
}

// What is printed goes through package console: a table, a template or an error of a new command is shown harmlessly without
// anybody thinking of it.
func TestNothingIsPrintedPastTheScreens(t *testing.T) {
	used := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || filepath.Dir(file) == filepath.Join("internal", "console") {
			return err
		}
		calls(t, file, func(name string, at token.Position) {
			switch {
			case pastTheScreens.MatchString(name), name == "print" || name == "println":
				t.Errorf("%s: %s: print through the call's Out and Err, with Columns, PrintTemplate or JSON of package console", at, name)
			case name == "console.AsIs", name == "console.Exact", name == "Out.File", name == "Err.File":
				used[file] = true
				if asTheyAre[file] == "" {
					t.Errorf("%s: %s: say in asTheyAre why bytes may be printed as they are", at, name)
				}
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for file := range asTheyAre {
		if !used[file] {
			t.Errorf("%s prints nothing as it is: take it out of asTheyAre", file)
		}
	}
	root := filepath.Join("..", "..")
	for _, dir := range []string{"build", "libctr", "network", "rootless", "internal", "cmd/berth-monitor"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil || elsewhere[filepath.ToSlash(name)] != "" {
				return err
			}
			calls(t, path, func(called string, at token.Position) {
				if called == "os.Stdout" || called == "os.Stderr" || strings.HasPrefix(called, "fmt.Print") || called == "println" {
					t.Errorf("%s: %s: libraries print nothing", at, called)
				}
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Every command has its line in test/terminal.bats, or below where the same command stands at another place.
func TestEveryCommandIsTriedOnATerminal(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "test", "terminal.bats"))
	if err != nil {
		t.Fatal(err)
	}
	tried := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:shows|tells)(?: -\w+)* "([a-z -]+)"`).FindAllStringSubmatch(string(data), -1) {
		tried[m[1]] = true
	}
	var paths []string
	walk(wholeTree(), func(cmd *cobra.Command) {
		if path := strings.TrimPrefix(cmd.CommandPath(), "berth "); path != "berth" && !cmd.HasSubCommands() {
			paths = append(paths, path)
		}
	})
	for _, path := range paths {
		group, name, below := strings.Cut(path, " ")
		same := below && slices.Contains([]string{"container", "image", "system", "buildx", "builder"}, group) && slices.Contains(paths, name) && tried[name]
		if !tried[path] && !same && group != "completion" && group != "help" {
			t.Errorf("test/terminal.bats does not try %q with hostile texts: add a line `shows \"%s\" …`, or `tells` if it prints nobody's text but errors", path, path)
		}
	}
}
