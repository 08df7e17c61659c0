// SPDX-License-Identifier: Apache-2.0

package when

import (
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	now := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	local := func(h, m, s, ns int) time.Time { return time.Date(2026, 11, 21, h, m, s, ns, time.Local) }
	for in, want := range map[string]time.Time{
		"10m":                           now.Add(-10 * time.Minute),
		"1h30m":                         now.Add(-90 * time.Minute),
		"-1h":                           now.Add(time.Hour),
		"0":                             now, // a duration
		"1700000000":                    time.Unix(1700000000, 0),
		"1700000000.5":                  time.Unix(1700000000, 5e8),
		"2026-11-21T12:00:00Z":          time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
		"2026-11-21T12:00:00.25+02:00":  time.Date(2026, 11, 21, 10, 0, 0, 25e7, time.UTC),
		"2026-11-21T12:30+02:00":        time.Date(2026, 11, 21, 10, 30, 0, 0, time.UTC),
		"2026-11-21T12:30:01.000000007": local(12, 30, 1, 7),
		"2026-11-21 12:30:01":           local(12, 30, 1, 0),
		"2026-11-21T12:30":              local(12, 30, 0, 0),
		"2026-11-21T12":                 local(12, 0, 0, 0),
		"2026-11-21":                    local(0, 0, 0, 0),
		"2026-11-21Z":                   time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC),
	} {
		if got, err := Parse(in, now); err != nil || !got.Equal(want) {
			t.Errorf("Parse(%q) = %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "yesterday", "2026-13-01", "12:00", "10 m"} {
		if got, err := Parse(in, now); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", in, got)
		}
	}
}
