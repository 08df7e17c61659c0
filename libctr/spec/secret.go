// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
)

// Secret is a secret that a container is given.
type Secret struct {
	Source string // its name, its ID, or the beginning of its ID
	Env    string // the variable that holds it; empty is a file
	Target string // the file, absolute and clean
	UID    uint32 // of the file, as the container sees it
	GID    uint32
	Mode   uint32
}

// SecretDir is where files of secrets are that nobody has said a place of.
const SecretDir = "/run/secrets"

// ParseSecret reads a value of --secret: NAME[,type=mount|env][,target=…][,uid=N][,gid=N][,mode=OCTAL].
func ParseSecret(value string) (Secret, error) {
	s, err := parseSecret(value)
	if err != nil {
		return s, field.Errorf("%s %q: %w", field.Name("secret"), value, err)
	}
	return s, nil
}

func parseSecret(value string) (Secret, error) {
	s := Secret{Mode: 0o444}
	kind, ofFiles := "", ""
	for i, word := range strings.Split(value, ",") {
		key, v, valued := strings.Cut(word, "=")
		if !valued && i == 0 {
			s.Source = word
			continue
		}
		if !valued {
			return s, fmt.Errorf("option %s must be in form option=value: parsing secret", word)
		}
		var err error
		switch key {
		case "source":
			s.Source = v
		case "target":
			s.Target = v
		case "type":
			if kind != "" {
				return s, errors.New("cannot set more than one secret type: parsing secret")
			}
			if kind = v; v != "mount" && v != "env" {
				return s, fmt.Errorf("type %s is invalid: parsing secret: want mount or env", v)
			}
		case "uid", "UID":
			ofFiles, err = key, number(v, 10, &s.UID)
		case "gid", "GID":
			ofFiles, err = key, number(v, 10, &s.GID)
		case "mode":
			ofFiles, err = key, number(v, 8, &s.Mode)
		default:
			return s, fmt.Errorf("option %s invalid: parsing secret: want type, target, uid, gid or mode", word)
		}
		if err != nil {
			return s, fmt.Errorf("%s %s invalid: parsing secret", key, v)
		}
	}
	if s.Source == "" {
		return s, errors.New("no source found: parsing secret")
	}
	if kind == "env" {
		if ofFiles != "" {
			return s, errors.New("UID, GID, Mode options cannot be set with secret type env: parsing secret")
		}
		s.Env = or(s.Target, s.Source)
		if s.Target = ""; strings.ContainsAny(s.Env, "=\x00") {
			return s, fmt.Errorf("%q cannot be the name of a variable", s.Env)
		}
		return s, nil
	}
	if s.Mode > 0o7777 {
		return s, fmt.Errorf("mode %o invalid: parsing secret", s.Mode)
	}
	return s, secretTarget(&s)
}

// secretTarget completes the path of a secret's file. One that is not absolute stays in SecretDir, whatever the secret is called.
func secretTarget(s *Secret) error {
	target := or(s.Target, s.Source)
	if strings.HasPrefix(target, "/") {
		s.Target = target
		return cleanDestination(&s.Target)
	}
	s.Target = path.Join(SecretDir, target)
	if !strings.HasPrefix(s.Target, SecretDir+"/") {
		return fmt.Errorf("target %q is outside of %s: give an absolute path", target, SecretDir)
	}
	return cleanDestination(&s.Target)
}

func number(text string, base int, to *uint32) error {
	n, err := strconv.ParseUint(text, base, 32)
	*to = uint32(n)
	return err
}
