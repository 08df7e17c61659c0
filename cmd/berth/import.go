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

func newImportCmd(f *engineFlags) *cobra.Command {
	var opts library.ImportOptions
	var platform platformFlags
	var quiet bool
	cmd := &cobra.Command{
		Use:   "import [options] PATH [REFERENCE]",
		Short: "Make an image of a tar archive of a file system",
		Long: "Makes an image with one layer of a tar archive, plain or compressed, from a file, an http or https URL, or\n" +
			"standard input (-), and prints its ID. REFERENCE is a name for it.",
		Example: "debootstrap stable rootfs && tar -C rootfs -c . | berth import -c CMD=/bin/bash - debian",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if opts.Platform, err = platform.parse(); err != nil {
				return err
			}
			if len(args) == 2 {
				opts.Name = args[1]
			}
			if args[0] == "-" && term.IsTerminal(int(os.Stdin.Fd())) {
				return hint.Add(errors.New("import: standard input is a terminal"), "give the archive as PATH, or redirect: berth import - < FILE")
			}
			opts.Progress = progress(quiet)
			return changeImages(cmd.Context(), f, func(_ *libctr.Engine, r *library.Runtime) error {
				id, err := importImage(cmd, r, args[0], opts)
				if err == nil {
					fmt.Fprintln(cmd.OutOrStdout(), id)
				}
				return err
			})
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVarP(&opts.Changes, "change", "c", nil, "`INSTRUCTION` for the image: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR (repeatable)")
	fl.StringVarP(&opts.Message, "message", "m", "", "comment in the image's history")
	fl.BoolVarP(&quiet, "quiet", "q", false, "show no progress")
	platform.bind(fl)
	return cmd
}

func importImage(cmd *cobra.Command, r *library.Runtime, source string, opts library.ImportOptions) (string, error) {
	if source == "-" || source == "/dev/stdin" {
		return r.ImportFrom(cmd.Context(), cmd.InOrStdin(), opts)
	}
	return r.Import(cmd.Context(), source, opts)
}
