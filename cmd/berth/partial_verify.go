// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialVerifyCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var runChecks bool
	cmd := &cobra.Command{
		Use:     "verify [options] [IMAGE]",
		Short:   "Check a source against its lock and its sources, or an image against its container file",
		Example: "berth partial verify\n  berth partial verify registry.example.org/shop/web:7",
		Long: "Without IMAGE: the source's digest, the composed text, and each part's digest where it is published, against the lock; yanked\n" +
			"versions and newer bases are noted. With IMAGE: its label, history, base layers, os-release, and layers against the record of its build; with\n" +
			"--run-checks also the check of each of its parts, run in a container of the image without a network. Exit code 3 says that something is not what it was.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if runChecks && len(args) == 0 {
				return errors.New("--run-checks needs an image to run them in")
			}
			if len(args) == 0 {
				o, err := p.source(cmd, f)
				if err != nil {
					return err
				}
				return withProject(o, func(pr *project.Project) error {
					found, err := pr.Verify(cmd.Context())
					return showFindings(found, err, p.format, cmd.OutOrStdout())
				})
			}
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				found, err := verifyImage(cmd.Context(), pr, args[0])
				if err == nil && runChecks {
					c := &imageChecks{project: pr, engine: f, talk: cmd.ErrOrStderr()}
					var more partial.Findings
					more, err = c.run(cmd.Context(), args[0])
					found = append(found, more...)
				}
				return showFindings(found, err, p.format, cmd.OutOrStdout())
			})
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().BoolVar(&runChecks, "run-checks", false, "run each part's check in the image")
	return cmd
}

func showFindings(found partial.Findings, err error, format string, out io.Writer) error {
	if format == "json" && len(found) > 0 {
		if err := printJSON(out, found); err != nil {
			return err
		}
	} else {
		for _, x := range found {
			state := "ok"
			switch {
			case x.Bad:
				state = "BAD"
			case x.Note:
				state = "note"
			}
			fmt.Fprintf(out, "%-4s  %s: %s\n", state, x.What, x.Text)
		}
	}
	if err != nil {
		return err
	}
	return found.Err()
}

func verifyImage(ctx context.Context, p *project.Project, name string) (partial.Findings, error) {
	facts, img, err := imageFacts(ctx, p, name)
	if err != nil {
		return nil, err
	}
	dirs, err := img.LayerDirs()
	if err != nil {
		return nil, err
	}
	return partial.VerifyImage(facts, base.OSRelease(dirs), p.Metas(ctx, facts))
}
