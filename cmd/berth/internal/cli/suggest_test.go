// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"slices"
	"testing"

	"github.com/spf13/pflag"
)

type suggestedRow struct {
	Name   string
	State  *suggestedState
	Labels map[string]string
	hidden int
}

type suggestedState struct{ Status, Started string }

func (suggestedRow) Size() int               { return 0 }
func (suggestedRow) Label(key string) string { return key }
func (*suggestedRow) OfPointer() string      { return "" }

func TestSuggest(t *testing.T) {
	f := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.String("format", "", "")
	f.StringArray("filter", nil, "")
	Fields(f, suggestedRow{hidden: 1}, struct{ Names []string }{})
	FilterKeys(f, []string{"label", "label!", "name"})
	for name, tc := range map[string]struct {
		flag, begun string
		want        []string
	}{
		"nothing yet":         {"format", "", []string{"json", "{{."}},
		"json":                {"format", "js", []string{"json"}},
		"no template":         {"format", "x", nil},
		"every field":         {"format", "{{.", []string{"{{.Label", "{{.Labels.", "{{.Names}}", "{{.Name}}", "{{.Size}}", "{{.State."}},
		"a field's beginning": {"format", "table {{.Name}}\\t{{ .S", []string{"table {{.Name}}\\t{{ .Size}}", "table {{.Name}}\\t{{ .State."}},
		"a field's field":     {"format", "{{json .State.Sta", []string{"{{json .State.Started}}", "{{json .State.Status}}"}},
		"an unknown field's":  {"format", "{{.X.", nil},
		"a function":          {"format", "{{js", nil},
		"every key":           {"filter", "", []string{"label=", "label!=", "name="}},
		"a key's beginning":   {"filter", "n", []string{"name="}},
		"a whole key":         {"filter", "name=", []string{"name="}},
		"a value":             {"filter", "name=x", nil},
	} {
		if got := f.Lookup(tc.flag).Value.(Suggester).Suggest(tc.begun); !slices.Equal(got, tc.want) {
			t.Errorf("%s: --%s %q: got %q, want %q", name, tc.flag, tc.begun, got, tc.want)
		}
	}
}
