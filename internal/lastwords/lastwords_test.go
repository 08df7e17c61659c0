// SPDX-License-Identifier: Apache-2.0

package lastwords

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for script, want := range map[string]struct{ head, tail string }{
		``:                       {"", Nothing},
		`echo; echo " "`:         {"\n \n", Nothing},
		`echo one; echo " two "`: {"one\n two \n", "one; two"},
		`printf 'no\377end'`:     {"no\uFFFDend", "no\uFFFDend"},
		`echo one; echo two >&2`: {"one\ntwo\n", "one; two"},
		`echo "Failed to send 9 bytes to syslog"`:           {"Failed to send 9 byt", Nothing},
		`echo one; echo "Failed to send 9 bytes to syslog"`: {"one\nFailed to send 9", "one"},
	} {
		o, err := New()
		if err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(o.FD), "output") // closes it in the end
		cmd := exec.Command("sh", "-c", script)
		cmd.Stdout, cmd.Stderr = f, f
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		if head, tail := o.Head(20), o.Tail(); head != want.head || tail != want.tail {
			t.Errorf("%s: %q and %q, want %q and %q", script, head, tail, want.head, want.tail)
		}
		f.Close()
	}
}

// Of much only whole lines at the end are told.
func TestMuch(t *testing.T) {
	o, err := New()
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(o.FD), "output")
	defer f.Close()
	if _, err := f.WriteString(strings.Repeat("one of many lines\n", 10_000) + "the last\n"); err != nil {
		t.Fatal(err)
	}
	tail := o.Tail()
	if len(tail) > 700 || !strings.HasPrefix(tail, "one of many lines; ") || !strings.HasSuffix(tail, "; the last") {
		t.Errorf("got %q", tail)
	}
}
