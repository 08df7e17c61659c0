// SPDX-License-Identifier: Apache-2.0

package monitor

import "testing"

func TestForSystemd(t *testing.T) {
	for message, want := range map[string]string{
		"READY=1":                       "READY=1",
		"READY=1\n":                     "READY=1",
		"MAINPID=1":                     "",
		"STATUS=up\nMAINPID=7\nREADY=1": "STATUS=up\nREADY=1",
		"MAINPIDFDID=3\nWATCHDOG=1\n\n": "WATCHDOG=1",
		"":                              "",
	} {
		if got := string(forSystemd([]byte(message))); got != want {
			t.Errorf("forSystemd(%q) = %q, want %q", message, got, want)
		}
	}
}
