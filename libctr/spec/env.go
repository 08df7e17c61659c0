// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/berth-containers/berth/internal/field"
)

// DefaultPath is the PATH of a container whose image sets none; podman's and docker's.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// EnvOptions says where a container's environment comes from. Lists are of the
// form NAME=value; later sources win over earlier ones, in the order of the fields
// (podman-run(1), "Environment").
type EnvOptions struct {
	Defaults []string // containers.conf
	Host     []string // --env-host: the caller's environment; else ProxyEnv of it
	Image    []string
	Files    []string // --env-file, as ReadEnvFile returns it
	Merge    []string // --env-merge: NAME=value, in which $NAME stands for what there is without Files and Flags
	Flags    []string // -e, as ParseEnv returns it

	Unset    []string // --unsetenv: names
	UnsetAll bool     // --unsetenv-all: only Files and Flags count

	Terminal bool   // sets TERM=xterm where nothing else sets it
	Hostname string // sets HOSTNAME where nothing else does
	Home     string // sets HOME where nothing else does
}

// Environment returns the container's environment, sorted by name.
func Environment(o EnvOptions) []string {
	vars := map[string]string{}
	add := func(list []string) {
		for _, kv := range list {
			if name, value, ok := strings.Cut(kv, "="); ok && name != "" {
				vars[name] = value
			}
		}
	}
	if !o.UnsetAll {
		// Programs, systemd among them, look for this name; "podman" is what they know.
		add([]string{"PATH=" + DefaultPath, "container=podman"})
		if o.Terminal {
			add([]string{"TERM=xterm"})
		}
		add(o.Defaults)
		add(o.Host)
		add(o.Image)
		for _, name := range o.Unset {
			delete(vars, name)
		}
	}
	for _, kv := range o.Merge {
		name, value, _ := strings.Cut(kv, "=")
		vars[name] = os.Expand(value, func(name string) string { return vars[name] })
	}
	add(o.Files)
	add(o.Flags)
	if _, ok := vars["HOSTNAME"]; !ok && o.Hostname != "" {
		vars["HOSTNAME"] = o.Hostname
	}
	if vars["HOME"] == "" && o.Home != "" {
		vars["HOME"] = o.Home
	}
	env := make([]string, 0, len(vars))
	for name, value := range vars {
		env = append(env, name+"="+value)
	}
	sort.Strings(env)
	return env
}

// ParseEnv reads the values of -e: NAME=value; NAME, which is taken from host if it
// is there; or a prefix and "*", which takes every variable of host that begins so.
func ParseEnv(values, host []string) ([]string, error) {
	var env []string
	for _, v := range values {
		found, err := envEntry(v, host)
		if err != nil {
			return nil, field.Errorf("%s %q: %w", field.Name("env"), v, err)
		}
		env = append(env, found...)
	}
	return env, nil
}

func envEntry(v string, host []string) ([]string, error) {
	name, _, assigned := strings.Cut(v, "=")
	switch {
	case name == "":
		return nil, errors.New("a variable's name is missing")
	case strings.ContainsRune(v, 0):
		return nil, errors.New("a NUL byte cannot stand in an environment")
	case assigned:
		return []string{v}, nil
	}
	prefix, wildcard := strings.CutSuffix(name, "*")
	var env []string
	for _, kv := range host {
		n, _, _ := strings.Cut(kv, "=")
		if n != "" && (n == name || wildcard && strings.HasPrefix(n, prefix)) {
			env = append(env, kv)
		}
	}
	return env, nil
}

// ReadEnvFile reads a file given to --env-file, in docker's format: a variable a
// line as in -e, without quoting; blank lines and lines that begin with "#" are
// skipped, leading blanks too.
func ReadEnvFile(path string, host []string) ([]string, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, field.Errorf("read %s: %w", field.Name("env-file"), err)
	}
	defer f.Close()
	var env []string
	err = eachLine(f, func(n int, line string) error {
		name, _, _ := strings.Cut(line, "=")
		if strings.ContainsAny(name, " \t") {
			return fmt.Errorf("line %d: variable %q contains blanks", n, name)
		}
		found, err := envEntry(line, host)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		env = append(env, found...)
		return nil
	})
	if err != nil {
		return nil, field.Errorf("read %s %s: %w", field.Name("env-file"), path, err)
	}
	return env, nil
}

// eachLine calls do with every line of r that holds something, without blanks in front.
func eachLine(r io.Reader, do func(n int, line string) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, 1<<20)
	for n := 1; sc.Scan(); n++ {
		line := sc.Text()
		if n == 1 {
			line = strings.TrimPrefix(line, "\uFEFF")
		}
		if !utf8.ValidString(line) {
			return fmt.Errorf("line %d: not valid UTF-8", n)
		}
		line = strings.TrimLeft(line, " \t")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := do(n, line); err != nil {
			return err
		}
	}
	return sc.Err()
}

// ProxyEnv picks the proxy settings out of environ, for EnvOptions.Host (--http-proxy).
func ProxyEnv(environ []string) []string {
	var env []string
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch strings.ToLower(name) {
		case "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy":
			env = append(env, kv)
		}
	}
	return env
}
