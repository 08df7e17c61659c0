// SPDX-License-Identifier: Apache-2.0

package library

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/libctr/image"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
)

// defaultPolicy is what Debian's and Fedora's packages install as policy.json, but for
// Red Hat's own registries.
const defaultPolicy = `{"default": [{"type": "insecureAcceptAnything"}]}` + "\n"

const defaultRegistries = `unqualified-search-registries = ["docker.io"]` + "\n"

// addDefaults stands in for configuration files that are not there at all, with files in
// dir: containers/image takes a path only. Files that are there are never overruled.
func addDefaults(sys *types.SystemContext, dir string) error {
	if sys.SignaturePolicyPath == "" {
		_, err := signature.DefaultPolicy(sys)
		if errors.Is(err, configfile.ErrConfigFileNotFound) {
			sys.SignaturePolicyPath = filepath.Join(dir, "policy.json")
			if err := os.WriteFile(sys.SignaturePolicyPath, []byte(defaultPolicy), 0o600); err != nil {
				return err
			}
		}
	}
	if sys.SystemRegistriesConfPath == "" && !hasRegistriesConf(sys) {
		sys.SystemRegistriesConfPath = filepath.Join(dir, "registries.conf")
		return os.WriteFile(sys.SystemRegistriesConfPath, []byte(defaultRegistries), 0o600)
	}
	return nil
}

// hasRegistriesConf reports whether the machine or the user configures registries at all.
// Debian's shortnames.conf, which only defines aliases, does not count.
func hasRegistriesConf(sys *types.SystemContext) bool {
	paths, err := image.RegistriesSearchPaths(sys)
	if err != nil || slices.ContainsFunc(paths.MainFiles, exists) || paths.ExtraOverrideFile != "" {
		return true
	}
	for _, dir := range paths.DropInDirectories {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if isConf(e) && !strings.Contains(e.Name(), "shortnames") {
				return true
			}
		}
	}
	return false
}

func isConf(e fs.DirEntry) bool { return !e.IsDir() && strings.HasSuffix(e.Name(), ".conf") }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
