// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
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

// pastTheScreens are the ways to print that output.go alone may use.
var pastTheScreens = regexp.MustCompile(`^(os\.(Stdout|Stderr)|json\.NewEncoder|report\.(New|NewTemplate|Headers)|formats\.(New|NewTemplate)|tabwriter\..*|template\.(New|Must)|fmt\.Print.*|log\.(Print|Fatal|Panic).*|syscall\.Write|unix\.Write|\.Printf|\.Println)$`)

// asTheyAre says which files print bytes as they are, and why they may.
var asTheyAre = map[string]string{
	"build.go":        "RUN's own output; package build shows the rest",
	"build_docker.go": "an archive",
	"exec.go":         "a container's streams",
	"logs.go":         "a container's streams",
	"run.go":          "a container's streams",
	"save.go":         "an archive",
	"partial.go":      "a container file in a pipe",
	"terminal.go":     "asks for the size",
}

// elsewhere says which files below the module's root name os.Stdout or os.Stderr outside of the command, and why they may.
var elsewhere = map[string]string{
	"build/copier/get.go":          "a helper's pipe",
	"build/copier/copier.go":       "a helper's pipe",
	"build/userfile.go":            "a helper's pipe",
	"build/confine/confine.go":     "a helper's pipe",
	"libctr/monitor_start.go":      "for debugging",
	"network/udprelay/udprelay.go": "a helper's pipe",
	"cmd/berth-monitor/main.go":    "no user starts it",
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

// What is printed goes through output.go: a table, a template or an error of a new command is shown harmlessly without
// anybody thinking of it.
func TestNothingIsPrintedPastTheScreens(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") || file == "output.go" {
			continue
		}
		calls(t, file, func(name string, at token.Position) {
			switch {
			case pastTheScreens.MatchString(name), name == "print" || name == "println":
				if name != "print" || file != "events.go" { // a variable's name there
					t.Errorf("%s: %s: print through stdout, stderr, printColumns, printTemplate or printJSON of output.go", at, name)
				}
			case name == "asIs", name == "exact", name == "stdout.file", name == "stderr.file":
				used[file] = true
				if asTheyAre[file] == "" {
					t.Errorf("%s: %s: say in asTheyAre why bytes may be printed as they are", at, name)
				}
			}
		})
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

func TestTemplates(t *testing.T) {
	type row struct {
		Name  string
		Any   any
		Error error
	}
	const evil = "a\x1b[31m\tb\nc\u202e\xff"
	const shown = `a\x1b[31m\tb\nc\u202e\xff`
	headings := map[string]string{"Name": "NAME", "Any": "ANY", "Error": "ERROR"}
	for _, tc := range []struct {
		format   string
		headings map[string]string
		want     string
	}{
		{"{{.Name}}", headings, evil + "\n"},
		{`{{.Name}}\t{{json .Any}}`, nil, evil + "\t" + `["\u001b\u007f\u009b"]` + "\n"},
		{"table {{.Name}}\t{{.Any}}", headings, "NAME                       ANY\n" + shown + `  [\x1b\x7f\u009b]` + "\n"},
		{"table {{.Name}} {{if true}}{{.Name}}{{else}}{{.Name}}{{end}}", nil, shown + "  " + shown + "\n"},
		{`table {{with $x := .Name}}{{$x}}{{end}}\t{{range $i, $y := .Any}}{{$y}}{{end}}`, nil, shown + `  \x1b\x7f\u009b` + "\n"},
		{`table {{block "y" .}}{{.Name}}{{end}}`, nil, shown + "\n"},
		{"table {{.Error}}", headings, "ERROR\n<no value>\n"},
	} {
		var b bytes.Buffer
		rt, err := parseTemplate(&b, "x", tc.format, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.format, err)
			continue
		}
		if err := rt.print([]row{{Name: evil, Any: []string{"\x1b\x7f\u009b"}}}, tc.headings); err != nil || b.String() != tc.want {
			t.Errorf("%s: %v\n got %q\nwant %q", tc.format, err, b.String(), tc.want)
		}
	}
	if _, err := parseTemplate(&bytes.Buffer{}, "x", "{{.Name", nil); err == nil || !strings.HasPrefix(err.Error(), "--format: ") {
		t.Errorf("a template that cannot be read: %v", err)
	}
	var b bytes.Buffer
	if err := printTemplate(&b, "x", "{{.Name}} {{.Nothing}}", []row{{Name: "a"}}, nil); err == nil || b.Len() > 0 {
		t.Errorf("a row that fails: %v, printed %q", err, b.String())
	}
}
