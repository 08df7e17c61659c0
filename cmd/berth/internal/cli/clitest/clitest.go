// SPDX-License-Identifier: Apache-2.0

// Package clitest tests what command lines mean, without running anything.
package clitest

import (
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/field"
	"github.com/spf13/cobra"
)

// Line is what a command line means.
type Line[O any] struct {
	Options O
	Args    string // what is no flag, separated by blanks
	Err     string // instead of both
}

// Lines gives command lines, whose words are separated by blanks, to commands that construct makes, each to a new one, and
// compares the options and arguments that they would run with.
func Lines[O any](t *testing.T, construct func(*cli.Global, cli.Run[*O]) *cobra.Command, lines map[string]Line[O]) {
	t.Helper()
	for words, want := range lines {
		got, args, err := parse(construct, strings.Fields(words))
		text := ""
		if err != nil {
			text = field.Text(err, field.Flag)
		}
		switch {
		case want.Err != text:
			t.Errorf("%q: got error %q, want %q", words, text, want.Err)
		case err == nil && (!reflect.DeepEqual(got, want.Options) || args != want.Args):
			t.Errorf("%q:\n got %+v %q\nwant %+v %q", words, got, args, want.Options, want.Args)
		}
	}
}

// errNotRun says that a command did something else than run: it printed its help, for example.
var errNotRun = errors.New("was not run")

func parse[O any](construct func(*cli.Global, cli.Run[*O]) *cobra.Command, words []string) (o O, args string, err error) {
	err = errNotRun
	g := &cli.Global{Argv: append([]string{"berth", "command"}, words...)}
	cmd := construct(g, func(_ context.Context, call cli.Call, given *O) error {
		o, args, err = *given, strings.Join(call.Args, " "), nil
		return nil
	})
	cmd.SetArgs(words)
	cmd.SetOut(io.Discard)
	cmd.SetErr(io.Discard)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	if failed := cmd.ExecuteContext(context.Background()); failed != nil {
		err = failed
	}
	return o, args, err
}
