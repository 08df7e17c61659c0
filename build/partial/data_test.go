// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"bytes"
	"strings"
	"testing"

	bkinstructions "github.com/moby/buildkit/frontend/dockerfile/instructions"
	bkparser "github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/openshift/imagebuilder"
)

// argument reads the ARG called name of a composed text as BuildKit does, and as imagebuilder does, and returns the value that
// the builder then has.
func argument(t testing.TB, text, name string) (value string) {
	t.Helper()
	res, err := bkparser.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := bkinstructions.Parse(res.AST, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	lex, found := shell.NewLex(res.EscapeToken), 0
	for _, s := range stages {
		for _, c := range s.Commands {
			arg, ok := c.(*bkinstructions.ArgCommand)
			if !ok || arg.Args[0].Key != name {
				continue
			}
			found++
			got, _, err := lex.ProcessWord(*arg.Args[0].Value, shell.EnvsFromSlice([]string{"HOME=/pwned", "EVIL_V=/pwned", "X=/pwned"}))
			if err != nil {
				t.Fatal(err)
			}
			value = got
		}
	}
	if found != 1 {
		t.Fatalf("ARG %s is there %d times:\n%s", name, found, text)
	}
	node, err := imagebuilder.ParseDockerfile(strings.NewReader(text))
	if err != nil {
		t.Fatalf("imagebuilder: %v\n%s", err, text)
	}
	for _, n := range node.Children {
		if !strings.EqualFold(n.Value, "arg") || n.Next == nil || !strings.HasPrefix(n.Next.Value, name+"=") {
			continue
		}
		got, err := imagebuilder.ProcessWord(strings.TrimPrefix(n.Next.Value, name+"="), []string{"HOME=/pwned", "EVIL_V=/pwned", "X=/pwned"})
		if err != nil || got != value {
			t.Errorf("imagebuilder reads %q (%v), BuildKit %q:\n%s", got, err, value, text)
		}
	}
	return value
}

// TestParametersAreDataToTheLetter: a value that is taken is what the part's variable has in the end, character by character, in both
// parsers, however it is given; it is never another instruction, argument, word, directive or composition directive.
func TestParametersAreDataToTheLetter(t *testing.T) {
	lib := memLibrary{}.with(part(t, "std/evil", "1.0.0", `params: {v: {type: string, pattern: "(?s).*", default: "d"}}`, "ARG EVIL_V\nRUN echo \"$EVIL_V\""))
	src := "FROM docker.io/library/debian:12\n#: use std/evil\n"
	plain := countInstructions(t, mustCompose(t, lib, src).Text)
	for _, v := range []string{
		"x", "", " ", "  two  spaces  ", `"`, `""`, `'`, `''`, `'"'"'`, "`", "``", "`id`", `$(id)`, `$((1+1))`, `${HOME}`, `$HOME`, `${EVIL_V}`, `$EVIL_V`, `${X:-y}`, `${X:?y}`, `${`, `$`, `$$`, `\`, `\\`, `\\\`, `\n`, `\"`, `x \`,
		`x\`, "x `", "#", "# escape=`", "# syntax=docker.io/evil/frontend", "#syntax=evil", "# check=skip=all", "#: use std/other", "#:+ v=1", "# : use std/other", "# >>> std/evil 1.0.0 sha256:0 (used)", "# <<< std/evil", "# ///", "# /// partial",
		"<<EOF", "<<-EOF", `<<"EOF"`, "EOF", "PARTIAL_EOF", "FROM scratch", "FROM scratch AS base", "RUN touch /pwned", "; touch /pwned", "&& touch /pwned", "| sh", "> /pwned", "A=b", "a=b c=d", "--from=base", "--mount=type=secret", "-", "--",
		`["a", "b"]`, "{}", "{a,b}", "*", "?", "[a-z]", "~", "!", "!!", "%s%n", "é", "日本", "😀", "a\u00a0b", "\ufeffx", "\u200bx", "\u3000", strings.Repeat(`\`, 1000),
	} {
		for how, compose := range map[string]func() (*Result, error){
			"--param": func() (*Result, error) {
				return composeSource(t, lib, src, func(o *Options) { o.Params = map[string]string{"evil.v": v} })
			},
			"use line": func() (*Result, error) { return composeSource(t, lib, src[:len(src)-1]+" v="+QuoteWord(v)+"\n") },
		} {
			r, err := compose()
			if err != nil {
				t.Errorf("%s %.40q: %v", how, v, err)
				continue
			}
			if got := argument(t, r.Text, "EVIL_V"); got != v {
				t.Errorf("%s %.40q becomes %.40q", how, v, got)
			}
			if n := countInstructions(t, r.Text); n != plain {
				t.Errorf("%s %.40q makes %d instructions, want %d", how, v, n, plain)
			}
			if b := Blocks(r.Text); len(b) != 1 || b[0].Name != "std/evil" {
				t.Errorf("%s %.40q makes the blocks %+v", how, v, b)
			}
			if back, err := Uncompose(r.Text, r.Lock, nil); err != nil || strings.Count("\n"+back, "\n#: use") != 1 {
				t.Errorf("%s %.40q taken apart: %v\n%.300s", how, v, err, back)
			}
		}
	}
	for _, v := range []string{"\x00", "a\x00b", "\n", "a\nFROM scratch", "\r", "a\rb", "a\r\nb", "\t", "\v", "\f", "\x1b[31m", "\x7f", "\u0085", "\u009b", "\u2028", "\u2029", "\u202e", "\u2066", "\xff", "\xc0\x8a", "\xed\xa0\x80", strings.Repeat("x", maxValue+1)} {
		if _, err := composeSource(t, lib, src, func(o *Options) { o.Params = map[string]string{"evil.v": v} }); err == nil {
			t.Errorf("%.40q is taken", v)
		}
	}
}

// TestNoPartWritesParserDirectives: builders read `# syntax=`, `# escape=` and `# check=` above the first instruction. There, a part's
// comments never are, in the composed file and in what is ejected, whatever stages it puts in front.
func TestNoPartWritesParserDirectives(t *testing.T) {
	for _, directive := range []string{"# syntax=docker.io/evil/frontend:1", "#syntax=docker.io/evil/frontend:1", "# escape=`", "#escape=`", "# check=skip=all", "// syntax=docker.io/evil/frontend:1", `{"syntax": "docker.io/evil/frontend:1"}`, "#!/evil\n# syntax=docker.io/evil/frontend:1"} {
		for where, body := range map[string]string{
			"a helper":  directive + "\nFROM docker.io/library/busybox:1 AS made\n" + directive + "\nRUN true\nFROM base AS install\nCOPY --from=made / /opt",
			"install":   "FROM base AS install\n" + directive + "\nRUN true\n" + directive,
			"the front": "FROM scratch AS files\nCOPY files/ /\n" + directive + "\nFROM base AS install\nCOPY --from=files / /",
		} {
			var files []File
			if where == "the front" {
				files = []File{{Path: "x", Data: directive + "\n"}}
			}
			for _, front := range []string{"", directive + "\n"} {
				p, err := NewPart("evil", front+partText("std/evil", "1.0.0", "", body), files)
				if err != nil {
					continue // refused is as good
				}
				r, err := composeSource(t, memLibrary{}.with(p), "FROM docker.io/library/debian:12\n#: use std/evil\n")
				if err != nil {
					continue
				}
				for what, text := range map[string]string{"composed": r.Text, "ejected": r.Body} {
					if ref, _, _, ok := bkparser.DetectSyntax([]byte(text)); ok {
						t.Errorf("%s in %s names the frontend %s of the %s file:\n%s", directive, where, ref, what, text)
					}
					directives := bkparser.DirectiveParser{}
					if found, err := directives.ParseAll([]byte(text)); err != nil || len(found) > 0 {
						t.Errorf("%s in %s is one of the %s file (%v, %v):\n%s", directive, where, what, found, err, text)
					}
					if res, err := bkparser.Parse(bytes.NewReader([]byte(text))); err != nil || res.EscapeToken != '\\' {
						t.Errorf("%s in %s changes how the %s file is read: %v", directive, where, what, err)
					}
				}
			}
		}
	}
}

// FuzzParameter: whatever a value is, it is refused, or it is the variable's value to the letter.
func FuzzParameter(f *testing.F) {
	for _, s := range []string{"", "x", `x"; touch /pwned; echo "`, "a\nRUN x", `\`, "$(id)", "${HOME}", "<<EOF", "a\u2028b", "#: use x", "\xff", " # ", "`", "# escape=`"} {
		f.Add(s)
	}
	lib := anyText(f)
	f.Fuzz(func(t *testing.T, value string) {
		r, err := composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use std/any\n", func(o *Options) { o.Params = map[string]string{"any.text": value} })
		if err != nil {
			if e := asError(err); e.Code == "P071" {
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		if got := argument(t, r.Text, "ANY_TEXT"); got != value {
			t.Errorf("%q becomes %q", value, got)
		}
	})
}
