// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func newLoadCmd(f *engineFlags) *cobra.Command {
	var input string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "load [options]",
		Short: "Load images from an archive or directory",
		Long: "Loads the images of a docker-archive or oci-archive file, plain or compressed, or of an oci or dir directory,\n" +
			"and prints their names. Without --input the archive is read from standard input.",
		Example: "berth load -i app.tar\nssh host berth save app | berth load",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if input == "" && term.IsTerminal(int(os.Stdin.Fd())) {
				return hint.Add(errors.New("load images: standard input is a terminal"), "give the archive with --input FILE, or redirect: berth load < FILE")
			}
			return changeImages(cmd.Context(), f, func(_ *libctr.Engine, r *library.Runtime) error {
				names, err := load(cmd, r, input, quiet)
				for _, name := range names {
					fmt.Fprintln(cmd.OutOrStdout(), "Loaded image: "+name)
				}
				return err
			})
		},
	}
	cmd.Flags().StringVarP(&input, "input", "i", "", "`FILE` or directory to load instead of standard input")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	return cmd
}

func load(cmd *cobra.Command, r *library.Runtime, input string, quiet bool) ([]string, error) {
	if input == "" || input == "-" || input == "/dev/stdin" {
		return r.LoadFrom(cmd.Context(), cmd.InOrStdin(), progress(quiet))
	}
	return r.Load(cmd.Context(), input, progress(quiet))
}
