package main

import (
	"fmt"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/spf13/cobra"
)

// flagError names a flag that a command does not have: a flag of podman's that Berth has not (yet) is refused
// like any other, never ignored.
func flagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: "); ok {
		err = fmt.Errorf("%s: %s is not supported", cmd.CommandPath(), name)
	} else {
		err = fmt.Errorf("%s: %s", cmd.CommandPath(), text)
	}
	return hint.Add(err, "see: %s --help", cmd.CommandPath())
}
