// SPDX-License-Identifier: Apache-2.0

package image

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"go.podman.io/storage"
)

func TestQuery(t *testing.T) {
	dir := t.TempDir()
	list := func(names ...string) []string { return names }
	day := time.Unix(1700000000, 0)
	writeStore(t, dir, []storage.Image{
		{ID: strings.Repeat("a", 64), Created: day, Names: list("docker.io/library/web:2", "localhost/app:1"), BigDataSizes: map[string]int64{"manifest": 30}},
		{ID: strings.Repeat("c", 64), Created: day.Add(time.Hour), BigDataSizes: map[string]int64{"manifest": 10}},
		{ID: strings.Repeat("b", 64), Created: day.Add(2 * time.Hour), Names: list("quay.io/x/db:16"), BigDataSizes: map[string]int64{"manifest": 20}},
	})
	for order, want := range map[string]string{
		"":           "quay.io/x/db:16 : docker.io/library/web:2 localhost/app:1",
		"created":    "quay.io/x/db:16 : docker.io/library/web:2 localhost/app:1",
		"id":         "docker.io/library/web:2 localhost/app:1 quay.io/x/db:16 :",
		"repository": ": docker.io/library/web:2 localhost/app:1 quay.io/x/db:16",
		"size":       ": quay.io/x/db:16 docker.io/library/web:2 localhost/app:1",
		"tag":        ": localhost/app:1 quay.io/x/db:16 docker.io/library/web:2",
	} {
		got, err := OpenView(dir, "vfs", nil).Query(Query{All: true, Order: order})
		var names []string
		for _, n := range got {
			names = append(names, n.Repository+":"+n.Tag)
			if n.Damage != nil {
				t.Errorf("%s: %v", n.ID, n.Damage)
			}
		}
		if strings.Join(names, " ") != want || err != nil {
			t.Errorf("by %q: %q, %v; want %q", order, names, err, want)
		}
	}
	var wrong *field.Error
	if _, err := OpenView(dir, "vfs", nil).Query(Query{Order: "colour"}); !errors.As(err, &wrong) || wrong.Field != "sort" {
		t.Errorf("an order that there is not: %v", err)
	}
	if got, err := OpenView(dir, "vfs", nil).Query(Query{Filters: []string{"reference=db"}}); len(got) != 1 || got[0].Tag != "16" || err != nil {
		t.Errorf("filtered: %v, %v", got, err)
	}
}

// writeStore makes the images.json of a store.
func writeStore(t *testing.T, root string, images []storage.Image) {
	t.Helper()
	data, err := json.Marshal(images)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, "vfs-images"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "vfs-images/images.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
}
