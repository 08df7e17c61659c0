// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"encoding/json"
	"maps"
	"path"
	"slices"
	"strings"

	bkshell "github.com/moby/buildkit/frontend/dockerfile/shell"
)

// defaultPath is what builders take where an image sets no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

var defaultShell = []string{"/bin/sh", "-c"}

// state is what an instruction leaves to the next: the maker follows it through a stage.
type state struct {
	user    string // as USER has it; "" and "0" are root
	workdir string
	shell   []string
	env     map[string]string // ENV, the base's included
	args    map[string]string // ARG whose value is known here
	whole   bool              // there is no variable but these: another one is empty, as in a build
	open    bool              // another one has a value that is not known
}

func newState(b *Base) *state {
	s := &state{env: map[string]string{}, args: map[string]string{}}
	if b != nil {
		s.user, s.workdir, s.shell = b.Config.User, b.Config.Workdir, b.Config.Shell
		maps.Copy(s.env, b.Config.Env)
	}
	return s
}

// child is the state that a stage begins with that is FROM this one.
func (s *state) child() *state {
	c := s.clone()
	c.args = map[string]string{}
	return c
}

func (s *state) clone() *state {
	c := *s
	c.env, c.args, c.shell = maps.Clone(s.env), maps.Clone(s.args), slices.Clone(s.shell)
	return &c
}

func (s *state) root() bool {
	user, _, _ := strings.Cut(s.user, ":")
	return user == "" || user == "0" || user == "root"
}

func (s *state) shellWords() []string {
	if len(s.shell) == 0 {
		return defaultShell
	}
	return s.shell
}

func (s *state) dir() string {
	if s.workdir == "" {
		return "/"
	}
	return s.workdir
}

// Get and Keys make a state an environment for the shell lexer: ENV beats ARG.
func (s *state) Get(name string) (string, bool) {
	if v, ok := s.env[name]; ok {
		return v, true
	}
	v, ok := s.args[name]
	return v, ok
}

// Keys returns the names that Get knows.
func (s *state) Keys() []string {
	return slices.Concat(sortedKeys(s.env), sortedKeys(s.args))
}

// expand expands a word as builders do. What is not known stays as it is written.
func (s *state) expand(word string) (value string, known bool) {
	lex := bkshell.NewLex('\\')
	r, err := lex.ProcessWordWithMatches(word, s)
	switch {
	case err == nil && len(r.Unmatched) > 0 && s.open:
		return anything, true
	case err != nil || len(r.Unmatched) > 0 && !s.whole:
		return word, false
	}
	return r.Result, true
}

// apply follows one instruction. globals are the values of the ARGs above the first FROM,
// buildArgs those of the command line.
func (s *state) apply(in *instruction, globals, buildArgs map[string]string) {
	switch in.cmd {
	case "USER":
		if len(in.args) > 0 {
			s.user, _ = s.expand(in.args[0])
		}
	case "WORKDIR":
		if len(in.args) > 0 {
			s.chdir(in.args[0])
		}
	case "SHELL":
		s.shell = slices.Clone(in.args)
	case "ENV":
		kv, _ := in.keyValues()
		set := map[string]string{} // names on one line do not see each other
		for _, e := range kv {
			set[e[0]], _ = s.expand(e[1])
		}
		maps.Copy(s.env, set)
	case "ARG":
		for _, a := range in.args {
			s.arg(a, globals, buildArgs)
		}
	}
}

func (s *state) chdir(dir string) {
	d, known := s.expand(dir)
	if known && !path.IsAbs(d) || !known && !strings.HasPrefix(d, "/") && !strings.HasPrefix(d, "$") {
		d = path.Join(s.dir(), d)
	}
	s.workdir = d
}

func (s *state) arg(word string, globals, buildArgs map[string]string) {
	name, text, hasDefault := strings.Cut(word, "=")
	if v, ok := buildArgs[name]; ok {
		s.args[name] = v
		return
	}
	if hasDefault {
		if v, known := s.expand(text); known {
			s.args[name] = v
		}
		return
	}
	if v, ok := globals[name]; ok {
		s.args[name] = v
	}
}

// quoteArg writes a value between double quotes, so that the builders' lexers read it back.
func quoteArg(v string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `$`, `\$`).Replace(v) + `"`
}

// quotePlain is quoteArg where it must be, and the value as it is where it may.
func quotePlain(v string) string {
	plain := v != ""
	for _, c := range []byte(v) {
		ok := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("_./:@%+,=-", c) >= 0
		plain = plain && ok
	}
	if plain {
		return v
	}
	return quoteArg(v)
}

// jsonWords is the exec form.
func jsonWords(words []string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(words) // strings always encode
	return strings.TrimSpace(b.String())
}
