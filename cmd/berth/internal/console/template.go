// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/berth-containers/berth/internal/visible"
	"go.podman.io/common/pkg/report"
)

// Template is the Go template of --format. In a pipe it prints what the data has, byte by byte, as podman and docker do;
// a terminal is not driven. With "table " in front it prints a table, whose cells are made visible everywhere.
type Template struct {
	out   io.Writer
	t     *template.Template
	table bool
}

// ParseTemplate reads the value of --format; command names it in errors. The functions are podman's, and more.
func ParseTemplate(out io.Writer, command, format string, more template.FuncMap) (*Template, error) {
	rt := &Template{out: out, table: report.HasTable(format)}
	funcs := template.FuncMap{}
	maps.Copy(funcs, template.FuncMap(report.DefaultFuncs))
	maps.Copy(funcs, more)
	funcs["json"] = func(v any) (string, error) {
		data, err := encodeJSON(v, "")
		return strings.TrimSpace(string(data)), err
	}
	funcs[cellFunc] = cell
	// As in podman: \n and \t are what they stand for, unless {{printf "\n"}} and the like then cannot be read.
	plain := strings.TrimPrefix(format, "table ")
	var err error
	for _, text := range []string{report.NormalizeFormat(format), plain} {
		if rt.table {
			text = "{{range .}}" + text + "{{end -}}"
		} else {
			text = report.EnforceRange(text)
		}
		if rt.t, err = template.New(command).Funcs(funcs).Parse(text); err == nil {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("--format: %w", err)
	}
	if rt.table {
		for _, t := range rt.t.Templates() {
			showCells(t.Root)
		}
	}
	return rt, nil
}

// Print prints the rows, a slice; above those of a table the headings, each by the name of its field, if there are any.
// Nothing is printed if a row fails.
func (rt *Template) Print(rows any, headings map[string]string) error {
	var b bytes.Buffer
	if rt.table && headings != nil {
		if err := rt.t.Execute(&b, []map[string]string{headings}); err != nil {
			return fmt.Errorf("--format: %w", err)
		}
	}
	if err := rt.t.Execute(&b, rows); err != nil {
		return fmt.Errorf("--format: %w", err)
	}
	if rt.table {
		var cells [][]string
		for line := range strings.Lines(b.String()) {
			cells = append(cells, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
		}
		return Columns(rt.out, cells)
	}
	_, err := Exact(rt.out).Write(b.Bytes())
	return err
}

// PrintTemplate prints rows, a slice, through the value of --format.
func PrintTemplate(out io.Writer, command, format string, rows any, headings map[string]string) error {
	t, err := ParseTemplate(out, command, format, nil)
	if err != nil {
		return err
	}
	return t.Print(rows, headings)
}

// cellFunc is the function that showCells adds to the end of what is printed.
const cellFunc = "_cell"

// showCells has each value that the template prints become a text of one line: a tab or a line end in it would be one of the
// table's.
func showCells(n parse.Node) {
	branch := func(b *parse.BranchNode) {
		showCells(b.List)
		showCells(b.ElseList)
	}
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, c := range n.Nodes {
			showCells(c)
		}
	case *parse.ActionNode:
		if len(n.Pipe.Decl) == 0 {
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Args: []parse.Node{parse.NewIdentifier(cellFunc)}})
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	}
}

// cell is v as a template prints it, in one line.
func cell(v any) string {
	switch v.(type) {
	case nil:
		return "<no value>"
	case error, fmt.Stringer:
		return visible.Line(fmt.Sprint(v))
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		v = p.Elem().Interface()
	}
	return visible.Line(fmt.Sprint(v))
}
