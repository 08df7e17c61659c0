// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/spec"
)

const (
	aProcess = "system_u:system_r:container_t:s0:c17,c904"
	aMount   = "system_u:object_r:container_file_t:s0:c17,c904"
)

func TestJoinLabels(t *testing.T) {
	container := spec.Namespace{Container: "other"}
	for name, tc := range map[string]struct {
		user  []string
		o     spec.Options
		other string
		want  []string
	}{
		"nothing":        {},
		"given":          {o: spec.Options{Security: spec.Security{Labels: []string{"type:spc_t", "level:s0:c1,c2"}}}, want: []string{"type:spc_t", "level:s0:c1,c2"}},
		"caller's first": {user: []string{"user:staff_u"}, o: spec.Options{Security: spec.Security{Labels: []string{"user:x_u"}}}, want: []string{"user:staff_u", "user:x_u"}},
		"privileged":     {user: []string{"user:staff_u"}, o: spec.Options{Privileged: true}, want: []string{"disable"}},
		"host's pid":     {o: spec.Options{PID: spec.Namespace{Host: true}, Security: spec.Security{Labels: []string{"type:t"}}}, want: []string{"disable"}},
		"host's ipc":     {o: spec.Options{IPC: spec.Namespace{Host: true}}, want: []string{"disable"}},
		"another's ipc": {o: spec.Options{IPC: container}, other: aProcess,
			want: []string{"user:system_u", "role:system_r", "type:container_t", "level:s0:c17,c904"}},
		"another's pid, which has none": {o: spec.Options{PID: container}, want: []string{"disable"}},
	} {
		got, err := joinLabels(tc.user, &tc.o, func(string) (string, error) { return tc.other, nil })
		if err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, tc.want)
		}
	}
	_, err := joinLabels(nil, &spec.Options{PID: container}, func(string) (string, error) { return "", errors.New("gone") })
	if err == nil || !strings.Contains(field.Text(err, field.Flag), "--pid container:other: gone") {
		t.Errorf("got %v", err)
	}
}

// The labels are in the specification: of the container's process, of exec's, and of what the runtime mounts.
func TestLabelsInTheSpec(t *testing.T) {
	s, err := spec.Generate(spec.Options{Args: []string{"x"}, ProcessLabel: aProcess, MountLabel: aMount})
	if err != nil {
		t.Fatal(err)
	}
	if s.Process.SelinuxLabel != aProcess || s.Linux.MountLabel != aMount {
		t.Errorf("got %q and %q", s.Process.SelinuxLabel, s.Linux.MountLabel)
	}
	p, err := spec.Exec(s, spec.ExecOptions{Args: []string{"x"}, User: &spec.User{UID: 0}})
	if err != nil || p.SelinuxLabel != aProcess {
		t.Errorf("exec: got %v, %v", p, err)
	}
	if s, err = spec.Generate(spec.Options{Args: []string{"x"}}); err != nil || s.Process.SelinuxLabel != "" || s.Linux.MountLabel != "" {
		t.Errorf("without SELinux: %v, %v", s, err)
	}
}

func TestLabelOfTheLayer(t *testing.T) {
	for _, tc := range []struct{ typ, options, want string }{
		{"overlay", "lowerdir=a", `lowerdir=a,context="` + aMount + `"`},
		{"fuse", "lowerdir=a", `lowerdir=a,context="` + aMount + `"`},
		{"bind", "", ""},
	} {
		if got := mountedWith(record.Rootfs{Type: tc.typ, Options: tc.options}, aMount); got.Options != tc.want {
			t.Errorf("%s: got %s, want %s", tc.typ, got.Options, tc.want)
		}
	}
	if got := mountedWith(record.Rootfs{Type: "overlay", Options: "lowerdir=a"}, ""); got.Options != "lowerdir=a" {
		t.Errorf("no label: got %s", got.Options)
	}
}
