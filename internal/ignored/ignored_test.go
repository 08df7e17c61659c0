// SPDX-License-Identifier: Apache-2.0

package ignored

import (
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestReset(t *testing.T) {
	defer Reset(1, Last)
	for _, tc := range []struct {
		name        string
		first, last syscall.Signal
		want        string
	}{
		{"glibc's", Cancel, SetXID, "0000008000000000"},
		{"all", 1, Last, "0000000000000000"},
		{"others", 1, Cancel - 1, "0000008180000000"},
	} {
		// A shell cannot ignore 32 and 33, so the test's own process does.
		for _, sig := range []syscall.Signal{Cancel, SetXID, 40} {
			if errno := rtSigaction(sig, &sigaction{sigIgn}, nil); errno != 0 {
				t.Fatal(sig, errno)
			}
		}
		Reset(tc.first, tc.last)
		status, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(status), "SigIgn:\t")
		if got, _, _ := strings.Cut(rest, "\n"); got != tc.want {
			t.Errorf("%s: ignored are %s, want %s", tc.name, got, tc.want)
		}
	}
}
