// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"
	"testing"
)

func TestExec(t *testing.T) {
	s, err := Generate(Options{Args: []string{"init"}, Env: []string{"A=1", "HOME=/root"}, WorkingDir: "/w", Host: userHost()})
	if err != nil {
		t.Fatal(err)
	}
	web := &User{UID: 33, GID: 34, Groups: []uint32{35, 99999}, Home: "/home/web"}
	for name, tc := range map[string]struct {
		o    ExecOptions
		env  []string
		cwd  string
		gids []uint32
		caps int
		err  string
	}{
		"as the container": {o: ExecOptions{Args: []string{"x"}}, env: []string{"A=1", "HOME=/root"}, cwd: "/w", gids: []uint32{0}, caps: 11},
		"environment":      {o: ExecOptions{Args: []string{"x"}, Env: []string{"A=2", "B=3"}, Terminal: true, WorkingDir: "/v"}, env: []string{"A=2", "B=3", "HOME=/root", "TERM=xterm"}, cwd: "/v", gids: []uint32{0}, caps: 11},
		"user":             {o: ExecOptions{Args: []string{"x"}, User: web}, env: []string{"A=1", "HOME=/home/web"}, cwd: "/w", gids: []uint32{34, 35}},
		"HOME by flag":     {o: ExecOptions{Args: []string{"x"}, User: web, Env: []string{"HOME=/h"}}, env: []string{"A=1", "HOME=/h"}, cwd: "/w", gids: []uint32{34, 35}},
		"root by flag":     {o: ExecOptions{Args: []string{"x"}, User: &User{Home: "/root"}}, env: []string{"A=1", "HOME=/root"}, cwd: "/w", gids: []uint32{0}, caps: 11},
		"privileged user":  {o: ExecOptions{Args: []string{"x"}, User: web, Privileged: true}, env: []string{"A=1", "HOME=/home/web"}, cwd: "/w", gids: []uint32{34, 35}, caps: len(capabilities)},
		"no command":       {err: "no command"},
		"unmapped":         {o: ExecOptions{Args: []string{"x"}, User: &User{UID: 70000}}, err: "user 70000 does not exist"},
		"relative":         {o: ExecOptions{Args: []string{"x"}, WorkingDir: "v"}, err: "not an absolute path"},
		"open file":        {o: ExecOptions{Args: []string{"x"}, WorkingDir: "/proc/self/fd/7"}, err: "cannot be the working directory"}, // CVE-2024-21626
	} {
		tc.o.Host = userHost()
		p, err := Exec(s, tc.o)
		if tc.err != "" || err != nil {
			check(t, name, nil, nil, err, tc.err)
			continue
		}
		if !slices.Equal(p.Env, tc.env) || p.Cwd != tc.cwd || !slices.Equal(p.User.AdditionalGids, tc.gids) || len(p.Capabilities.Effective) != tc.caps {
			t.Errorf("%s: %q, %s, groups %v, %d capabilities", name, p.Env, p.Cwd, p.User.AdditionalGids, len(p.Capabilities.Effective))
		}
	}
	if !slices.Equal(s.Process.Args, []string{"init"}) || !slices.Equal(s.Process.Env, []string{"A=1", "HOME=/root"}) {
		t.Error("Exec changes the container's specification")
	}
}
