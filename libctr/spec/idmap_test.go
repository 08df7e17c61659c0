// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"fmt"
	"strings"
	"testing"

	"github.com/berth-containers/berth/internal/field"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestIDMaps(t *testing.T) {
	h := Host{Rootless: true, UIDMap: []IDRange{{0, 1}, {1, 1000}}, GIDMap: []IDRange{{0, 1}, {1, 1000}}}
	outer := func(id uint32) (uint32, bool) { // the caller is 1000 outside, and 100000 the first of his subordinate IDs
		if id == 1000 {
			return 0, true
		}
		return id - 100000 + 1, id >= 100000 && id < 101000
	}
	text := func(list []specs.LinuxIDMapping) string {
		var words []string
		for _, m := range list {
			words = append(words, fmt.Sprintf("%d:%d:%d", m.ContainerID, m.HostID, m.Size))
		}
		return strings.Join(words, " ")
	}
	for _, tc := range []struct{ uids, gids, want, err string }{
		{uids: "0:1:10", want: "0:1:10 / 0:1:10"},
		{gids: "0:1:10", want: "0:1:10 / 0:1:10"},
		{uids: "0:1:10 10:0", gids: "5:6:7", want: "0:1:10 10:0:1 / 5:6:7"},
		{uids: "0:@1000 1:@100000:9", want: "0:0:1 1:1:9 / 0:0:1 1:1:9"},
		{uids: "+u5:0", want: "1:1:4 5:0:1 6:6:995 / 0:0:1 1:1:1000"},
		{uids: "+5:0:1", want: "1:1:4 5:0:1 6:6:995 / 1:1:4 5:0:1 6:6:995"},
		{uids: "0:1:10 3:50:1", err: "--uidmap: two maps have the same ID"},
		{uids: "0:1:10 20:5:1", err: "--uidmap: two maps have the same ID"},
		{uids: "0:5000:10", err: "--uidmap: the ID 5000 is not there to be mapped"},
		{uids: "0:@5:1", err: `--uidmap "0:@5:1": these IDs of the host are not this user's`},
		{uids: "0:1:0", err: "the amount is not possible"},
		{uids: "0:4294967295:2", err: "the amount is not possible"},
		{gids: "0", err: `--gidmap "0": want CONTAINER_ID:FROM_ID[:AMOUNT]`},
		{uids: "x:1", err: "in numbers"},
	} {
		u, err := IDMaps{UIDs: strings.Fields(tc.uids), GIDs: strings.Fields(tc.gids)}.Parse(h, outer, outer)
		switch got := text(u.UIDs) + " / " + text(u.GIDs); {
		case tc.err != "":
			if err == nil || !strings.Contains(field.Text(err, field.Flag), tc.err) {
				t.Errorf("%+v: error %v", tc, err)
			}
		case err != nil || got != tc.want:
			t.Errorf("%+v: got %s, %v", tc, got, err)
		}
	}
}

func TestSplit(t *testing.T) {
	got := split([]specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 500}, {ContainerID: 500, HostID: 900, Size: 200}}, []IDRange{{0, 1}, {1, 999}, {1000, 1000}})
	if fmt.Sprint(got) != "[{0 0 1} {1 1 499} {500 900 100} {600 1000 100}]" {
		t.Errorf("got %v", got)
	}
}
