// SPDX-License-Identifier: Apache-2.0

package hint

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/berth-containers/berth/internal/field"
)

func TestText(t *testing.T) {
	flag := func(c Command) string { return "berth " + string(c.Do) + " -- " + c.To[0] }
	for name, tc := range map[string]struct {
		hint        Hint
		plain, line string
		json        string
	}{
		"text":     {Textf("do %s", "it"), "do it", "do it", `"do it"`},
		"nothing":  {Hint{}, "", "", `""`},
		"a field":  {Textf("leave out %s", field.Name("publish")), "leave out publish", "leave out --publish", `[{"text":"leave out "},{"field":"publish"}]`},
		"commands": {Textf("%s %q, or %s", To(StopContainer, "a"), "x", To(PullImage, "b")), `stop container a "x", or pull image b`, `berth stop container -- a "x", or berth pull image -- b`, ``},
		"only one": {Textf("%s", To(PullImage, "b")), "pull image b", "berth pull image -- b", `[{"command":{"do":"pull image","to":["b"]}}]`},
		"a NUL":    {Textf("a%s", "\x00x\x00"), "ax", "ax", ``},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.hint.String(); got != tc.plain {
				t.Errorf("String: %q, want %q", got, tc.plain)
			}
			if got := tc.hint.Text(field.Flag, flag); got != tc.line {
				t.Errorf("Text: %q, want %q", got, tc.line)
			}
			data, err := json.Marshal(tc.hint)
			if err != nil || tc.json != "" && string(data) != tc.json {
				t.Errorf("JSON: %s, %v; want %s", data, err, tc.json)
			}
			var again Hint
			if err := json.Unmarshal(data, &again); err != nil || again.String() != tc.plain || again.Text(field.Flag, flag) != tc.line {
				t.Errorf("read again: %+v, %v", again, err)
			}
		})
	}
}

func TestAdd(t *testing.T) {
	err := errors.New("no")
	if got := Add(nil, "x"); got != nil {
		t.Errorf("no error: %v", got)
	}
	if got := With(err, Hint{}); got != err {
		t.Errorf("no hint: %v", got)
	}
	var h *Error
	if got := Add(err, "do %s", "it"); !errors.As(got, &h) || h.Hint.String() != "do it" || !errors.Is(got, err) || got.Error() != "no" {
		t.Errorf("got %v", got)
	}
	zero, _ := json.Marshal(struct {
		H Hint `json:",omitzero"`
	}{})
	if string(zero) != "{}" {
		t.Errorf("an empty hint in JSON: %s", zero)
	}
}
