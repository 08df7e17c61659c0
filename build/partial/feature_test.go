// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"strings"
	"testing"
)

func TestA40FeaturesBecomeParts(t *testing.T) {
	feature := `{"id": "node", "version": "1.6.3", "name": "Node.js (via nvm)", "description": "Installs Node.js,\nnvm and yarn",
		"options": {
			"version": {"type": "string", "proposals": ["lts", "20"], "default": "lts", "description": "Version of Node"},
			"nodeGypDependencies": {"type": "boolean", "default": true},
			"installer": {"type": "string", "enum": ["apt", "nvm"], "default": "nvm"}},
		"containerEnv": {"NVM_DIR": "/usr/local/share/nvm", "PATH": "/usr/local/share/nvm/current/bin:${PATH}", "ODD": "${HOME}/x"},
		"dependsOn": {"ghcr.io/devcontainers/features/common-utils:2": {"installZsh": "false"}},
		"installsAfter": ["ghcr.io/devcontainers/features/git"],
		"privileged": true, "capAdd": ["SYS_PTRACE"], "mounts": [{"source": "x"}], "postCreateCommand": "x"}`
	im, err := ImportFeature("dev/node", []byte(feature), []File{{Path: "install.sh", Executable: true, Data: "#!/bin/sh\necho \"$VERSION $NODEGYPDEPENDENCIES\" > /node\n"}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPart("node", im.Containerfile, im.Files)
	if err != nil {
		t.Fatalf("the part does not lint: %v\n%s", err, im.Containerfile)
	}
	golden(t, "feature.containerfile", im.Containerfile)
	warnings := strings.Join(im.Warnings, "\n")
	for _, w := range []string{"privileged is dropped", "capAdd is dropped", "mounts is dropped", "postCreateCommand is dropped", "options of dependsOn", "containerEnv ODD"} {
		if !strings.Contains(warnings, w) {
			t.Errorf("no warning %q in:\n%s", w, warnings)
		}
	}
	lib := memLibrary{}.with(p, part(t, "dev/common-utils", "2.5.0", "", "RUN utils"))
	r := mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use dev/node version='20; x' installer=apt\n")
	decode(t, r.Text)
	wantLines(t, r.Text, "RUN utils", `ARG NODE_INSTALLER="apt"`, `ARG NODE_VERSION="20; x"`, "ENV NVM_DIR=/usr/local/share/nvm PATH=/usr/local/share/nvm/current/bin:$PATH")
	_, err = composeSource(t, lib, "FROM docker.io/library/debian:12\n#: use dev/node installer=brew\n")
	wantError(t, err, "P009", "is not one of apt, nvm")
}
