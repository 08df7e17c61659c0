// SPDX-License-Identifier: Apache-2.0

// Package etcfile writes lines of the small files below /etc that Berth makes for containers: passwd and group
// entries, hosts, resolv.conf, hostname, and files of NAME=VALUE. Names and values come from images and users, so
// every field is checked: none may end its field or its line and so add an entry (CVE-2026-15809, CVE-2022-4122).
package etcfile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Passwd is an entry of passwd(5). The password field is always "*": no one logs in with it.
type Passwd struct {
	Name  string
	UID   uint32
	GID   uint32
	Gecos string
	Home  string // empty is /
	Shell string // empty is /bin/sh
}

// Line returns the entry with its line break, or an error that names the first field that cannot stand in it.
func (p Passwd) Line() (string, error) {
	if p.Home == "" {
		p.Home = "/"
	}
	if p.Shell == "" {
		p.Shell = "/bin/sh"
	}
	if err := checkAll(Name("user name", p.Name), Field("comment", p.Gecos), Path("home directory", p.Home), Path("shell", p.Shell)); err != nil {
		return "", fmt.Errorf("make an entry of /etc/passwd: %w", err)
	}
	return fmt.Sprintf("%s:*:%d:%d:%s:%s:%s\n", p.Name, p.UID, p.GID, p.Gecos, p.Home, p.Shell), nil
}

// Group is an entry of group(5).
type Group struct {
	Name    string
	GID     uint32
	Members []string
}

// Line returns the entry with its line break, or an error that names the first field that cannot stand in it.
func (g Group) Line() (string, error) {
	err := Name("group name", g.Name)
	for _, m := range g.Members {
		err = checkAll(err, Name("group member", m))
	}
	if err != nil {
		return "", fmt.Errorf("make an entry of /etc/group: %w", err)
	}
	return fmt.Sprintf("%s:x:%d:%s\n", g.Name, g.GID, strings.Join(g.Members, ",")), nil
}

// Home returns the first of homes that can stand in /etc/passwd, else /. HOME of an image or of --env, and the working
// directory that stands in for it, are any strings.
func Home(homes ...string) string {
	for _, h := range homes {
		if Path("home directory", h) == nil {
			return h
		}
	}
	return "/"
}

// Name checks the name of a user or group. "+" and "-" in front mean "all of NIS" to the C library, and "#" a comment.
func Name(what, value string) error {
	if err := Field(what, value); err != nil {
		return err
	}
	switch {
	case value == "":
		return fmt.Errorf("the %s is empty", what)
	case strings.ContainsRune("+-#~", rune(value[0])) || strings.ContainsAny(value, ", /") || strings.ContainsFunc(value, unicode.IsSpace):
		return fmt.Errorf("%s %q: blanks, commas and slashes cannot stand in it, nor +, -, # or ~ in front", what, value)
	}
	return nil
}

// Path checks an absolute path that is a field of /etc/passwd.
func Path(what, value string) error {
	if err := Field(what, value); err != nil {
		return err
	}
	if !strings.HasPrefix(value, "/") {
		return fmt.Errorf("%s %q: not an absolute path", what, value)
	}
	return nil
}

// Field checks a value between colons: it is one line, and has no colon.
func Field(what, value string) error {
	if strings.Contains(value, ":") {
		return fmt.Errorf("%s %q: a colon cannot stand in it", what, value)
	}
	return Line(what, value)
}

// Line checks a value that has a line, or the rest of one, for itself: no control characters, no other Unicode line
// breaks, valid UTF-8.
func Line(what, value string) error {
	if err := OneLine(value); err != nil {
		return fmt.Errorf("%s %q: %w", what, value, err)
	}
	return nil
}

// OneLine is Line for a caller that says himself what the value is.
func OneLine(value string) error {
	breaks := func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }
	if !utf8.ValidString(value) || strings.ContainsFunc(value, breaks) {
		return errors.New("line breaks and control characters cannot stand in it")
	}
	return nil
}

// Word checks a value between blanks, as in /etc/hosts and /etc/resolv.conf: not empty, no blanks, no comment sign.
func Word(what, value string) error {
	if err := Line(what, value); err != nil {
		return err
	}
	if value == "" || strings.ContainsAny(value, "#;") || strings.ContainsFunc(value, unicode.IsSpace) {
		return fmt.Errorf("%s %q: want one word, without blanks, # and ;", what, value)
	}
	return nil
}

// Quoted returns value in double quotes, as one line, for files of NAME="VALUE" that shells source as well: nothing
// in it is expanded.
func Quoted(value string) string {
	return strings.NewReplacer("$", `\$`, "`", "\\`").Replace(strconv.Quote(value))
}

func checkAll(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
