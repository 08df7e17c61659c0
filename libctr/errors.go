// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"slices"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
)

// FieldError says which field of a request is wrong; find it with errors.As. Its text and Field have the names of podman's flags
// without the dashes, and its method Text has those that a front end gives it.
type FieldError = field.Error

// FieldName is the name of a field, as FieldError has it.
type FieldName = field.Name

// ErrorText is what err says, with the fields in it named by word.
func ErrorText(err error, word func(FieldName) string) string { return field.Text(err, word) }

// warn logs a warning that may name fields: it is the message, and as the attribute warning what a front end words.
func (e *Engine) warn(w error) { e.log.Warn(w.Error(), "warning", w) }

// Errors that callers act upon; compare with errors.Is. Where scripts may look for podman's words, they are these.
var (
	ErrNoSuchContainer = errors.New("no such container")
	ErrAmbiguous       = errors.New("more than one result for container name or ID")
	ErrNameInUse       = errors.New("that name is already in use")
	ErrBusy            = errors.New("another command is working on the container")
	ErrDetached        = errors.New("detached")
	ErrNoHealthcheck   = errors.New("container has no health check")
	ErrNoLogs          = errors.New("this container is not logging output")
	ErrDependents      = errors.New("container already exists") // podman's words for containers that depend on the one to be removed

	// ErrState is what ErrNotRunning to ErrNotPaused wrap: the container is in a state that the operation is not for.
	ErrState      = errors.New("container state improper")
	ErrNotRunning = error(improper("container is not running"))
	ErrRunning    = error(improper("container is running"))
	// ErrInitialized is for Init.
	ErrInitialized = error(improper("container has already been created in runtime"))
	ErrStarting    = error(improper("container is still being started"))
	ErrPaused      = error(improper("container is paused"))
	ErrNotPaused   = error(improper("container is not paused"))
)

// improper is an ErrState.
type improper string

func (i improper) Error() string { return string(i) + ": " + ErrState.Error() }

func (improper) Unwrap() error { return ErrState }

// errMonitorEnded is an ErrNotRunning of a container whose monitor has ended instead of answering.
var errMonitorEnded = fmt.Errorf("its monitor has ended: %w", ErrNotRunning)

// opError says what was being done to which container. The methods of Engine that work on a container return it.
type opError struct {
	verb, id, name string
	status         record.Status // as it was known then
	err            error
}

// Error names a state that does not suit the verb in podman's words, for the scripts that look for them.
func (e *opError) Error() string {
	if errors.Is(e.err, ErrState) && !errors.Is(e.err, ErrStarting) && !e.cutShort() {
		if text := e.improper(); text != "" {
			return text + ": " + ErrState.Error()
		}
	}
	return fmt.Sprintf("%s container %q: %s", e.verb, e.name, e.err)
}

// cutShort checks whether the monitor was killed while it did what was asked: the state is not what is wrong then.
func (e *opError) cutShort() bool {
	return errors.Is(e.err, errMonitorEnded) && slices.Contains([]string{"start", "initialize", "restart"}, e.verb)
}

// improper says why the verb is not for a container in this state; empty where podman says nothing particular.
func (e *opError) improper() string {
	switch e.verb {
	case "remove":
		return fmt.Sprintf("cannot remove container %s as it is %s - running or paused containers cannot be removed without force", e.id, e.status)
	case "clean up":
		return fmt.Sprintf("container %s is running or paused, refusing to clean up", e.id)
	case "initialize":
		return fmt.Sprintf("container %s has already been created in runtime", e.id)
	case "kill":
		return fmt.Sprintf("can only kill running containers. %s is in state %s", e.id, e.status)
	case "stop":
		return fmt.Sprintf("can only stop created or running containers. %s is in state %s", e.id, e.status)
	case "start":
		return fmt.Sprintf("container %s must be in Created or Stopped state to be started, and is %s", e.id, e.status)
	case "restart":
		return fmt.Sprintf("unable to restart a container in a paused or unknown state, and %s is %s", e.id, e.status)
	case "pause":
		if errors.Is(e.err, ErrPaused) {
			return fmt.Sprintf("%q is already paused", e.id)
		}
		return fmt.Sprintf("%q is not running, can't pause", e.status)
	case "unpause":
		return fmt.Sprintf("%q is not paused, can't unpause", e.status)
	case "exec in":
		return "can only create exec sessions on running containers"
	case "checkpoint":
		return fmt.Sprintf("%q is not running, cannot checkpoint", e.status)
	case "restore":
		return fmt.Sprintf("container %s is running or paused, cannot restore", e.id)
	case "attach to":
		return "you can only attach to running containers"
	case "run top in":
		return "top can only be used on running containers"
	}
	return ""
}

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
	return &opError{verb: verb, id: c.ID, name: c.State.Name, status: c.State.Status, err: err}
}
