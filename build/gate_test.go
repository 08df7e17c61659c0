// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"testing"

	"go.podman.io/storage"
	"go.podman.io/storage/pkg/chunked"
)

// A layer that may come in pieces comes whole: the library falls back to that for this error only.
func TestLayersComeWhole(t *testing.T) {
	var store storage.Store = &gate{}
	_, err := store.PrepareStagedLayer(nil, nil)
	if fallback, ok := errors.AsType[chunked.ErrFallbackToOrdinaryLayerDownload](err); !ok || fallback.Err == nil {
		t.Errorf("%v", err)
	}
}
