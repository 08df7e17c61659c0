// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"strings"
	"sync"
	"text/template"
	"text/template/parse"
	"unicode/utf8"

	"github.com/berth-containers/berth/internal/visible"
	"go.podman.io/common/pkg/report"
)

// This file is the only way out: all that a command prints goes through stdout or stderr, which the command tree is
// given (newRootCmd). Names, labels, commands, errors and answers are often those of an image, a part or a server, and a
// terminal obeys what it is sent; so both show such text, see package visible. What is printed as it is, is so by one of
//
//   - asIs, for the streams of containers and for archives;
//   - exact, for what scripts read in a pipe byte by byte and people on a terminal: --format, container files;
//   - progress, whose bars move the cursor.
//
// A test (output_test.go) keeps other files of the command from writing past it.
var stdout, stderr = &screen{}, &screen{isErr: true}

// screen is standard output or standard error for text of people: what would drive a terminal is shown, also in a pipe, for
// that often ends on one. It may be used by several goroutines.
type screen struct {
	isErr bool
	mu    sync.Mutex
	shown *visible.Writer
}

// file is what it writes to; --noout exchanges it.
func (s *screen) file() *os.File {
	if s.isErr {
		return os.Stderr
	}
	return os.Stdout
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown == nil {
		s.shown = visible.NewWriter(s.file())
	}
	return s.shown.Write(p)
}

// asIs returns where w writes to, for bytes that are printed as they are.
func asIs(w io.Writer) io.Writer {
	if s, ok := w.(*screen); ok {
		return s.file()
	}
	return w
}

// exact is asIs in a pipe or a file, and w itself on a terminal.
func exact(w io.Writer) io.Writer {
	if s, ok := w.(*screen); ok && isTerminal(s.file()) {
		return w
	}
	return asIs(w)
}

// progress returns where a pull, load or save tells what it does: standard error with moving bars if that is a terminal, and
// nobody in a pipe or with --quiet. Whoever writes more there than the library does, which writes digests and names it has
// checked, has to make it visible.
func progress(quiet bool) io.Writer {
	if quiet || !isTerminal(os.Stderr) {
		return nil
	}
	return os.Stderr
}

// printColumns prints rows, the first of them the heading, aligned. A cell is one line, whatever is in it.
func printColumns(out io.Writer, rows [][]string) error {
	var width []int
	for _, r := range rows {
		for i, cell := range r {
			cell = visible.Line(cell)
			r[i] = cell
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b bytes.Buffer
	for _, r := range rows {
		for i, cell := range r {
			b.WriteString(cell)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	_, err := out.Write(b.Bytes())
	return err
}

// printJSON prints v, indented by four spaces, without HTML's escapes.
func printJSON(out io.Writer, v any) error { return printJSONIndented(out, v, "    ") }

// printJSONIndented is printJSON with another indentation; without any it is one line.
func printJSONIndented(out io.Writer, v any, indent string) error {
	data, err := encodeJSON(v, indent)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}

func encodeJSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return visible.JSON(b.Bytes()), nil
}

// rowTemplate is the Go template of --format. In a pipe it prints what the data has, byte by byte, as podman and docker do;
// a terminal is not driven. With "table " in front it prints a table, whose cells are made visible everywhere.
type rowTemplate struct {
	out   io.Writer
	t     *template.Template
	table bool
}

// parseTemplate reads the value of --format; command names it in errors. The functions are podman's, and more.
func parseTemplate(out io.Writer, command, format string, more template.FuncMap) (*rowTemplate, error) {
	rt := &rowTemplate{out: out, table: report.HasTable(format)}
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

// print prints the rows, a slice; above those of a table the headings, each by the name of its field, if there are any.
// Nothing is printed if a row fails.
func (rt *rowTemplate) print(rows any, headings map[string]string) error {
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
		return printColumns(rt.out, cells)
	}
	_, err := exact(rt.out).Write(b.Bytes())
	return err
}

// printTemplate prints rows, a slice, through the value of --format.
func printTemplate(out io.Writer, command, format string, rows any, headings map[string]string) error {
	t, err := parseTemplate(out, command, format, nil)
	if err != nil {
		return err
	}
	return t.print(rows, headings)
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

// paragraph is a text that stands behind a word such as Error: or Warning:. Its further lines are indented, so that none of them, which
// may be of a file's name or a server's answer, looks like advice of Berth's.
func paragraph(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// clearTerminal empties the terminal that w writes to, if it does.
func clearTerminal(w io.Writer) {
	if s, ok := w.(*screen); ok && isTerminal(s.file()) {
		fmt.Fprint(s.file(), "\x1b[H\x1b[2J")
	}
}

// silenceStdout has nothing printed on standard output from now on.
func silenceStdout() (err error) {
	os.Stdout, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	return err
}
