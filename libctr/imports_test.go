// SPDX-License-Identifier: Apache-2.0

package libctr_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Imports point one way: cmd → api, registry, build, pod → libctr → network, rootless → internal
// (docs/architecture.md).
func TestImportsPointOneWay(t *testing.T) {
	const module = "github.com/berth-containers/berth/"
	const tags = "exclude_graphdriver_btrfs containers_image_openpgp seccomp apparmor"
	for pkg, forbidden := range map[string][]string{
		// The program that starts fast: docs/decisions/0005.
		"cmd/berth -tags lean": {module + "build", module + "libctr/image/library", "net/http", "google.golang.org/", "go.podman.io/buildah"},
		"libctr":               {"github.com/spf13/cobra", module + "libctr/image/library", module + "cmd", module + "build", module + "pod", module + "api", module + "registry"},
		"libctr/flags":         {"github.com/spf13/cobra", module + "libctr/image/library", module + "cmd", module + "build"},
		"doctor":               {module + "libctr", module + "build", module + "network", module + "internal", "go.podman.io/"},
		"build":                {module + "cmd", module + "pod", module + "api"},
		"build/partial":        {"github.com/spf13/cobra", module + "cmd", module + "libctr", "go.podman.io/buildah", "go.podman.io/common", "go.podman.io/image", "net/http"},
		"test/tools/embed":     {module + "cmd"},
		"test/tools/server":    {module + "cmd"},
		"libctr/image/library": {module + "cmd", module + "build", module + "api"},
		"network":              {"github.com/spf13/cobra", module + "libctr", module + "cmd", module + "build", "go.podman.io/"},
		"network/attach":       {module + "libctr", "regexp", "net/http", "net$", "os/exec", "go.podman.io/"},
		"rootless":             {module + "libctr", module + "network", "go.podman.io/"},
		"libctr/spec":          {module + "libctr/image", module + "network$", "go.podman.io/storage", "go.podman.io/image"},
		"libctr/monitor":       {"go.podman.io/", "github.com/sirupsen", "net/http", "github.com/spf13", module + "libctr/spec", module + "network$"},
		"cmd/berth-monitor":    {"go.podman.io/", "github.com/sirupsen", "net/http", "github.com/spf13", "regexp"},
	} {
		pkg, more, _ := strings.Cut(pkg, " -tags ")
		out, err := exec.Command("go", "list", "-tags", tags+" "+more, "-deps", module+pkg).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", pkg, err)
		}
		for dep := range strings.Lines(string(out)) {
			for _, f := range forbidden {
				// An entry forbids what begins with it, or with $ at its end that package alone.
				if strings.HasPrefix(strings.TrimSpace(dep)+"$", f) {
					t.Errorf("%s must not import %s", pkg, strings.TrimSpace(dep))
				}
			}
		}
	}
}

// Without the build tags of the container libraries, go says so before it compiles anything.
func TestMissingBuildTagsAreSaid(t *testing.T) {
	cmd := exec.Command("go", "build", "-o", "/dev/null", "github.com/berth-containers/berth/cmd/berth")
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), `build tags are missing: run make, or first eval "$(make env)"`) {
		t.Errorf("go build without tags: %v, said: %s", err, out)
	}
}
