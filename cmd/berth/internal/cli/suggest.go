// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Suggester is the value of a flag that knows what it may be; the shells ask it.
type Suggester interface {
	pflag.Value
	// Suggest returns what the beginning of a value may become. What ends in = or . goes on.
	Suggest(begun string) []string
}

// Fields has the flag --format suggest the fields of rows: each is a value of a type that the command's template can be given.
func Fields(f *pflag.FlagSet, rows ...any) {
	flag := f.Lookup("format")
	flag.Value = &fieldsValue{flag.Value, rows}
}

// FilterKeys has the flag --filter suggest keys.
func FilterKeys(f *pflag.FlagSet, keys []string) {
	flag := f.Lookup("filter")
	flag.Value = &keysValue{flag.Value, keys}
}

type keysValue struct {
	pflag.Value
	keys []string
}

func (v *keysValue) Suggest(begun string) (all []string) {
	for _, key := range v.keys {
		if strings.HasPrefix(key+"=", begun) {
			all = append(all, key+"=")
		}
	}
	return all
}

type fieldsValue struct {
	pflag.Value
	rows []any
}

// Suggest completes the last field of a template: {{.State.St becomes {{.State.Status}}. It says what podman's does.
func (v *fieldsValue) Suggest(begun string) []string {
	if begun == "" {
		return []string{"json", "{{."}
	}
	if strings.HasPrefix("json", begun) {
		return []string{"json"}
	}
	at := strings.LastIndex(begun, "{{")
	if at < 0 {
		return nil
	}
	action := begun[at:]
	at += strings.LastIndexAny(action, " {(|") + 1 // where the field begins
	path, ok := strings.CutPrefix(begun[at:], ".")
	if !ok {
		return nil
	}
	names := strings.Split(path, ".")
	all := map[string]bool{}
	for _, row := range v.rows {
		t := reflect.TypeOf(row)
		for _, name := range names[:len(names)-1] {
			if t != nil {
				t = fieldsOf(t)[name].of
			}
		}
		if t == nil {
			continue
		}
		for name, m := range fieldsOf(t) {
			if strings.HasPrefix(name, names[len(names)-1]) {
				all[strings.TrimSuffix(begun, names[len(names)-1])+name+m.end()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// member is one that a template can name.
type member struct {
	of       reflect.Type
	argument bool // it is a method that wants one
}

func (f member) end() string {
	switch t := under(f.of); {
	case f.argument:
		return ""
	case t.Kind() == reflect.Map, t.Kind() == reflect.Struct:
		return "."
	}
	return "}}"
}

// under is what t points to.
func under(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// fieldsOf are the fields and methods of a type, as package text/template finds them; a map has any.
func fieldsOf(t reflect.Type) map[string]member {
	all := map[string]member{}
	for i := range t.NumMethod() {
		m := t.Method(i)
		receiver := 1
		if t.Kind() == reflect.Interface {
			receiver = 0
		}
		if n := m.Type.NumOut(); n == 1 || n == 2 {
			all[m.Name] = member{m.Type.Out(0), m.Type.NumIn() > receiver}
		}
	}
	if t = under(t); t.Kind() != reflect.Struct {
		return all
	}
	for _, f := range reflect.VisibleFields(t) {
		if _, hidden := all[f.Name]; f.IsExported() && !hidden {
			all[f.Name] = member{of: f.Type}
		}
	}
	return all
}
