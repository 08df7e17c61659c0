// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/berth-containers/berth/build/partial/solve"
)

// Use is one "#: use" line: a part, and what it is given.
type Use struct {
	Line   int
	Text   string // the directive's words, joined lines included, as they are written
	Ref    Ref
	Range  solve.Range
	Role   string // install or dev
	Params map[string]string
	Allow  []string // secret:ID and ssh:ID that the part may mount
	Sum    string   // of an archive behind https: sha256:…, from the word sha256=…
	stage  int      // which stage of the source it stands in
	end    int      // its last line, where it goes on with #:+
}

// Override settles a conflict by hand.
type Override struct {
	Line  int
	Name  string // a part's name, or env.NAME
	Value string // its version, or the variable's value
}

// fileOptions are the "#: option" lines.
type fileOptions struct {
	MergePackages bool
	Canonical     bool
	Embed         string // label, file or none
	Pin           bool
}

// directives are all of a source's.
type directives struct {
	uses      []*Use
	overrides []Override
	provides  map[string]string // base-provides: capability to version, which may be empty
	opts      fileOptions
	rebase    map[int]bool // lines of "#: rebase safe"
	lines     map[int]bool // all lines of directives
}

var directiveWords = []string{"use", "base-provides", "override", "option", "rebase"}

// HasDirectives reports whether the text has a line that begins with "#:", so that the maker has to
// see it. It is quick, and true also where the line is data in a heredoc.
func HasDirectives(text []byte) bool {
	s := string(text)
	return strings.HasPrefix(s, "#:") || strings.Contains(s, "\n#:")
}

// scanDirectives finds the directives between the instructions of c. A "#:" line in a heredoc is data.
func scanDirectives(file string, c *containerfile) (*directives, error) {
	d := &directives{provides: map[string]string{}, rebase: map[int]bool{}, lines: map[int]bool{}, opts: fileOptions{Embed: "label", Pin: true}}
	var errs []*Error
	next := 0 // the first instruction that ends at or below the line
	stage := -1
	for n := 1; n <= len(c.lines); n++ {
		for next < len(c.instrs) && c.instrs[next].end < n {
			if c.instrs[next].cmd == "FROM" {
				stage++
			}
			next++
		}
		if !strings.HasPrefix(c.lines[n-1], "#:") {
			continue
		}
		if next < len(c.instrs) && c.instrs[next].start <= n {
			if in := &c.instrs[next]; n < in.heredoc {
				errs = append(errs, Errorf("P002", "%q stands inside the %s that starts at line %d; move it above line %d",
					firstWords(c.lines[n-1]), in.cmd, in.start, in.start).at(file, n))
			}
			continue
		}
		text, end := joinDirective(c.lines, n)
		for l := n; l <= end; l++ {
			d.lines[l] = true
		}
		errs = append(errs, at(d.add(text, n, end, stage), file, n)...)
		n = end
	}
	return d, joinErrors(errs)
}

func at(err *Error, file string, line int) []*Error {
	if err == nil {
		return nil
	}
	return []*Error{err.at(file, line)}
}

// firstWords is the beginning of a directive for a message: "#: use".
func firstWords(line string) string {
	f := strings.Fields(strings.TrimPrefix(line, "#:"))
	if len(f) == 0 {
		return "#:"
	}
	return "#: " + f[0]
}

// joinDirective joins the directive at line n with the "#:+" lines below it.
func joinDirective(lines []string, n int) (string, int) {
	text := strings.TrimPrefix(lines[n-1], "#:")
	for n < len(lines) && strings.HasPrefix(lines[n], "#:+") {
		text += " " + strings.TrimPrefix(lines[n], "#:+")
		n++
	}
	return strings.TrimSpace(text), n
}

func (d *directives) add(text string, line, end, stage int) *Error {
	words, err := splitWords(text)
	if err != nil {
		return Errorf("P001", "%v", err)
	}
	if len(words) == 0 {
		return Errorf("P001", "a directive needs a word after #:; known are %s", strings.Join(directiveWords, ", "))
	}
	args := words[1:]
	switch words[0] {
	case "use":
		u, err := parseUse(args)
		if err != nil {
			return err
		}
		if stage < 0 {
			return Errorf("P002", "%q stands above the first FROM; move it below", "#: use")
		}
		u.Line, u.end, u.stage, u.Text = line, end, stage, text
		d.uses = append(d.uses, u)
		return nil
	case "base-provides":
		return d.addProvides(args)
	case "override":
		return d.addOverride(args, line)
	case "option":
		return d.addOptions(args)
	case "rebase":
		if len(args) != 1 || args[0] != "safe" {
			return Errorf("P001", "rebase takes one word: #: rebase safe")
		}
		d.rebase[line] = true
		return nil
	case "+":
		return Errorf("P001", "#:+ goes on with a directive, but the line above is none")
	}
	if strings.HasPrefix(words[0], "+") {
		return Errorf("P001", "#:+ goes on with a directive, but the line above is none")
	}
	return Errorf("P001", "unknown directive %q%s", words[0], didYouMean(words[0], directiveWords))
}

var paramName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z][a-z0-9]*([_-][a-z0-9]+)*$`) })

func parseUse(args []string) (*Use, *Error) {
	if len(args) == 0 {
		return nil, Errorf("P001", "use needs a part: #: use REF[@RANGE] [as dev] [param=value]...")
	}
	u := &Use{Role: "install", Params: map[string]string{}}
	var err error
	if u.Ref, u.Range, err = ParseRef(args[0]); err != nil {
		return nil, asError(err)
	}
	args = args[1:]
	if len(args) > 0 && args[0] == "as" {
		if len(args) == 1 || args[1] != "dev" && args[1] != "install" {
			return nil, Errorf("P001", "use … as takes dev, or install, which is the default%s", didYouMean(strings.Join(args[1:min(2, len(args))], ""), []string{"dev", "install"}))
		}
		u.Role, args = args[1], args[2:]
	}
	for _, a := range args {
		name, value, ok := strings.Cut(a, "=")
		switch {
		case !ok:
			return nil, Errorf("P001", "%q is not param=value", a)
		case name == "allow":
			if kind, id, ok := strings.Cut(value, ":"); !ok || id == "" || kind != "secret" && kind != "ssh" {
				return nil, Errorf("P001", "allow=%s: write allow=secret:ID or allow=ssh:ID", value)
			}
			u.Allow = append(u.Allow, value)
		case name == "sha256" && u.Ref.Kind == "https":
			if u.Sum = "sha256:" + value; !isDigest(u.Sum) {
				return nil, Errorf("P001", "sha256=%s: 64 hexadecimal digits are wanted", value)
			}
		case !paramName().MatchString(name):
			return nil, Errorf("P001", "%s is not a parameter's name: lower-case letters, digits, dashes", strconv.Quote(name))
		default:
			if _, twice := u.Params[name]; twice {
				return nil, Errorf("P001", "parameter %q is given twice", name)
			}
			u.Params[name] = value
		}
	}
	return u, nil
}

// asError returns the error of the catalogue in err; every err that gets here has one.
func asError(err error) *Error {
	if e, ok := err.(*Error); ok {
		return e
	}
	return Errorf("P001", "%v", err)
}

func (d *directives) addProvides(args []string) *Error {
	if len(args) != 1 {
		return Errorf("P001", "base-provides takes one capability: #: base-provides CAP[=VERSION]")
	}
	name, version, _ := strings.Cut(args[0], "=")
	if !isCapability(name) {
		return Errorf("P001", "%q is not a capability's name: lower-case letters, digits, dots, dashes", name)
	}
	d.provides[name] = version
	return nil
}

func (d *directives) addOverride(args []string, line int) *Error {
	usage := Errorf("P001", "override takes NAME@VERSION or env.NAME=VALUE")
	if len(args) != 1 {
		return usage
	}
	if rest, ok := strings.CutPrefix(args[0], "env."); ok {
		name, value, ok := strings.Cut(rest, "=")
		if !ok || !isEnvName(name) {
			return usage
		}
		if err := checkText("override env."+name, value); err != nil {
			return err
		}
		d.overrides = append(d.overrides, Override{Line: line, Name: "env." + name, Value: value})
		return nil
	}
	name, version, ok := strings.Cut(args[0], "@")
	if !ok || !isPartName(name) {
		return usage
	}
	if err := checkVersion(version); err != nil {
		return err
	}
	d.overrides = append(d.overrides, Override{Line: line, Name: name, Value: version})
	return nil
}

func (d *directives) addOptions(args []string) *Error {
	known := []string{"packages=merged", "order=canonical", "embed=label", "embed=file", "embed=none", "pin=off"}
	if len(args) == 0 {
		return Errorf("P001", "option needs one of %s", strings.Join(known, ", "))
	}
	for _, a := range args {
		switch a {
		case "packages=merged":
			d.opts.MergePackages = true
		case "order=canonical":
			d.opts.Canonical = true
		case "embed=label", "embed=file", "embed=none":
			d.opts.Embed = strings.TrimPrefix(a, "embed=")
		case "pin=off":
			d.opts.Pin = false
		default:
			return Errorf("P001", "unknown option %q%s", a, didYouMean(a, known))
		}
	}
	return nil
}

// override returns the value that an override of name has.
func (d *directives) override(name string) (string, bool) {
	i := slices.IndexFunc(d.overrides, func(o Override) bool { return o.Name == name })
	if i < 0 {
		return "", false
	}
	return d.overrides[i].Value, true
}

func isEnvName(s string) bool {
	for i, c := range []byte(s) {
		ok := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || i > 0 && '0' <= c && c <= '9'
		if !ok {
			return false
		}
	}
	return s != ""
}

// Sums returns the digests that a source gives for archives behind https, by URL. A source that
// cannot be parsed has none; Compose says what is wrong with it.
func Sums(file, text string) map[string]string {
	sums := map[string]string{}
	if isRequirementFile(file) {
		text, _, _ = expandRequirements(file, text, "")
	}
	c, err := parseContainerfile("", unixText(text), "P002")
	if err != nil {
		return sums
	}
	d, err := scanDirectives("", c)
	if err != nil {
		return sums
	}
	for _, u := range d.uses {
		if u.Sum != "" {
			sums[u.Ref.Text] = u.Sum
		}
	}
	return sums
}
