// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A monitor removes what is left of its container when the record is gone already.
func TestThoseThatStay(t *testing.T) {
	goes := filepath.Join(t.TempDir(), "goes")
	if err := os.Mkdir(goes, 0o755); err != nil {
		t.Fatal(err)
	}
	removed := time.AfterFunc(100*time.Millisecond, func() { os.Remove(goes) })
	defer removed.Stop()
	if stay := thoseThatStay(t.Context(), []string{goes, goes + "/never"}); len(stay) != 0 {
		t.Errorf("%q stay", stay)
	}

	stays := t.TempDir()
	if stay := thoseThatStay(t.Context(), []string{stays}); len(stay) != 1 || stay[0] != stays {
		t.Errorf("%q stay, want %s", stay, stays)
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if stay := thoseThatStay(ended, []string{stays}); stay != nil {
		t.Errorf("%q stay for a check that is interrupted", stay)
	}
}
