// SPDX-License-Identifier: Apache-2.0

package image

import (
	"os"
	"path/filepath"

	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/homedir"
	"go.podman.io/storage/pkg/unshare"
)

// RegistriesSearchPaths returns where registries.conf and its drop-in files are looked for
// (containers-registries.conf(5)). sys may be nil.
func RegistriesSearchPaths(sys *types.SystemContext) (configfile.SearchPaths, error) {
	file := &configfile.File{
		Name:            "registries",
		Extension:       "conf",
		EnvironmentName: "CONTAINERS_REGISTRIES_CONF",
		UserId:          unshare.GetRootlessUID(),
	}
	if sys != nil {
		file.RootForImplicitAbsolutePaths = sys.RootForImplicitAbsolutePaths
		file.CustomConfigFilePath = sys.SystemRegistriesConfPath
		file.CustomConfigFileDropInDirectory = sys.SystemRegistriesConfDirPath
	}
	return configfile.GetSearchPaths(file)
}

// registriesFiles returns the files that may hold a short name's alias, whether they
// exist or not; at least those that containers/image reads, perhaps more.
func (v *View) registriesFiles() []string {
	var files []string
	if paths, err := RegistriesSearchPaths(v.System); err == nil {
		files = append(files, paths.MainFiles...)
		for _, dir := range paths.DropInDirectories {
			entries, _ := os.ReadDir(dir) // a missing directory has none
			for _, e := range entries {
				files = append(files, filepath.Join(dir, e.Name()))
			}
		}
		files = append(files, paths.ExtraOverrideFile)
	}
	return append(files, v.aliasesFile())
}

// aliasesFile is where container tools keep what the user chose at a prompt
// (containers-registries.conf(5), "short-name-aliases.conf").
func (v *View) aliasesFile() string {
	const name = "containers/short-name-aliases.conf"
	if v.System != nil && v.System.UserShortNameAliasConfPath != "" {
		return v.System.UserShortNameAliasConfPath
	}
	if unshare.GetRootlessUID() == 0 {
		return filepath.Join("/var/cache", name)
	}
	cache, err := homedir.GetCacheHome()
	if err != nil {
		return ""
	}
	return filepath.Join(cache, name)
}
