package libctr

import "errors"

// Errors that callers act upon; compare with errors.Is.
var (
	ErrNoSuchContainer = errors.New("no such container")
	ErrAmbiguous       = errors.New("matches more than one container")
	ErrNameInUse       = errors.New("name is in use")
	ErrNotRunning      = errors.New("container is not running")
	ErrRunning         = errors.New("container is running")
	ErrPaused          = errors.New("container is paused")
	ErrNotPaused       = errors.New("container is not paused")
	ErrBusy            = errors.New("another command is working on the container")
	ErrDetached        = errors.New("detached")
	ErrNoHealthcheck   = errors.New("container has no health check")
)
