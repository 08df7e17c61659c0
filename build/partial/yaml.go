// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Scalar is a YAML scalar taken as the text it was written as: 10001 and "10001" are the same.
type Scalar string

// UnmarshalYAML takes any scalar but null.
func (s *Scalar) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return fmt.Errorf("line %d: a plain value is wanted", n.Line)
	}
	*s = Scalar(n.Value)
	return nil
}

// strictYAML decodes text into v, a pointer to a struct. Unknown and duplicate keys, anchors and
// a second document are errors, with the line in text plus offset. what names the text in
// messages: "metadata field".
func strictYAML(text, what string, offset int, v any) []*Error {
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return []*Error{yamlError(err, offset)}
	}
	if err := dec.Decode(new(yaml.Node)); err == nil {
		return []*Error{Errorf("P003", "a second YAML document follows the first")}
	}
	if len(doc.Content) != 1 {
		return []*Error{Errorf("P003", "the YAML is empty")}
	}
	if e := checkScalars(doc.Content[0], offset); e != nil {
		return []*Error{e}
	}
	if errs := checkNode(doc.Content[0], reflect.TypeOf(v).Elem(), what, offset); len(errs) > 0 {
		return errs
	}
	if err := doc.Content[0].Decode(v); err != nil {
		return []*Error{yamlError(err, offset)}
	}
	return nil
}

// checkScalars refuses control characters, which YAML can have as escapes; lines and tabs are for those who read the value.
func checkScalars(n *yaml.Node, offset int) *Error {
	for i, r := range n.Value {
		if r == '\n' || r == '\t' {
			continue
		}
		if e := hidden("the value", n.Value, i, r); e != nil {
			e.Line = n.Line + offset
			return e
		}
	}
	for _, c := range n.Content {
		if e := checkScalars(c, offset); e != nil {
			return e
		}
	}
	return nil
}

// checkNode walks the YAML along the Go type and finds what decoding would pass over.
func checkNode(n *yaml.Node, t reflect.Type, what string, offset int) []*Error {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return []*Error{{Code: "P003", Line: n.Line + offset, Msg: "anchors and aliases are not allowed"}}
	}
	var errs []*Error
	switch n.Kind {
	case yaml.SequenceNode:
		if t.Kind() == reflect.Slice {
			for _, c := range n.Content {
				errs = append(errs, checkNode(c, t.Elem(), what, offset)...)
			}
		}
	case yaml.MappingNode:
		var fields map[string]reflect.Type
		if t.Kind() == reflect.Struct {
			fields = yamlFields(t)
		}
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if seen[key.Value] {
				errs = append(errs, &Error{Code: "P003", Line: key.Line + offset, Msg: fmt.Sprintf("%s %q stands here twice", what, key.Value)})
				continue
			}
			seen[key.Value] = true
			sub := reflect.TypeFor[any]()
			switch t.Kind() {
			case reflect.Struct:
				f, ok := fields[key.Value]
				if !ok {
					known := slices.Sorted(maps.Keys(fields))
					errs = append(errs, &Error{Code: "P003", Line: key.Line + offset,
						Msg: fmt.Sprintf("%s %q is not known; known fields: %s", what, key.Value, strings.Join(known, ", "))})
					continue
				}
				sub = f
			case reflect.Map:
				sub = t.Elem()
			}
			errs = append(errs, checkNode(value, sub, what, offset)...)
		}
	}
	return errs
}

func yamlFields(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for f := range t.Fields() {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
			fields[name] = f.Type
		}
	}
	return fields
}

// yamlError gives an error of the YAML library a line of ours.
func yamlError(err error, offset int) *Error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	msg = strings.ReplaceAll(strings.TrimPrefix(msg, "unmarshal errors:\n  "), "\n  ", "; ")
	e := &Error{Code: "P003", Msg: msg}
	if m := regexp.MustCompile(`^line (\d+): (?s)(.*)`).FindStringSubmatch(msg); m != nil {
		n, _ := strconv.Atoi(m[1])
		e.Line, e.Msg = n+offset, m[2]
	}
	return e
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
