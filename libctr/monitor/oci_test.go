// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRuntimeText(t *testing.T) {
	for name, tc := range map[string]struct{ log, want string }{
		"crun":            {"executable file `x` not found in $PATH: No such file or directory\n", "executable file `x` not found in $PATH: No such file or directory"},
		"runc":            {`time="2026-11-29T04:02:09Z" level=error msg="runc run failed: exec: \"x\": not found"` + "\n", `runc run failed: exec: "x": not found`},
		"runc's warnings": {`time="2026" level=warning msg="old"` + "\n" + `time="2026" level=fatal msg=short` + "\n", "short"},
		"JSON":            {`{"level":"error","msg":"no","time":"x"}` + "\n" + `{"level":"debug","msg":"more"}` + "\n", "no"},
		"two":             {"one\n\ntwo\n", "one; two"},
		"nothing":         {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(file, []byte(tc.log), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := runtimeText(file); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRuntimeHint(t *testing.T) {
	for text, want := range map[string]string{
		"create keyring `37eac73b`: disk quota exceeded":  "kernel.keys.maxkeys",
		"mount `proc` to `proc`: operation not permitted": "unmask=ALL",
		"something else": "",
	} {
		if got := runtimeHint(text).String(); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: hint %q, want one with %q", text, got, want)
		}
	}
}
