package image

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
	"go.podman.io/storage/pkg/homedir"
	"go.podman.io/storage/pkg/unshare"
)

// searchPaths returns where registries.conf and its drop-in files are looked for.
func searchPaths(sys *types.SystemContext) (configfile.SearchPaths, error) {
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
	if paths, err := searchPaths(v.System); err == nil {
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

// anyExists tells whether one of the files exists.
func anyExists(files []string) bool {
	for _, f := range files {
		if _, err := os.Stat(f); err == nil {
			return true
		}
	}
	return false
}

// hasRegistriesConf tells whether the machine or the user configures registries at all.
// Debian's shortnames.conf, which only defines aliases, does not count.
func hasRegistriesConf(sys *types.SystemContext) bool {
	paths, err := searchPaths(sys)
	if err != nil || anyExists(paths.MainFiles) || paths.ExtraOverrideFile != "" {
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
