// SPDX-License-Identifier: Apache-2.0

package writable

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

const image = "c7f8eed3a4808b6f6ed33c1f907106c7dab500000c2cdc17569d99b6d1d667fb"

// claimed makes the layer of a container, whose record is there if recorded is set.
func claimed(t *testing.T, d Dir, container string, recorded bool) string {
	t.Helper()
	lock, err := d.Lock(unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	record := filepath.Join(t.TempDir(), container)
	if recorded {
		if err := os.Mkdir(record, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path, err := d.Claim(image, container, record)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestALayerHasItsImagesRoot(t *testing.T) {
	d := In(t.TempDir())
	path := claimed(t, d, "one", true)
	like := filepath.Join(t.TempDir(), "like")
	if err := os.Mkdir(like, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(like, 0o1751); err != nil {
		t.Fatal(err)
	}
	if err := Fill(path, like); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(path, Upper), &st); err != nil || st.Mode&0o7777 != 0o1751 {
		t.Errorf("mode of the layer's root: %o, %v; want that of the image's, 1751", st.Mode&0o7777, err)
	}
	if found, err := d.Find("one"); err != nil || len(found) != 1 || found[0] != path {
		t.Errorf("Find = %q, %v; want %q", found, err, path)
	}
	if found, err := d.Find("two"); err != nil || len(found) != 0 {
		t.Errorf("Find of one that is not there = %q, %v", found, err)
	}
}

func TestUsersAreTheContainersWithALayer(t *testing.T) {
	d := In(t.TempDir())
	if users, err := d.Users(image); err != nil || len(users) != 0 {
		t.Errorf("Users of an image nobody used = %v, %v", users, err)
	}
	claimed(t, d, "one", true)
	claimed(t, d, "two", true)
	for _, tc := range []struct{ stored, want []string }{
		{nil, nil},
		{[]string{"buildah"}, []string{"buildah"}},
		{[]string{"a", Pin(image), "b"}, []string{"a", "one", "two", "b"}},
	} {
		if got, err := d.WithoutPins(image, tc.stored); err != nil || !slices.Equal(got, tc.want) {
			t.Errorf("WithoutPins(%v) = %v, %v; want %v", tc.stored, got, err, tc.want)
		}
	}
	if got, err := d.WithoutPins("other", []string{Pin("other")}); err != nil || len(got) != 0 {
		t.Errorf("WithoutPins of a pin that nobody needs = %v, %v", got, err)
	}
}

func TestStraysHaveNoRecord(t *testing.T) {
	root := t.TempDir()
	d := In(root)
	claimed(t, d, "kept", true)
	gone := claimed(t, d, "gone", false)
	cut := claimed(t, d, "cut", true) // short: killed before the link was made
	if err := os.Remove(filepath.Join(cut, owner)); err != nil {
		t.Fatal(err)
	}
	own, hidden := filepath.Join(root, "run/containers"), filepath.Join(root, "private-tmp/containers")
	ended, err := d.Claim(image, "ended", filepath.Join(own, "ended")) // with the boot: its directory is not even there
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Claim(image, "hidden", filepath.Join(hidden, "hidden")); err != nil {
		t.Fatal(err)
	}
	strays, err := d.Strays(own)
	slices.Sort(strays)
	if want := []string{cut, ended, gone}; err != nil || !slices.Equal(strays, want) {
		t.Errorf("Strays = %v, %v; want %v", strays, err, want)
	}
}

// A store on a disk that is mounted elsewhere, or bound into a container, keeps its containers' layers.
func TestAStoreUnderAnotherPathHasNoStrays(t *testing.T) {
	root := filepath.Join(t.TempDir(), "store")
	record := filepath.Join(root, "berth/containers/one")
	if err := os.MkdirAll(record, 0o700); err != nil {
		t.Fatal(err)
	}
	d := In(root)
	lock, err := d.Lock(unix.LOCK_SH)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if _, err := d.Claim(image, "one", record); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(root, root+"-moved"); err != nil {
		t.Fatal(err)
	}
	d = In(root + "-moved")
	if strays, err := d.Strays("/nowhere"); err != nil || len(strays) > 0 {
		t.Errorf("Strays = %v, %v; want none", strays, err)
	}
	if err := os.RemoveAll(filepath.Join(root+"-moved", "berth/containers/one")); err != nil {
		t.Fatal(err)
	}
	if strays, err := d.Strays("/nowhere"); err != nil || len(strays) != 1 {
		t.Errorf("Strays = %v, %v; want the one whose record is gone", strays, err)
	}
}

func TestPinned(t *testing.T) {
	root := t.TempDir()
	if pinned, err := Pinned(root, "overlay", image); err != nil || pinned {
		t.Errorf("Pinned in an empty store = %v, %v", pinned, err)
	}
	if err := os.Mkdir(filepath.Join(root, "overlay-containers"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := `[{"id":"` + Pin(image) + `","image":"` + image + `","metadata":"x"}]`
	if err := os.WriteFile(filepath.Join(root, "overlay-containers/containers.json"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for image, want := range map[string]bool{image: true, "other": false} {
		if pinned, err := Pinned(root, "overlay", image); err != nil || pinned != want {
			t.Errorf("Pinned(%.12s) = %v, %v; want %v", image, pinned, err, want)
		}
	}
	if !IsPin(Metadata(image)) || IsPin(`{"created-by":"berth","image-id":"x"}`) {
		t.Error("IsPin does not know a pin's metadata")
	}
}
