// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/berth-containers/berth/network"
)

// The libraries name fields, and the command line flags.
func TestErrorsOfTheLibrariesAreWordedAsFlags(t *testing.T) {
	_, caps := spec.ParseCaps("cap-add", []string{"no-such"})
	_, limits := spec.ParseUlimits([]string{"no-such=1"}, spec.Host{})
	_, mounts := spec.Mounts(spec.MountOptions{Volumes: []string{"/a:b"}})
	_, swap := spec.Generate(spec.Options{Args: []string{"true"}, Resources: spec.Resources{MemorySwap: 1}})
	_, hostname := spec.Generate(spec.Options{Args: []string{"true"}, Sysctls: map[string]string{"kernel.hostname": "x"}})
	for name, tc := range map[string]struct {
		err   error
		field libctr.FieldName
		flags string
	}{
		"capability": {caps, "cap-add", `--cap-add "no-such": there is no such capability`},
		"ulimit":     {fmt.Errorf("create container %q: %w", "web", limits), "ulimit", `create container "web": --ulimit "no-such=1": "no-such" is not a limit's name`},
		"volume":     {mounts, "volume", `--volume "/a:b": destination "b" is not an absolute path`},
		"two":        {swap, "memory-swap", "--memory-swap needs --memory: it limits the sum of both"},
		"nested":     {hostname, "sysctl", "--sysctl kernel.hostname: use --hostname"},
		"dns":        {network.CheckDNS(nil, []string{"a b"}, nil), "dns-search", `--dns-search: value "a b": want one word, without blanks, # and ;`},
	} {
		t.Run(name, func(t *testing.T) {
			var e *libctr.FieldError
			if !errors.As(tc.err, &e) || e.Field != tc.field || strings.Contains(tc.err.Error(), "--") {
				t.Errorf("the library says %q of the field %v; want field %s, and no flags", tc.err, e, tc.field)
			}
			if got := cli.ErrorText(tc.err); got != tc.flags {
				t.Errorf("got %q, want %q", got, tc.flags)
			}
		})
	}
}

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
		"the container's code":   {syscall.SIGINT, &cli.ExitError{Code: 7}, 7, ""},
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
			var exit *cli.ExitError
			if errors.As(err, &exit) && exit.Err != nil || err != nil && exit == nil {
				text = err.Error()
			}
			if exitCode(err) != tc.code || text != tc.text {
				t.Errorf("got code %d and %q, want %d and %q", exitCode(err), text, tc.code, tc.text)
			}
		})
	}
}
