// SPDX-License-Identifier: Apache-2.0

package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
)

// Confirm asks on errOut and reads the answer from in, a terminal or not; with force it does neither. Only
// an answer that begins with y means yes. Where there is no answer at all it is an error: whoever wrote the script
// must know that nothing was removed.
func Confirm(in io.Reader, errOut io.Writer, force bool, what string) (bool, error) {
	if force {
		return true, nil
	}
	fmt.Fprintf(errOut, "WARNING! %s\nAre you sure you want to continue? [y/N] ", what)
	line, err := bufio.NewReader(in).ReadString('\n')
	if err != nil && line == "" {
		fmt.Fprintln(errOut)
		if errors.Is(err, io.EOF) {
			err = errors.New("standard input has ended")
		}
		return false, hint.Add(fmt.Errorf("nothing was removed: read the answer: %w", err), "use --force where nobody can answer")
	}
	if word := strings.ToLower(strings.TrimSpace(line)); strings.HasPrefix(word, "y") {
		return true, nil
	}
	fmt.Fprintln(errOut, "Nothing was removed.")
	return false, nil
}
