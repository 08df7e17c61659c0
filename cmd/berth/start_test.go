// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"strings"
	"testing"
)

// Every command of the program that starts fast would compile a regular expression that a package of it has in a variable: 0.1 ms
// for some. docs/decisions/0046 tells of those that libraries have.
func TestNothingIsCompiledAtTheStart(t *testing.T) {
	const format = `{{if and .Module .Module.Main}}{{range .GoFiles}}{{$.Dir}}/{{.}}{{"\n"}}{{end}}{{end}}`
	out, err := exec.Command("go", "list", "-deps", "-f", format, "-tags",
		"exclude_graphdriver_btrfs containers_image_openpgp seccomp apparmor lean", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := strings.Fields(string(out))
	if len(files) < 100 {
		t.Fatalf("go list has found %d files", len(files))
	}
	fset := token.NewFileSet()
	for _, name := range files {
		file, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			ast.Inspect(decl, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.FuncDecl, *ast.FuncLit: // runs when it is called
					return false
				case *ast.SelectorExpr:
					if pkg, ok := n.X.(*ast.Ident); ok && pkg.Name == "regexp" && strings.HasPrefix(n.Sel.Name, "MustCompile") {
						t.Errorf("%s: compiled by every command: use sync.OnceValue", fset.Position(n.Pos()))
					}
				}
				return true
			})
		}
	}
}
