// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/field"
)

// ExitError carries an exit code that is not an error of Berth's: the container's own,
// or a command's answer (image exists). Nothing is printed for it but Err, if there is one.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// Report prints an error on standard error, and on a line of its own the step that fixes it.
func Report(err error) {
	var exit *ExitError
	if errors.As(err, &exit) && exit.Err == nil {
		return
	}
	fmt.Fprintf(console.Err, "Error: %s\n", console.Paragraph(ErrorText(err)))
	for _, h := range Hints(err) {
		fmt.Fprintf(console.Err, "Hint: %s\n", console.Paragraph(h))
	}
}

// ErrorText is what an error says; the fields that the libraries name are flags here.
func ErrorText(err error) string { return field.Text(err, field.Flag) }

// ReportAllButLast reports all errors that err joins but the last, which it returns for the caller to return.
func ReportAllButLast(err error) error {
	all := Joined(err)
	if len(all) == 0 {
		return nil
	}
	for _, err := range all[:len(all)-1] {
		Report(err)
	}
	return all[len(all)-1]
}

// Joined are the errors that err joins, or err alone; none for nil.
func Joined(err error) []error {
	if err == nil {
		return nil
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		return all.Unwrap()
	}
	return []error{err}
}

// Wrapf says in front of err what was being done; nil stays nil.
func Wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}

// Exists is how a command `exists` ends: err is what looking for the thing said, and none what it says where there is none.
func Exists(err, none error) error {
	if errors.Is(err, none) {
		return &ExitError{Code: 1}
	}
	return err
}
