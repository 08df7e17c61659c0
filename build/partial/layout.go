// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
)

// WriteLayout writes the artifact as an OCI image layout into dir, which it makes; tag names it in the index.
func (pk *Packed) WriteLayout(dir, tag string) error {
	blobs := filepath.Join(dir, "blobs", "sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return err
	}
	write := func(digest string, data []byte) error {
		return os.WriteFile(filepath.Join(blobs, strings.TrimPrefix(digest, "sha256:")), data, 0o644)
	}
	for d, data := range pk.Blobs {
		if err := write(d, data); err != nil {
			return err
		}
	}
	if err := write(pk.Digest, pk.Manifest); err != nil {
		return err
	}
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2,
		"mediaType":     "application/vnd.oci.image.index.v1+json",
		"manifests": []descriptor{{MediaType: manifestType, Digest: pk.Digest, Size: int64(len(pk.Manifest)),
			Annotations: map[string]string{"org.opencontainers.image.ref.name": tag}}},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
}
