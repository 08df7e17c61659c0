// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/berth-containers/berth/internal/held"
)

func TestParseRootfs(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]givenRootfs{
		"/root":       {path: "/root"},
		"/root/":      {path: "/root"},
		"root":        {path: filepath.Join(here, "root")},
		"/root:O":     {path: "/root", overlay: true},
		"/a:b/root:O": {path: "/a:b/root", overlay: true},
		"/a:b":        {path: "/a:b"}, // no option, and so a part of the name
		"/root:o":     {path: "/root:o"},
		"/root:idmap": {path: "/root", idmap: true},
		"/root:idmap=uids=0-1-10#10-11-10;gids=0-100-10": {
			path: "/root", idmap: true, uids: []held.IDRange{{Inside: 0, Outside: 1, Size: 10}, {Inside: 10, Outside: 11, Size: 10}}, gids: []held.IDRange{{Inside: 0, Outside: 100, Size: 10}},
		},
	} {
		if got, err := parseRootfs(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("parseRootfs(%q) = %+v, %v; want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":O", ":idmap", "/root:idmap=", "/root:idmap=uids=0-1-10", "/root:idmap=uids=0-1;gids=0-1-1", "/root:idmap=pids=0-1-1", "/root:idmap=uids=0-1-x;gids=0-1-1"} {
		if got, err := parseRootfs(text); err == nil {
			t.Errorf("parseRootfs(%q) = %+v, want an error", text, got)
		}
	}
}
