// SPDX-License-Identifier: Apache-2.0

package filter

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	words := []string{"alpha", "beta", "gamma"}
	key := func(name string) Key[string] {
		switch name {
		case "begins":
			return func(v string) (func(string) bool, error) {
				return func(s string) bool { return strings.HasPrefix(s, v) }, nil
			}
		case "has":
			return func(v string) (func(string) bool, error) {
				if v == "?" {
					return nil, errors.New("no letter")
				}
				return func(s string) bool { return strings.Contains(s, v) }, nil
			}
		}
		return nil
	}
	for name, tc := range map[string]struct {
		filters []string
		want    []string
		err     string
	}{
		"none":                  {nil, words, ""},
		"one":                   {[]string{"begins=a"}, []string{"alpha"}, ""},
		"alternatives":          {[]string{"begins=a", "begins=b"}, []string{"alpha", "beta"}, ""},
		"keys must all match":   {[]string{"begins=a", "begins=b", "has=t"}, []string{"beta"}, ""},
		"of has, every value":   {[]string{"has=a", "has=m"}, []string{"gamma"}, ""},
		"nothing passes":        {[]string{"begins=a", "has=m"}, nil, ""},
		"an empty value passes": {[]string{"has="}, words, ""},
		"no value":              {[]string{"has"}, nil, `filter "has": write KEY=VALUE`},
		"no key":                {[]string{"=a"}, nil, `filter "=a": write KEY=VALUE`},
		"unknown key":           {[]string{"ends=a"}, nil, `filter "ends=a": unknown key "ends"`},
		"wrong value":           {[]string{"has=?"}, nil, `filter "has=?": no letter`},
	} {
		t.Run(name, func(t *testing.T) {
			match, err := Parse(tc.filters, key, "has")
			if tc.err != "" {
				if err == nil || err.Error() != tc.err {
					t.Fatalf("got %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := slices.DeleteFunc(slices.Clone(words), func(s string) bool { return !match(s) })
			if !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCheckWhole(t *testing.T) {
	for f, ok := range map[string]bool{"name=a": true, "label=a=": true, "name=": false, "name": false, "=a": false, "": false} {
		if err := CheckWhole([]string{f}); (err == nil) != ok {
			t.Errorf("CheckWhole(%q): %v", f, err)
		}
	}
}
