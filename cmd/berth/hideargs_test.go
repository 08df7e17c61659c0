// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestEnvValues(t *testing.T) {
	for line, want := range map[string][]string{
		"berth run -e A=1 --env B=2 --env=C=3 -eD=4 -dite E=5 --env-file F=6 image": {"1", "2", "3", "4", "5"},
		"berth run -e A --name b=c image":                                           nil,
		"berth run -e A= image":                                                     {""},
		"berth run -e":                                                              nil,
		"berth run --env -x=y image":                                                {"y"},
		"berth":                                                                     nil,
	} {
		if got := envValues(strings.Fields(line)); !slices.Equal(got, want) {
			t.Errorf("envValues(%q) = %q, want %q", line, got, want)
		}
	}
	if got := envValues(nil); got != nil {
		t.Errorf("envValues of nothing = %q", got)
	}
}
