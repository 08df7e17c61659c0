// SPDX-License-Identifier: Apache-2.0

package field

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	one := Errorf("%s %q: %w", Name("volume"), "--volume %s", fs.ErrNotExist)
	two := Errorf("%s needs %s: it limits the sum of both", Name("memory-swap"), Name("memory"))
	json := func(n Name) string { return strings.ToUpper(string(n)) }
	for name, tc := range map[string]struct {
		err                error
		field              Name
		plain, flags, keys string
	}{
		"one field": {one, "volume", `volume "--volume %s": file does not exist`, `--volume "--volume %s": file does not exist`, `VOLUME "--volume %s": file does not exist`},
		"two":       {two, "memory-swap", "memory-swap needs memory: it limits the sum of both", "--memory-swap needs --memory: it limits the sum of both", "MEMORY-SWAP needs MEMORY: it limits the sum of both"},
		"wrapped":   {fmt.Errorf("create container %q: %w", "memory-swap", two), "memory-swap", `create container "memory-swap": memory-swap needs memory: it limits the sum of both`, `create container "memory-swap": --memory-swap needs --memory: it limits the sum of both`, `create container "memory-swap": MEMORY-SWAP needs MEMORY: it limits the sum of both`},
		"joined":    {errors.Join(two, errors.New("no"), two), "memory-swap", two.Error() + "\nno\n" + two.Error(), "--memory-swap needs --memory: it limits the sum of both\nno\n--memory-swap needs --memory: it limits the sum of both", "MEMORY-SWAP needs MEMORY: it limits the sum of both\nno\nMEMORY-SWAP needs MEMORY: it limits the sum of both"},
		"nested":    {Errorf("%s %s: %w", Name("sysctl"), "kernel.hostname", Errorf("use %s", Name("hostname"))), "sysctl", "sysctl kernel.hostname: use hostname", "--sysctl kernel.hostname: use --hostname", "SYSCTL kernel.hostname: use HOSTNAME"},
		"none":      {errors.New("memory-swap"), "", "memory-swap", "memory-swap", "memory-swap"},
	} {
		t.Run(name, func(t *testing.T) {
			var e *Error
			if errors.As(tc.err, &e) != (tc.field != "") || e != nil && e.Field != tc.field {
				t.Errorf("field %v, want %q", e, tc.field)
			}
			if got := tc.err.Error(); got != tc.plain {
				t.Errorf("Error: %q, want %q", got, tc.plain)
			}
			if got := Text(tc.err, Flag); got != tc.flags {
				t.Errorf("flags: %q, want %q", got, tc.flags)
			}
			if got := Text(tc.err, json); got != tc.keys {
				t.Errorf("keys: %q, want %q", got, tc.keys)
			}
		})
	}
	if !errors.Is(one, fs.ErrNotExist) {
		t.Error("what was wrapped is lost")
	}
}
