// SPDX-License-Identifier: Apache-2.0

package etcfile

import (
	"os/exec"
	"strings"
	"testing"
)

// hostile are values that add an entry, end a field, or are read as something else where they are written as they are.
var hostile = []string{
	"/home\nroot2::0:0::/:/bin/sh", "/home:/bin/evil", "/home\r", "/a\x00b", "/a\x0bb", "/a\x0cb", "/a\u2028b", "/a\u0085b", "/a\xffb", "/\x1b[2J", "/a\tb\n",
}

func TestPasswdRefusesWhatIsNoField(t *testing.T) {
	good := Passwd{Name: "me", UID: 1000, GID: 1000, Gecos: "A Name", Home: "/home/me", Shell: "/bin/sh"}
	if line, err := good.Line(); err != nil || line != "me:*:1000:1000:A Name:/home/me:/bin/sh\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if line, err := (Passwd{Name: "1000", UID: 1000}).Line(); err != nil || line != "1000:*:1000:0::/:/bin/sh\n" {
		t.Errorf("%q, %v", line, err)
	}
	for _, v := range hostile {
		for what, p := range map[string]Passwd{
			"name": {Name: v}, "gecos": {Name: "me", Gecos: v}, "home": {Name: "me", Home: v}, "shell": {Name: "me", Shell: v},
		} {
			if line, err := p.Line(); err == nil {
				t.Errorf("%s %q: accepted as %q", what, v, line)
			} else if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Errorf("%s: the error has control characters: %q", what, err)
			}
		}
		if got := Home(v, "/"); got != "/" {
			t.Errorf("Home(%q) = %q", v, got)
		}
	}
	for _, p := range []Passwd{{}, {Name: "+"}, {Name: "-x"}, {Name: "#x"}, {Name: "a b"}, {Name: "a/b"}, {Name: "me", Home: "relative"}, {Name: "me", Shell: "sh"}} {
		if line, err := p.Line(); err == nil {
			t.Errorf("%+v: accepted as %q", p, line)
		}
	}
	if Home("/a:b", "/c\nd") != "/" || Home("relative", "/work") != "/work" || Home() != "/" {
		t.Error("Home passes over what cannot stand in /etc/passwd, the fallback too")
	}
	if Home("relative", "/") != "/" || Home("", "/") != "/" || Home("/home/ü x", "/") != "/home/ü x" {
		t.Error("Home keeps what is an absolute path, and only that")
	}
}

func TestGroupRefusesWhatIsNoField(t *testing.T) {
	if line, err := (Group{Name: "g", GID: 7, Members: []string{"a", "b"}}).Line(); err != nil || line != "g:x:7:a,b\n" {
		t.Fatalf("%q, %v", line, err)
	}
	for _, v := range append(hostile, "", "a,b", "a b", "+", "-") {
		for _, g := range []Group{{Name: v}, {Name: "g", Members: []string{"a", v}}} {
			if line, err := g.Line(); err == nil {
				t.Errorf("%+v: accepted as %q", g, line)
			}
		}
	}
}

func TestWord(t *testing.T) {
	for _, v := range []string{"db", "a.b-c_d", "ndots:2", "192.0.2.1", "müller"} {
		if err := Word("name", v); err != nil {
			t.Error(err)
		}
	}
	for _, v := range []string{"", " ", "a b", "a\tb", "a\nb", "a\rb", "a\x00", "a#b", "a;b", "a\x0bb", "a\u00a0b", "a\u2028b"} {
		if Word("name", v) == nil {
			t.Errorf("%q accepted", v)
		}
	}
}

func TestQuotedIsOneLineThatAShellTakesAsItIs(t *testing.T) {
	for _, v := range []string{"", "plain", "$(id)", "`id`", "$HOME", `back\slash`, `"quoted"`, "/a b,/c"} {
		line := Quoted(v)
		out, err := exec.Command("sh", "-c", "X="+line+"; printf %s \"$X\"").Output()
		if err != nil || string(out) != v {
			t.Errorf("%q becomes %s, which a shell reads as %q (%v)", v, line, out, err)
		}
	}
	if q := Quoted("a\nroot=1"); strings.Contains(q, "\n") {
		t.Errorf("%s is two lines", q)
	}
}
