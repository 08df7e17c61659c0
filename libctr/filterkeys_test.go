// SPDX-License-Identifier: Apache-2.0

package libctr

import "testing"

func TestEveryFilterKeyIsRead(t *testing.T) {
	e := &Engine{}
	for _, key := range ContainerFilterKeys() {
		if e.containerFilter(t.Context(), key) == nil {
			t.Errorf("containers: %s is not read", key)
		}
	}
	for _, key := range VolumeFilterKeys() {
		if e.volumeFilter(t.Context(), key) == nil {
			t.Errorf("volumes: %s is not read", key)
		}
	}
	for _, key := range EventFilterKeys() {
		if eventFilter(key) == nil {
			t.Errorf("events: %s is not read", key)
		}
	}
}
