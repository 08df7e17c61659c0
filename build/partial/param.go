// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"github.com/berth-containers/berth/internal/visible"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/Masterminds/semver/v3"
)

// paramTypes are the types of parameters.
var paramTypes = []string{"string", "int", "bool", "version", "port", "path", "url"}

// Param says what values a parameter of a part takes.
type Param struct {
	Type        string   `yaml:"type" json:"type"`
	Default     *Scalar  `yaml:"default" json:"default,omitempty"` // nil and not Required: the empty text, which only a string may have
	Required    bool     `yaml:"required" json:"required,omitempty"`
	Pattern     string   `yaml:"pattern" json:"pattern,omitempty"` // of the whole value; Go's regular expressions
	Enum        []Scalar `yaml:"enum" json:"enum,omitempty"`
	Min         *int64   `yaml:"min" json:"min,omitempty"`
	Max         *int64   `yaml:"max" json:"max,omitempty"`
	Range       string   `yaml:"range" json:"range,omitempty"` // of versions
	Description string   `yaml:"description" json:"description,omitempty"`
}

// argName is the ARG of parameter param of the part called name: NODEJS_VERSION.
func argName(name, param string) string {
	return strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(leaf(name) + "_" + param))
}

// ArgName is the name of the ARG that holds a parameter's value in the part's stages.
func (p *Part) ArgName(param string) string { return argName(p.Meta.Name, param) }

// define checks the definition itself, and that the default is a value.
func (p *Param) define(part, name string) *Error {
	bad := func(format string, args ...any) *Error {
		return Errorf("P003", "parameter %q: %s", name, fmt.Sprintf(format, args...))
	}
	switch {
	case !paramName().MatchString(name) || name == "allow":
		return bad("the name must be lower-case letters, digits and dashes, and not allow")
	case !slices.Contains(paramTypes, p.Type):
		return bad("type %q is not known%s", p.Type, orKnown(didYouMean(p.Type, paramTypes), paramTypes))
	case p.Type == "string" && p.Pattern == "" && len(p.Enum) == 0:
		return bad("a string needs a pattern or an enum")
	case p.Required == (p.Default != nil):
		return bad("give a default, or required: true")
	case (p.Min != nil || p.Max != nil) && p.Type != "int" && p.Type != "port":
		return bad("min and max are for int and port")
	case p.Range != "" && p.Type != "version":
		return bad("range is for version")
	}
	if p.Pattern != "" {
		if _, err := regexp.Compile(p.Pattern); err != nil {
			return bad("pattern: %v", err)
		}
	}
	if p.Range != "" {
		if _, err := semver.NewConstraint(p.Range); err != nil {
			return bad("range %q is not a range of versions", p.Range)
		}
	}
	if p.Default != nil {
		return p.check(part, name, string(*p.Default))
	}
	return nil
}

func orKnown(suggestion string, known []string) string {
	if suggestion != "" {
		return suggestion
	}
	return "; known are " + strings.Join(known, ", ")
}

// checkText refuses what could end a line or hide in it: control characters and text that is not UTF-8.
func checkText(what, value string) *Error {
	for i, r := range value {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(value[i:]); n == 1 {
				return Errorf("P010", "%s is not UTF-8 (byte 0x%02x at %d)", what, value[i], i)
			}
		}
		if e := hidden(what, value, i, r); e != nil {
			return e
		}
	}
	return nil
}

// hidden refuses a rune that is not seen but changes what is: somebody who reads the text would see another one.
func hidden(what, text string, at int, r rune) *Error {
	switch {
	case !visible.Hidden(r):
		return nil
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return Errorf("P010", "%s contains a control character (byte 0x%02x at %d)", what, text[at], at)
	}
	return Errorf("P010", "%s contains a mark that changes the direction of text (U+%04X at %d)", what, r, at)
}

// maxValue is how many bytes a value may have. Builders take no line above 64 KiB, and quoting can double it.
const maxValue = 24 << 10

// check reports whether value is one of the parameter's: P010, P009 or nil.
func (p *Param) check(part, name, value string) *Error {
	if err := checkText(part+": "+name, value); err != nil {
		return err
	}
	if len(value) > maxValue {
		return Errorf("P009", "%s: %s has %d bytes; %d are the most", part, name, len(value), maxValue)
	}
	bad := func(format string, args ...any) *Error {
		return Errorf("P009", "%s: %s=%q %s", part, name, value, fmt.Sprintf(format, args...))
	}
	switch p.Type {
	case "int", "port":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || strings.HasPrefix(value, "+") {
			return bad("is not a whole number; example: %s", p.example("10"))
		}
		low, high := int64(math.MinInt64), int64(math.MaxInt64)
		if p.Type == "port" {
			low, high = 1, 65535
		}
		if p.Min != nil {
			low = max(low, *p.Min)
		}
		if p.Max != nil {
			high = min(high, *p.Max)
		}
		if n < low || n > high {
			return bad("is not from %d to %d", low, high)
		}
	case "bool":
		if value != "true" && value != "false" {
			return bad("is not true or false")
		}
	case "version":
		v, err := semver.NewVersion(value)
		if err != nil || strings.HasPrefix(value, "v") {
			return bad("is not a version; example: %s", p.example("1.2.3"))
		}
		if p.Range != "" {
			if c, err := semver.NewConstraint(p.Range); err != nil || !c.Check(v) {
				return bad("is not in the range %s", p.Range)
			}
		}
	case "path":
		if !strings.HasPrefix(value, "/") || slices.Contains(strings.Split(value, "/"), "..") {
			return bad("is not an absolute path without ..; example: %s", p.example("/srv/app"))
		}
	case "url":
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return bad("is not an http or https URL; example: %s", p.example("https://example.org/"))
		}
	}
	if len(p.Enum) > 0 && !slices.Contains(p.Enum, Scalar(value)) {
		return bad("is not one of %s", joinScalars(p.Enum))
	}
	if p.Pattern != "" {
		if re, err := regexp.Compile(`^(?:` + p.Pattern + `)$`); err != nil || !re.MatchString(value) {
			return bad("does not match %s", p.Pattern)
		}
	}
	return nil
}

func (p *Param) example(otherwise string) string {
	if p.Default != nil && *p.Default != "" {
		return string(*p.Default)
	}
	return otherwise
}

func joinScalars(list []Scalar) string {
	s := make([]string, len(list))
	for i, v := range list {
		s[i] = string(v)
	}
	return strings.Join(s, ", ")
}

// bind gives every parameter of the part its value.
func (m *Meta) bind(given map[string]string) (map[string]string, []*Error) {
	var errs []*Error
	for _, name := range sortedKeys(given) {
		if _, ok := m.Params[name]; !ok {
			errs = append(errs, Errorf("P008", "%s has no parameter %q%s", m.Name, name, didYouMean(name, sortedKeys(m.Params))))
		}
	}
	values := map[string]string{}
	for _, name := range sortedKeys(m.Params) {
		p := m.Params[name]
		value, ok := given[name]
		switch {
		case !ok && p.Required:
			errs = append(errs, Errorf("P009", "%s: %s has no default; give %s=%s", m.Name, name, name, p.example("VALUE")))
			continue
		case !ok:
			value = string(*p.Default)
		}
		if err := p.check(m.Name, name, value); err != nil {
			errs = append(errs, err)
		}
		values[name] = value
	}
	return values, errs
}
