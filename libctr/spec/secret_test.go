// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"strings"
	"testing"
)

func TestParseSecret(t *testing.T) {
	for in, tc := range map[string]struct {
		want Secret
		err  string
	}{
		"a":                             {want: Secret{Source: "a", Target: "/run/secrets/a", Mode: 0o444}},
		"source=a,target=b/c":           {want: Secret{Source: "a", Target: "/run/secrets/b/c", Mode: 0o444}},
		"a,type=mount,target=/x/../y":   {want: Secret{Source: "a", Target: "/y", Mode: 0o444}},
		"a,uid=1,gid=2,mode=0600":       {want: Secret{Source: "a", Target: "/run/secrets/a", UID: 1, GID: 2, Mode: 0o600}},
		"a,type=env":                    {want: Secret{Source: "a", Env: "a", Mode: 0o444}},
		"a,type=env,target=B":           {want: Secret{Source: "a", Env: "B", Mode: 0o444}},
		"..":                            {err: "outside of /run/secrets"},
		"a,target=../../etc/passwd":     {err: "outside of /run/secrets"},
		"a,target=b/../../secrets/../x": {err: "outside of /run/secrets"},
		"a,target=/":                    {err: "must not be /"},
		"a,target=/proc/1/mem":          {err: "must not be in /proc"},
		"a,type=env,uid=1":              {err: "cannot be set with secret type env"},
		"a,type=env,type=env":           {err: "more than one secret type"},
		"a,uid=-1":                      {err: "uid -1 invalid"},
		"a,mode=9":                      {err: "mode 9 invalid"},
		"a,mode=77777":                  {err: "invalid"},
		"":                              {err: "no source found"},
		"a,b":                           {err: "option=value"},
	} {
		got, err := ParseSecret(in)
		if tc.err == "" && (err != nil || got != tc.want) || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
			t.Errorf("ParseSecret(%q) = %+v, %v; want %+v, %q", in, got, err, tc.want, tc.err)
		}
	}
}
