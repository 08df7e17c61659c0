// SPDX-License-Identifier: Apache-2.0

package conflist

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for in, want := range map[string]string{ // name and types of plugins, or an error's words
		`{"name":"a","type":"bridge"}`:                                     "a bridge",
		`{"name":"a","plugins":[{"type":"bridge"},{"type":"portmap"}]}`:    "a bridge portmap",
		`{"cniVersion":"0.2.0","name":"a-b_c.d","plugins":[{"type":"x"}]}`: "a-b_c.d x",
		`{"name":"../a","type":"bridge"}`:                                  "!names must match",
		`{"name":"","type":"bridge"}`:                                      "!names must match",
		`{"name":"a"}`:                                                     "!it names no plugins",
		`{"name":"a","plugins":[]}`:                                        "!it names no plugins",
		`{"name":"a","plugins":[{"type":"../../bin/sh"}]}`:                 "!is not a plugin's type",
		`{"name":"a","plugins":[{"type":".."}]}`:                           "!is not a plugin's type",
		`{"name":"a","plugins":[{}]}`:                                      "!is not a plugin's type",
		`{"name":"a","plugins":["x"]}`:                                     "!cannot unmarshal",
		`{"name":"a","plugins":{"type":"x"}}`:                              "!cannot unmarshal",
		`[]`:                                                               "!cannot unmarshal",
		`{`:                                                                "!unexpected end",
	} {
		l, err := Parse([]byte(in))
		if words, fails := strings.CutPrefix(want, "!"); fails {
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: error %v, want %q", in, err, words)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got := l.Name
		for _, p := range l.Plugins {
			got += " " + p.Type
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
		// A list reads as itself.
		again, err := Parse(l.Bytes)
		if err != nil || len(again.Plugins) != len(l.Plugins) {
			t.Errorf("%s: read again: %v, %v", in, again, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"name":"a","plugins":[{"type":"bridge"},{"type":"portmap"}]}`))
	f.Add([]byte(`{"name":"a","type":"bridge","ipam":{"type":"host-local"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Parse(data)
		if err != nil {
			return
		}
		if _, err := Parse(l.Bytes); err != nil {
			t.Errorf("%q is read, and what it becomes is not: %v", data, err)
		}
	})
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"20-b.conflist": `{"name":"b","plugins":[{"type":"first"}]}`,
		"30-b.conflist": `{"name":"b","plugins":[{"type":"second"}]}`,
		"10-a.conf":     `{"name":"a","type":"bridge"}`,
		"bad.conflist":  `{`,
		"big.conflist":  `{"name":"big","plugins":[{"type":"` + strings.Repeat("x", MaxSize) + `"}]}`,
		"note.txt":      `{"name":"txt","type":"bridge"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.conflist"), 0o755); err != nil {
		t.Fatal(err)
	}
	all, problems := All(dir)
	if len(all) != 2 || all[0].Name != "a" || all[1].Plugins[0].Type != "first" {
		t.Errorf("got %+v", all)
	}
	for _, want := range []string{"bad.conflist", "big.conflist", "30-b.conflist", "dir.conflist"} {
		if problems == nil || !strings.Contains(problems.Error(), want) {
			t.Errorf("problems %v do not name %s", problems, want)
		}
	}
	for name, want := range map[string]string{"a": "a", "b": "b", ID("a"): "a", ID("b")[:12]: "b"} {
		if l, err := Find(dir, name); err != nil || l.Name != want {
			t.Errorf("Find(%s) = %v, %v", name, l, err)
		}
	}
	for _, name := range []string{"zz", "", "txt"} {
		if _, err := Find(dir, name); !errors.Is(err, ErrNotFound) {
			t.Errorf("Find(%q): %v", name, err)
		}
	}
	if all, err := All(filepath.Join(dir, "nowhere")); len(all) != 0 || err != nil {
		t.Errorf("of no directory: %v, %v", all, err)
	}
}
