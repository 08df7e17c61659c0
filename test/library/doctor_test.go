// SPDX-License-Identifier: Apache-2.0

package library_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/libctr"
)

// leases is a part of Berth that is yet to be written: it keeps a file for each of its things, and those named *.stale are nobody's.
type leases struct{ dir string }

func (leases) Name() string { return "leases" }

func (l leases) Check(context.Context, bool) ([]doctor.Problem, error) {
	stale, err := filepath.Glob(filepath.Join(l.dir, "*.stale"))
	var found []doctor.Problem
	for _, path := range stale {
		found = append(found, doctor.Problem{What: "lease without an owner: " + path, Repair: func(context.Context) error { return os.Remove(path) }})
	}
	return found, err
}

func (l leases) Measure(_ context.Context, size func(string) (int64, error)) (doctor.Share, error) {
	n, err := size(l.dir)
	return doctor.Share{Kind: "Leases", Total: 2, Active: 1, Size: n}, err
}

// TestDoctor has a program check, repair and measure what Berth keeps, with a part of its own.
func TestDoctor(t *testing.T) {
	s := newSite(t)
	e := s.engine(t, "")
	root := filepath.Join(s.dir, "root")
	own := leases{filepath.Join(root, "berth", "leases")}
	parts := append([]doctor.Subsystem{build.Subsystem{Engine: e}, own}, e.Subsystems(libctr.CheckOptions{})...)
	if found, err := doctor.Check(t.Context(), true, parts...); err != nil || len(found) != 0 {
		t.Fatalf("an empty store: %+v, %v", found, err)
	}

	id := strings.Repeat("ab", 32)
	session := filepath.Join(root, "berth", "builds", strings.Repeat("c", 12))
	volume := filepath.Join(root, "berth", "volumes", "half")
	for _, dir := range []string{filepath.Join(root, "berth", "containers", id), filepath.Join(root, "berth", "names"), own.dir, session, volume} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	names := filepath.Join(root, "berth", "names")
	if err := errors.Join(
		os.Symlink(id, filepath.Join(names, "web")),
		os.Symlink(strings.Repeat("f", 64), filepath.Join(names, "gone")),
		os.WriteFile(filepath.Join(own.dir, "10.0.0.1"), make([]byte, 5000), 0o600),
		os.WriteFile(filepath.Join(own.dir, "10.0.0.2.stale"), nil, 0o600),
		os.WriteFile(filepath.Join(session, "file"), nil, 0o600),
	); err != nil {
		t.Fatal(err)
	}

	u, err := e.MeasureUsage(t.Context(), parts...)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, share := range u.Shares() {
		kinds = append(kinds, share.Kind)
	}
	if !slices.Equal(kinds, []string{"Images", "Containers", "Local Volumes", "Build Cache", "Leases"}) || u.Others[1].Size < 5000 || u.Others[1].Active != 1 {
		t.Errorf("measured %q, %+v", kinds, u.Others)
	}

	want := []string{
		"builds: files of a build that was killed", "leases: lease without an owner", "containers: container abababababab is half-made",
		"containers: name \"gone\" of a container that is gone", "volumes: volume half is half-made",
	}
	check := func(what string, found []doctor.Finding, err error, repaired bool) {
		t.Helper()
		if err != nil || len(found) < len(want) {
			t.Errorf("%s: %+v, %v", what, found, err)
		}
		for _, w := range want {
			subsystem, text, _ := strings.Cut(w, ": ")
			i := slices.IndexFunc(found, func(f doctor.Finding) bool { return f.Subsystem == subsystem && strings.HasPrefix(f.What, text) })
			if i < 0 || found[i].Repaired != repaired || found[i].Err != nil {
				t.Errorf("%s: no %q (repaired: %v) in %+v", what, w, repaired, found)
			}
		}
	}
	found, err := doctor.Check(t.Context(), true, parts...)
	check("Check", found, err, false)
	found, err = doctor.Repair(t.Context(), true, parts...)
	check("Repair", found, err, true)
	if found, err := doctor.Check(t.Context(), false, parts...); err != nil || len(found) != 0 {
		t.Errorf("after that: %+v, %v", found, err)
	}
	if left, err := os.ReadDir(own.dir); err != nil || len(left) != 1 {
		t.Errorf("leases left: %v, %v", left, err)
	}
}

// Recovery removes what a command has left that was killed while it made a container.
func TestRecoverLeavesNothingOfTheDead(t *testing.T) {
	s := newSite(t)
	e := s.engine(t, "")
	id := strings.Repeat("cd", 32)
	dir := filepath.Join(s.dir, "root", "berth", "containers", id)
	pending := filepath.Join(e.RuntimeDir(), "pending")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.MkdirAll(pending, 0o700), os.WriteFile(filepath.Join(pending, id), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := doctor.Recover(t.Context(), e.Recover, build.Subsystem{Engine: e}.Recover); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(pending, id)} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s is left", path)
		}
	}
	if _, err := e.Lookup(t.Context(), id); !errors.Is(err, libctr.ErrNoSuchContainer) {
		t.Errorf("the container: %v", err)
	}
}
