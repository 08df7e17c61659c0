// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"strings"
	"testing"
)

const billing = `partials: 1
application: {name: billing-api, version: 2.3.0}
environment: {set: {TZ: UTC, LOG_LEVEL: info}, profiles: {dev: {set: {LOG_LEVEL: debug}}}}
stages:
  - base: docker.io/library/alpine:3.20
    steps:
      - use: std/python@^2 version=~3.12
      - use: std/pg-client@^1 major=16
      - use: std/app-user@^1 name=app uid=10001
      - copy: {src: requirements.txt, dst: /srv/app/}
      - use: std/pip-install@^1 file=/srv/app/requirements.txt
      - copy: {src: ., dst: /srv/app/, owner: app}
    run: {workdir: /srv/app, user: app, expose: [8080], cmd: [python3, -m, billing.web]}
`

func asYAML(o *Options) { o.File = "partials.yaml" }

func TestRequirementFileComposes(t *testing.T) {
	r := mustCompose(t, testParts(t), billing, asYAML)
	golden(t, "billing.containerfile", r.Text)
	decode(t, r.Text)
	dev := mustCompose(t, testParts(t), billing, asYAML, func(o *Options) { o.Profile = "dev" })
	wantLines(t, dev.Text, "ENV LOG_LEVEL=debug TZ=UTC")
	if dev.Lock.Source.Profile != "dev" {
		t.Errorf("the lock's profile is %q, want dev", dev.Lock.Source.Profile)
	}
}

func TestRequirementFileIsStrict(t *testing.T) {
	for name, tc := range map[string]struct {
		in   string
		want []string
	}{
		"unknown key":   {strings.Replace(billing, "steps:", "step:", 1), []string{"partials.yaml:6:", `field "step" is not known; known fields: base,`}},
		"duplicate key": {billing + "partials: 1\n", []string{`"partials" stands here twice`}},
		"anchor":        {strings.Replace(billing, "stages:", "stages: &s", 1), []string{"anchors and aliases"}},
		"two in a step": {strings.Replace(billing, "- copy: {src: ., dst: /srv/app/, owner: app}", "- {user: a, workdir: /b}", 1), []string{"a step has 2 of"}},
		"line end":      {strings.Replace(billing, "[python3, -m, billing.web]", `["a"]`, 1) + "    # x\n" + "  - {base: \"a\\nRUN x\"}\n", []string{"control character"}},
		"version":       {strings.Replace(billing, "partials: 1", "partials: 2", 1), []string{"partials: 2 is not a format"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := composeSource(t, testParts(t), tc.in, asYAML)
			if err == nil {
				t.Fatal("no error")
			}
			for _, w := range tc.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("error is %q; want %q in it", err, w)
				}
			}
		})
	}
	_, err := composeSource(t, testParts(t), billing, asYAML, func(o *Options) { o.Profile = "dav" })
	wantError(t, err, "P003", `profile "dav" is not there; did you mean "dev"?`)
}

// TestRequirementFileErrorsHaveItsLines wants lines of the file that the user wrote, not of what it is written out as.
func TestRequirementFileErrorsHaveItsLines(t *testing.T) {
	for _, tc := range []struct{ old, new, want string }{
		{"name=app uid=10001", "name=app uid=x", "partials.yaml:9: P009"},
		{"std/pg-client@^1 major=16", "std/pg-cleint@^1", "partials.yaml:8: P022"},
		{"std/pg-client@^1 major=16", "std/pg-client@^9", "partials.yaml:8: P021"},
		{"std/pg-client@^1 major=16", "std/pg-client@", "partials.yaml:8: P003"},
		{"std/pg-client@^1 major=16", "'std/pg-client \"'", "partials.yaml:8: P001"},
		{"docker.io/library/alpine:3.20", "docker.io/library/nothing:1", "partials.yaml:5: no image"},
		{"docker.io/library/alpine:3.20", "\"${X}\"", "partials.yaml:5: P033"},
		{"- copy: {src: ., dst: /srv/app/, owner: app}", "- {user: a, workdir: /b}", "partials.yaml:12: P003"},
		{"- copy: {src: ., dst: /srv/app/, owner: app}", "- run: |\n          echo 1\n          echo 2\n      - use: std/app-user name=other", "partials.yaml:15: P026: std/app-user is used with name=app uid=10001 (line 9) and name=other (line 15)"},
		{"- copy: {src: ., dst: /srv/app/, owner: app}", "- run: echo $APP_USER_NAME", "partials.yaml:12: P012"},
		{"expose: [8080]", "expose: [a b]", "partials.yaml:13: P003"},
	} {
		text := strings.Replace(billing, tc.old, tc.new, 1)
		if _, err := composeSource(t, testParts(t), text, asYAML); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: error is %v; want %q in it", tc.new, err, tc.want)
		}
	}
	if _, err := LintSource("partials.yaml", strings.Replace(billing, "std/pg-client@^1 major=16", "std/pg-client@", 1)); err == nil || !strings.Contains(err.Error(), "partials.yaml:8: P003") {
		t.Errorf("LintSource: %v", err)
	}
}
