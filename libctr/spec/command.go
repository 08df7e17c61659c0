// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// ErrNoCommand is returned by Command if neither the image nor the user names a program.
var ErrNoCommand = errors.New("no command or entrypoint given, and the image has none")

// ParseEntrypoint reads the value of --entrypoint: a JSON array of strings, or one
// program's path. An empty value clears the image's entrypoint: the result is then
// empty, but not nil.
func ParseEntrypoint(value string) []string {
	if value == "" {
		return []string{}
	}
	if strings.HasPrefix(value, "[") {
		var list []string
		if json.Unmarshal([]byte(value), &list) == nil && list != nil {
			return list
		}
	}
	return []string{value} // as podman does: what is not JSON is a path, spaces and all
}

// Command joins the entrypoint and the arguments. A nil entrypoint is the image's;
// any other, the empty one too, drops the image's Cmd (Dockerfile reference,
// "Understand how CMD and ENTRYPOINT interact"). Arguments replace Cmd. The
// container's argv is entry followed by cmd.
func Command(img Image, entrypoint, args []string) (entry, cmd []string, err error) {
	entry, cmd = img.Entrypoint, img.Cmd
	if entrypoint != nil {
		entry, cmd = entrypoint, nil
	}
	if len(args) > 0 {
		cmd = args
	}
	if len(entry)+len(cmd) == 0 {
		return nil, nil, hint.Add(ErrNoCommand, "put a command after the image, or give %s", field.Name("entrypoint"))
	}
	if argv0 := append(append([]string{}, entry...), cmd...)[0]; argv0 == "" {
		return nil, nil, hint.Add(errors.New("the command to run is the empty string"), "put a command after the image, or give %s", field.Name("entrypoint"))
	}
	return entry, cmd, nil
}
