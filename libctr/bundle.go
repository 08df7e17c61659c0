// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/internal/atomicfile"
	"github.com/berth-containers/berth/libctr/record"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// readSpec reads a container's OCI spec.
func readSpec(dir string) (*specs.Spec, error) {
	s := new(specs.Spec)
	data, err := os.ReadFile(filepath.Join(dir, record.BundleDir, "config.json"))
	if err == nil {
		err = json.Unmarshal(data, s)
	}
	if err != nil {
		return nil, fmt.Errorf("read the container's OCI spec: %w", err)
	}
	return s, nil
}

// writeSpec replaces a container's OCI spec; it is on the disk on return if durable is set.
func writeSpec(dir string, s *specs.Spec, durable bool) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, record.BundleDir, "config.json"), data, 0o600, durable)
}
