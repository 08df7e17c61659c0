// SPDX-License-Identifier: Apache-2.0

package cli

import "github.com/spf13/cobra"

// Group is a command that only holds others; an unknown one below it is an error.
func Group(use, short string, subcommands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return UnknownCommand(cmd, args[0])
		},
	}
	cmd.AddCommand(subcommands...)
	return cmd
}
