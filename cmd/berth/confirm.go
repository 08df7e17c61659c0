// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/spf13/cobra"
)

// confirm asks on standard error and reads the answer from standard input, a terminal or not; with force it does neither. Only
// an answer that begins with y means yes. Where there is no answer at all it is an error: whoever wrote the script
// must know that nothing was removed.
func confirm(cmd *cobra.Command, force bool, what string) (bool, error) {
	if force {
		return true, nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "WARNING! %s\nAre you sure you want to continue? [y/N] ", what)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(cmd.ErrOrStderr())
		if errors.Is(err, io.EOF) {
			err = errors.New("standard input has ended")
		}
		return false, hint.Add(fmt.Errorf("nothing was removed: read the answer: %w", err), "use --force where nobody can answer")
	}
	if word := strings.ToLower(strings.TrimSpace(line)); strings.HasPrefix(word, "y") {
		return true, nil
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "Nothing was removed.")
	return false, nil
}
