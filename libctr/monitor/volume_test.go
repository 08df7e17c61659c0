// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/libctr/record"
	"golang.org/x/sys/unix"
)

func TestAwaitVolumeSaysForWhomItWaits(t *testing.T) {
	users := t.TempDir()
	if err := os.WriteFile(filepath.Join(users, startingFile), []byte("web"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() int {
		fd, err := openFD(users, unix.O_RDONLY|unix.O_DIRECTORY)
		if err != nil {
			t.Fatal(err)
		}
		return fd
	}
	first, second := open(), open()
	defer unix.Close(second)
	if err := awaitVolume(first, users, time.Minute); err != nil {
		t.Fatal(err)
	}
	if err := awaitVolume(second, users, 30*time.Millisecond); err == nil || !strings.Contains(err.Error(), `"web"`) {
		t.Errorf("while another has the lock: %v, want its name", err)
	}
	unix.Close(first)
	if err := awaitVolume(second, users, time.Minute); err != nil {
		t.Errorf("once it is free: %v", err)
	}
}

// Another monitor reads the notes: it may see an old one or a new one, never a part, so a file that is there is replaced and not written to.
func TestNotesOfVolumesAreReplaced(t *testing.T) {
	users, id := t.TempDir(), strings.Repeat("a", 64)
	note := filepath.Join(users, id)
	if err := os.WriteFile(note, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(note)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	m := &Monitor{cfg: &record.Supervised{ID: id, Volumes: []record.Volume{{Name: "v", At: t.TempDir(), Destination: "/v", Users: users}}}}
	if err := m.noteVolumes(&process{pid: 1}); err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 16)
	if n, _ := old.Read(data); string(data[:n]) != "old" {
		t.Errorf("the note was written over: %q", data[:n])
	}
	if data, err := os.ReadFile(note); err != nil || !strings.Contains(string(data), `"at":"/v"`) {
		t.Errorf("note %q, %v", data, err)
	}
}
