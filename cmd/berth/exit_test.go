package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/berth-containers/berth/libctr"
)

func TestInterruptedError(t *testing.T) {
	canceled := fmt.Errorf("wait for container %q: %w", "web", context.Canceled)
	for name, tc := range map[string]struct {
		by   syscall.Signal // 0 is none
		err  error
		code int
		text string // printed
	}{
		"nothing":                {0, nil, 0, ""},
		"success in spite of it": {syscall.SIGINT, nil, 0, ""},
		"a failure":              {0, errors.New("no"), 125, "no"},
		"Ctrl-C":                 {syscall.SIGINT, canceled, 1, ""},
		"SIGTERM":                {syscall.SIGTERM, canceled, 143, ""},
		"SIGHUP":                 {syscall.SIGHUP, canceled, 129, ""},
		"with a word":            {syscall.SIGINT, errors.Join(errors.New("interrupted; nothing was kept"), context.Canceled), 1, "interrupted; nothing was kept"},
		"text only":              {syscall.SIGINT, errors.New("get: context canceled"), 1, ""},
		"the container's code":   {syscall.SIGINT, &exitError{Code: 7}, 7, ""},
		"a command not found":    {0, &libctr.StartError{Err: errors.New("none"), Code: 127}, 127, "none"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			if tc.by != 0 {
				cancel(&interruption{tc.by})
			}
			err := interruptedError(ctx, tc.err)
			text := ""
			var exit *exitError
			if errors.As(err, &exit) && exit.Err != nil || err != nil && exit == nil {
				text = err.Error()
			}
			if exitCode(err) != tc.code || text != tc.text {
				t.Errorf("got code %d and %q, want %d and %q", exitCode(err), text, tc.code, tc.text)
			}
		})
	}
}
