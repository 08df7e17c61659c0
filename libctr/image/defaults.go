package image

import (
	"errors"
	"os"
	"path/filepath"

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
