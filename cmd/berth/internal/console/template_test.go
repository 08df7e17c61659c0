// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bytes"
	"strings"
	"testing"
)

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
		rt, err := ParseTemplate(&b, "x", tc.format, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.format, err)
			continue
		}
		if err := rt.Print([]row{{Name: evil, Any: []string{"\x1b\x7f\u009b"}}}, tc.headings); err != nil || b.String() != tc.want {
			t.Errorf("%s: %v\n got %q\nwant %q", tc.format, err, b.String(), tc.want)
		}
	}
	if _, err := ParseTemplate(&bytes.Buffer{}, "x", "{{.Name", nil); err == nil || !strings.HasPrefix(err.Error(), "--format: ") {
		t.Errorf("a template that cannot be read: %v", err)
	}
	var b bytes.Buffer
	if err := PrintTemplate(&b, "x", "{{.Name}} {{.Nothing}}", []row{{Name: "a"}}, nil); err == nil || b.Len() > 0 {
		t.Errorf("a row that fails: %v, printed %q", err, b.String())
	}
}
