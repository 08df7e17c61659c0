// SPDX-License-Identifier: Apache-2.0

// Package cli is what the commands of berth share: the global flags and the engine they open, how an action is called, what an
// error's exit code is, groups, and help. The commands themselves are in the packages beside it, one file each.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/rootless"
	"github.com/spf13/cobra"
)

// Call is one call of a command, without its flags.
type Call struct {
	*Global
	Name string // of the command, with those above it, for errors: berth volume rm
	Args []string

	In       io.Reader
	Out, Err io.Writer // see package console
}

// Call is the call that cobra makes.
func (g *Global) Call(cmd *cobra.Command, args []string) Call {
	return Call{Global: g, Name: cmd.CommandPath(), Args: args, In: cmd.InOrStdin(), Out: cmd.OutOrStdout(), Err: cmd.ErrOrStderr()}
}

// NeedMounts refuses what an ordinary user can do in `berth unshare` only.
func (c Call) NeedMounts() error {
	if !rootless.IsRootless() || os.Geteuid() == 0 {
		return nil
	}
	return hint.Add(fmt.Errorf("cannot run command %q in rootless mode, must execute `berth unshare` first", c.Name),
		"mounts are for as long as a namespace lasts: run berth unshare, and then the command")
}

// Run does the work of a command whose flags are O, a pointer to a struct; it knows neither cobra nor flags. A constructor
// takes it as an argument: a test gives one that looks at what the flags were read as.
type Run[O any] func(ctx context.Context, call Call, o O) error

// None is the O of a command without flags; it is nil.
type None *struct{}

// Constructor makes a command.
type Constructor func(g *Global) *cobra.Command

// Named gives a command another name, and other aliases, for its place in a group.
func Named(cmd *cobra.Command, name string, aliases ...string) *cobra.Command {
	_, rest, more := strings.Cut(cmd.Use, " ")
	cmd.Use = name
	if more {
		cmd.Use += " " + rest
	}
	cmd.Aliases = aliases
	return cmd
}
