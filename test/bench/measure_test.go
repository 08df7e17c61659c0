// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make(samples, 0, 100)
	for i := 100; i > 0; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for name, tc := range map[string]struct {
		in   samples
		p    int
		want time.Duration
	}{
		"none":             {nil, 50, 0},
		"one":              {samples{7}, 99, 7},
		"median, unsorted": {samples{9, 1, 5}, 50, 5},
		"p99 of a hundred": {hundred, 99, 99},
		"p99 of a few":     {samples{1, 2, 3}, 99, 3},
		"p0":               {samples{3, 2}, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.in.percentile(tc.p); got != tc.want {
				t.Errorf("percentile(%d) of %v = %d, want %d", tc.p, tc.in, got, tc.want)
			}
		})
	}
}

func TestInterleaveTakesTurns(t *testing.T) {
	var order string
	one := func(name string) subject {
		return subject{name, func() (time.Duration, error) { order += name; return time.Duration(len(order)), nil }}
	}
	got, err := interleave(2, one("a"), one("b"))
	if err != nil {
		t.Fatal(err)
	}
	if order != "ababab" {
		t.Errorf("order %q, want ababab", order)
	}
	if len(got) != 2 || len(got[0]) != 2 || got[0][0] != 3 {
		t.Errorf("interleave = %v, want two samples each, the first round left out", got)
	}
}

func TestInterleaveStopsAtAnError(t *testing.T) {
	boom := errors.New("boom")
	if _, err := interleave(1, subject{"a", func() (time.Duration, error) { return 0, boom }}); !errors.Is(err, boom) {
		t.Errorf("interleave = %v, want %v", err, boom)
	}
}

func TestBudgetTellsMetFromMissed(t *testing.T) {
	for name, tc := range map[string]struct {
		b    budget
		want bool
	}{
		"below":   {budget{got: 0.2, limit: 0.33}, true},
		"reached": {budget{got: 4, limit: 4}, true},
		"above":   {budget{got: 4.1, limit: 4}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tc.b.met(); got != tc.want {
				t.Errorf("%+v met = %t, want %t", tc.b, got, tc.want)
			}
		})
	}
}
