// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/cmd/berth/internal/container"
	"github.com/berth-containers/berth/cmd/berth/internal/image"
	"github.com/berth-containers/berth/cmd/berth/internal/system"
	"github.com/berth-containers/berth/cmd/berth/internal/volume"
	"github.com/spf13/cobra"
)

// newRootCmd returns the command tree for the program started as g.Argv: of a frequent command only its own branch, else
// the whole; for the latter the program berth becomes berth-full (program_lean.go).
func newRootCmd(g *cli.Global) (*cobra.Command, error) {
	g.Pull, g.CDI, g.Live = pullImage, injectCDI, liveView
	root := &cobra.Command{
		Use:               "berth",
		Short:             "Run containers, rootless and without a daemon",
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              cobra.ArbitraryArgs,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return g.Apply(cmd) },
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return cli.UnknownCommand(cmd, args[0])
		},
	}
	root.SetOut(console.Out)
	root.SetErr(console.Err)
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(cli.FlagError)
	root.SetUsageFunc(cli.Usage)
	g.Bind(root)
	root.Flags().BoolP("version", "v", false, "print the version")
	root.Version = g.Version()
	name := "berth"
	if g.AsPodman() {
		name = "podman"
	}
	root.SetVersionTemplate(name + " version {{.Version}}\n")

	word, begun := cli.CommandWord(root, g.Argv), cli.Begun(g.Argv)
	if begun != nil {
		word = cli.CommandWord(root, append([]string{"berth"}, begun[:len(begun)-1]...))
		defer g.Complete(root)
	}
	if construct := frequentCommands()[word]; construct != nil {
		// The others are not made: the whole tree takes 2 ms, as long as the rest of `ps`.
		root.CompletionOptions.DisableDefaultCmd = true
		root.AddCommand(construct(g))
		cli.ShareWords(root)
		return root, cli.CheckWords(root, g.Argv)
	}
	others, err := otherCommands(g)
	if err != nil {
		return nil, err
	}
	for _, construct := range frequentCommands() {
		root.AddCommand(construct(g))
	}
	root.AddCommand(others...)
	cli.ShareWords(root)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	return root, cli.CheckWords(root, g.Argv)
}

// frequentCommands are those that start fast, since the program berth has them: see program_lean.go.
func frequentCommands() map[string]cli.Constructor {
	all := map[string]cli.Constructor{
		"cleanup":   container.NewCleanup,
		"container": func(g *cli.Global) *cobra.Command { return container.NewGroup(g, rareOnContainers(g)) },
		"images":    image.NewImages,
		"inspect":   container.NewInspect,
		"volume":    volume.NewGroup,
	}
	for _, some := range []map[string]cli.Constructor{container.Commands(), system.Commands()} {
		for name, construct := range some {
			all[name] = construct
		}
	}
	return all
}
