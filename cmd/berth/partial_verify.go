//go:build !lean

package main

import (
	"context"
	"fmt"
	"io"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/base"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/spf13/cobra"
)

func newPartialVerifyCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	cmd := &cobra.Command{
		Use:     "verify [options] [IMAGE]",
		Short:   "Check a source against its lock and its sources, or an image against its container file",
		Example: "berth partial verify\n  berth partial verify registry.example.org/shop/web:7",
		Long: "Without IMAGE: the source's digest, the composed text, and each part's digest where it is published, against the lock; yanked\n" +
			"versions and newer bases are noted. With IMAGE: its label, history, base layers and os-release. Exit code 3 says that something is not what it was.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
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
				return showFindings(found, err, p.format, cmd.OutOrStdout())
			})
		},
	}
	p.bindCompose(cmd.Flags())
	p.bindFormat(cmd.Flags())
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
	var under *partial.ImageFacts
	if facts.BaseRef != "" {
		if known, err := p.Bases.Local(facts.BaseRef); err == nil {
			if under, err = p.Bases.Extraction(known); err != nil {
				return nil, err
			}
		}
	}
	return partial.VerifyImage(facts, base.OSRelease(dirs), under, p.Metas(ctx, facts))
}
