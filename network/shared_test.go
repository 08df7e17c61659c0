// SPDX-License-Identifier: Apache-2.0

package network

import (
	"reflect"
	"testing"
)

func TestSharedReadsBackWhatItSays(t *testing.T) {
	for _, want := range []Shared{
		{Name: "web"},
		{Name: "web", IPs: []string{"10.9.0.7", "fd00::7"}, MAC: "92:d0:c6:0a:29:33", Aliases: []string{"a", "b"}, Interface: "eth3"},
		{Interface: "eth0"}, // the default one
	} {
		m, err := ParseMode(want.String())
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if got := m.Networks; len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: got %+v, want %+v", want, got, want)
		}
	}
}
