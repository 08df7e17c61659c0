// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"strings"
	"testing"
)

func TestWhenAVolumeIsNearlyFull(t *testing.T) {
	for name, tc := range map[string]struct {
		at      string
		stats   VolumeStats
		reached bool
		err     string
	}{
		"below":           {at: "90%", stats: VolumeStats{Size: 89, SizeLimit: 100}},
		"at it":           {at: "90%", stats: VolumeStats{Size: 90, SizeLimit: 100}, reached: true},
		"inodes":          {at: "90%", stats: VolumeStats{Size: 1, SizeLimit: 100, Inodes: 95, InodesLimit: 100}, reached: true},
		"no inode limit":  {at: "90%", stats: VolumeStats{Size: 1, SizeLimit: 100, Inodes: 95}},
		"parts":           {at: "0.5%", stats: VolumeStats{Size: 1, SizeLimit: 100}, reached: true},
		"size below":      {at: "1k", stats: VolumeStats{Size: 999, SizeLimit: 999}},
		"size":            {at: "1k", stats: VolumeStats{Size: 1000, SizeLimit: 1 << 40}, reached: true},
		"no share":        {at: "0%", err: "want more than 0%"},
		"more than all":   {at: "101%", err: "at most 100%"},
		"not a number":    {at: "NaN%", err: "want more than 0%"},
		"a word":          {at: "soon", err: "want a share"},
		"nothing":         {at: "", err: "want a share"},
		"a negative size": {at: "-1G", err: "want a share"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := parseWarnAt(tc.at)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("parseWarnAt(%q) = %v, want %q", tc.at, err, tc.err)
				}
				return
			}
			if err != nil || w.reached(&tc.stats) != tc.reached {
				t.Errorf("%q of %+v: %v, %v, want %v", tc.at, tc.stats, w.reached(&tc.stats), err, tc.reached)
			}
		})
	}
}
