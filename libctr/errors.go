// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"

	"github.com/berth-containers/berth/internal/field"
)

// FieldError says which field of a request is wrong; find it with errors.As. Its text and Field have the names of podman's flags
// without the dashes, and its method Text has those that a front end gives it.
type FieldError = field.Error

// FieldName is the name of a field, as FieldError has it.
type FieldName = field.Name

// ErrorText is what err says, with the fields in it named by word.
func ErrorText(err error, word func(FieldName) string) string { return field.Text(err, word) }

// Errors that callers act upon; compare with errors.Is.
var (
	ErrNoSuchContainer = errors.New("no such container")
	ErrAmbiguous       = errors.New("matches more than one container")
	ErrNameInUse       = errors.New("name is in use")
	ErrNotRunning      = errors.New("container is not running")
	ErrRunning         = errors.New("container is running")
	ErrStarting        = errors.New("container is still being started")
	ErrPaused          = errors.New("container is paused")
	ErrNotPaused       = errors.New("container is not paused")
	ErrBusy            = errors.New("another command is working on the container")
	ErrDetached        = errors.New("detached")
	ErrNoHealthcheck   = errors.New("container has no health check")
)

// errMonitorEnded is an ErrNotRunning of a container whose monitor has ended instead of answering.
var errMonitorEnded = fmt.Errorf("its monitor has ended: %w", ErrNotRunning)

// opError says what was being done to which container. The methods of Engine that work on a container return it.
type opError struct {
	verb, id, name string
	err            error
}

func (e *opError) Error() string { return fmt.Sprintf("%s container %q: %s", e.verb, e.name, e.err) }

func (e *opError) Unwrap() error { return e.err }

// about says what was being done to c when err happened. It says so once: where a method has called
// another one for the same container, the outer verb, which is the user's, replaces the inner.
func about(verb string, c *Container, err error) error {
	if err == nil {
		return nil
	}
	if inner, ok := err.(*opError); ok && inner.id == c.ID {
		err = inner.err
	}
	return &opError{verb: verb, id: c.ID, name: c.State.Name, err: err}
}
