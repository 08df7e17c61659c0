// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/spf13/pflag"
)

// Each command of the libraries' is one of the command line's, with the flags that it is given.
func TestEveryVerbOfTheLibrariesIsACommand(t *testing.T) {
	quoted := regexp.MustCompile(`'[^']*'`)
	for verb, names := range hint.Verbs() {
		line := cli.CommandLine(hint.To(verb, []string{"NAME", "WORD"}[:names]...))
		words := strings.Fields(quoted.ReplaceAllString(line, "X"))
		cmd, rest, err := wholeTree().Find(words[1:])
		if err != nil || !cmd.HasParent() || cmd.HasSubCommands() {
			t.Errorf("%q is %q, which is no command (%v)", verb, line, err)
			continue
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("%q is %q: %v", verb, line, err)
		}
		given := cmd.Flags().Args()
		cmd.Flags().Visit(func(f *pflag.Flag) { given = append(given, f.Value.String()) })
		for _, name := range []string{"NAME", "WORD"}[:names] {
			if !slices.Contains(given, name) {
				t.Errorf("%q is %q, where %s is neither an argument nor a flag's value", verb, line, name)
			}
		}
	}
}

// ownWords says which files of the libraries have words of the command line, and why they may.
var ownWords = map[string]string{
	"build/sbom.go": "goes into the scanner's document",
}

// The libraries speak no front end's language: what an HTTP client or another program reads names no command line. See
// package hint for commands, and package field for flags.
func TestTheLibrariesNameNoCommandLines(t *testing.T) {
	var commands []string
	for _, c := range wholeTree().Commands() {
		commands = append(commands, c.Name())
	}
	commandLine := regexp.MustCompile(`\bberth (` + strings.Join(commands, "|") + `)\b`)
	used := map[string]bool{}
	root := filepath.Join("..", "..")
	for _, dir := range []string{"build", "doctor", "internal", "libctr", "network", "rootless"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			for at, text := range literals(t, path) {
				if !commandLine.MatchString(text) {
					continue
				}
				used[filepath.ToSlash(name)] = true
				if ownWords[filepath.ToSlash(name)] == "" {
					t.Errorf("%s: %s names a command line: use hint.To", at, text)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name := range ownWords {
		if !used[name] {
			t.Errorf("%s names no command line: take it out of ownWords", name)
		}
	}
}

// A hint of the libraries names flags as fields.
func TestHintsNameNoFlags(t *testing.T) {
	flag := regexp.MustCompile(`(^|[ =(])--[a-z]`)
	others := regexp.MustCompile(`pasta --help|systemd-run `) // programs with flags of their own
	for _, dir := range []string{"build", "libctr", "network", "rootless"} {
		err := filepath.WalkDir(filepath.Join("..", "..", dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			set := token.NewFileSet()
			f, err := parser.ParseFile(set, path, nil, 0)
			if err != nil {
				return err
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				fun, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || !slices.Contains([]string{"Add", "Textf", "FixedBy"}, fun.Sel.Name) {
					return true
				}
				if pkg, ok := fun.X.(*ast.Ident); (!ok || pkg.Name != "hint") && fun.Sel.Name != "FixedBy" {
					return true
				}
				for _, arg := range call.Args {
					if lit, ok := arg.(*ast.BasicLit); ok && flag.MatchString(strings.Trim(lit.Value, "\"`")) && !others.MatchString(lit.Value) {
						t.Errorf("%s: %s names a flag: use a field.Name", set.Position(lit.Pos()), lit.Value)
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// literals are the strings in a Go file, but for imports and tags, by where they stand.
func literals(t *testing.T, path string) map[string]string {
	t.Helper()
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec, *ast.Field:
			if field, ok := n.(*ast.Field); ok && field.Tag == nil {
				return true
			}
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				all[set.Position(n.Pos()).String()] = n.Value
			}
		}
		return true
	})
	return all
}
