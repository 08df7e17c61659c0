// SPDX-License-Identifier: Apache-2.0

// Package when reads points in time as people write them in options and filters.
package when

import (
	"fmt"
	"strconv"
	"time"
)

// layouts are dates and times with less and less of the time.
var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04",
	"2006-01-02T15Z07:00",
	"2006-01-02T15",
	"2006-01-02Z07:00",
	"2006-01-02",
}

// Parse reads a point in time as docker and podman do: how long before now it was (10m, 1h30m), seconds since 1970
// (1700000000.5), or a date with or without a time (2026-11-21T12:00:00), in the local zone if it names none.
func Parse(s string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(s); err == nil {
		return now.Add(-d), nil
	}
	if sec, err := strconv.ParseFloat(s, 64); err == nil {
		return time.UnixMicro(int64(sec * 1e6)), nil
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is neither a duration (10m), seconds since 1970, nor a time (2026-11-21T12:00:00)", s)
}
