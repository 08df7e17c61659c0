// SPDX-License-Identifier: Apache-2.0

package label

import "testing"

func TestMatch(t *testing.T) {
	labels := map[string]string{"app": "web", "org.example/team": "a", "empty": ""}
	for want, ok := range map[string]bool{
		"app": true, "app=": true, "app=web": true, "app=db": false, "ap": false, "": false, "web": false,
		"a*p": true, "ap*=web": true, "ap*=db": false, "org.*": true, "org.*team": true, "*": true, "zz*": false, "[*": false,
		"empty": true, "empty=": true, "empty=x": false,
	} {
		if got := Match(labels, want); got != ok {
			t.Errorf("Match(%q) = %v, want %v", want, got, ok)
		}
	}
}
