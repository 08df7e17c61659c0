// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"slices"
	"testing"

	"github.com/berth-containers/berth/libctr/record"
)

func TestPruneVolumes(t *testing.T) {
	e := recorded(t, record.State{Name: "web", Status: record.Exited})
	for _, name := range []string{"free", "used", "other"} {
		labels := map[string]string{}
		if name == "other" {
			labels["keep"] = "no"
		}
		if _, err := e.CreateVolume(t.Context(), name, VolumeOptions{Labels: labels}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := e.Lookup(t.Context(), "web")
	if err != nil {
		t.Fatal(err)
	}
	cfg := record.Config{Supervised: record.Supervised{Version: record.Version}, Mounts: []record.Mount{{Type: "volume", Name: "used", Destination: "/data"}}}
	if err := cfg.Write(c.Dir, false); err != nil {
		t.Fatal(err)
	}
	prune := func(filters ...string) (removed []string, err error) {
		err = e.PruneVolumes(t.Context(), PruneOptions{Filters: filters, Removed: func(name string) { removed = append(removed, name) }})
		slices.Sort(removed)
		return removed, err
	}
	var wrong *FieldError
	if got, err := prune("name="); !errors.As(err, &wrong) || got != nil {
		t.Errorf("a filter without a value: removed %q, %v", got, err)
	}
	if got, err := prune("label=keep=no"); err != nil || !slices.Equal(got, []string{"other"}) {
		t.Errorf("with a filter: removed %q, %v", got, err)
	}
	if got, err := prune(); err != nil || !slices.Equal(got, []string{"free"}) {
		t.Errorf("without: removed %q, %v", got, err)
	}
	if err := e.PruneVolumes(t.Context(), PruneOptions{}); err != nil {
		t.Errorf("when nobody wants to know, and nothing is left: %v", err)
	}
	if v, err := e.Volume("used"); err != nil || v.Name != "used" {
		t.Errorf("the volume in use: %v", err)
	}
}

func TestPruneContainersChooses(t *testing.T) {
	e := fleet(t)
	var wrong *FieldError
	for _, f := range []string{"name=", "x=y", "status=up"} {
		err := e.PruneContainers(t.Context(), PruneOptions{Filters: []string{f}, Removed: func(name string) { t.Errorf("%s: removed %s", f, name) }})
		if !errors.As(err, &wrong) {
			t.Errorf("%s: %v", f, err)
		}
	}
	// Those that run or are paused are never touched.
	err := e.PruneContainers(t.Context(), PruneOptions{Filters: []string{"label=team"}, Removed: func(name string) { t.Errorf("removed %s", name) }})
	if err != nil {
		t.Error(err)
	}
	for _, name := range []string{"web", "db"} {
		if _, err := e.Lookup(t.Context(), name); err != nil {
			t.Error(err)
		}
	}
}
