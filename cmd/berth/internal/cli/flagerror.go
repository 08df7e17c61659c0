// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/nearest"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// FlagError names a flag that a command does not have: a flag of podman's that Berth has not (yet) is refused
// like any other, never ignored.
func FlagError(cmd *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: "); ok {
		err = fmt.Errorf("%s: %s is not supported", cmd.CommandPath(), name)
	} else {
		err = fmt.Errorf("%s: %s", cmd.CommandPath(), text)
	}
	if wrong, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if s := nearest.Word(wrong, known); s != "" {
			return hint.Add(err, "did you mean: %s --%s", cmd.CommandPath(), s)
		}
	}
	return hint.Add(err, "see: %s --help", cmd.CommandPath())
}
