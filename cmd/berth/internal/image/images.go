// SPDX-License-Identifier: Apache-2.0

// Package image has the commands on images and registries. The program which starts fast has only `images`.
package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
)

type imagesOptions struct {
	image.Query
	quiet, digests, noHeading, noTrunc, history bool
	format                                      string
}

// NewImages returns the command `images`.
func NewImages(g *cli.Global) *cobra.Command { return newImages(g, images) }

func newImages(g *cli.Global, run cli.Run[*imagesOptions]) *cobra.Command {
	var o imagesOptions
	cmd := &cobra.Command{
		Use:   "images [options] [IMAGE]",
		Short: "List images in local storage",
		Long:  "Lists the images in local storage, also those that other tools put there. IMAGE is a reference filter.",
		Example: "berth images --filter dangling=true\n" +
			"berth images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.quiet && o.format != "" {
				return errors.New("list images: --quiet cannot be used with --format")
			}
			if len(args) == 1 {
				o.Filters = append(o.Filters, "reference="+args[0])
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.BoolVarP(&o.All, "all", "a", false, "show all images, not only final ones")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print image IDs only")
	f.BoolVar(&o.digests, "digests", false, "show digests")
	f.BoolVarP(&o.noHeading, "noheading", "n", false, "omit the header row")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "do not truncate output")
	f.BoolVar(&o.history, "history", false, "show the names that images had before")
	f.StringArrayVarP(&o.Filters, "filter", "f", nil, "show only images that match: after, since, before, until, containers, dangling, digest, id, intermediate, label, manifest, readonly, reference (repeatable)")
	cli.FilterKeys(f, image.FilterKeys())
	f.StringVar(&o.format, "format", "", "`FORMAT`: json or a Go template")
	cli.Fields(f, &imageRow{})
	f.StringVar(&o.Order, "sort", "created", "sort by created, id, repository, size or tag")
	return cmd
}

func images(ctx context.Context, call cli.Call, o *imagesOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	view := e.ImageView()
	selected, err := view.Query(o.Query)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	list := &imageList{view: view, noTrunc: o.noTrunc}
	rows := list.rows(selected)
	switch {
	case o.quiet:
		return printIDs(rows, call.Out)
	case console.IsJSON(o.format):
		return list.printJSON(rows, call.Out)
	}
	return printImages(rows, o, call.Out)
}

func printIDs(rows []*imageRow, out io.Writer) error {
	seen := make(map[string]bool)
	for _, r := range rows {
		if seen[r.img.ID] {
			continue
		}
		seen[r.img.ID] = true
		if _, err := fmt.Fprintln(out, r.ID()); err != nil {
			return err
		}
	}
	return nil
}

func printImages(rows []*imageRow, o *imagesOptions, out io.Writer) error {
	headings := imageHeaders()
	if o.noHeading {
		headings = nil
	}
	if o.format != "" {
		return console.PrintTemplate(out, "images", o.format, rows, headings)
	}
	row := func(repository, tag, digest, id, created, size, history string) []string {
		cells := []string{repository, tag}
		if o.digests {
			cells = append(cells, digest)
		}
		cells = append(cells, id, created, size)
		if o.history {
			cells = append(cells, history)
		}
		return cells
	}
	var table [][]string
	if !o.noHeading {
		table = append(table, row("REPOSITORY", "TAG", "DIGEST", "IMAGE ID", "CREATED", "SIZE", "HISTORY"))
	}
	for _, r := range rows {
		table = append(table, row(r.Repository, r.Tag, r.Digest().String(), r.ID(), r.Created(), r.Size(), cmp.Or(r.History(), "<none>")))
	}
	return console.Columns(out, table)
}

func imageHeaders() map[string]string {
	h := map[string]string{"ID": "IMAGE ID", "Id": "IMAGE ID", "ParentId": "PARENT ID", "ReadOnly": "R/O", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED SINCE",
		"IsManifestList": "IS MANIFEST LIST", "IsDangling": "IS DANGLING", "IsReadOnly": "IS READ ONLY", "SharedSize": "SHARED SIZE", "VirtualSize": "VIRTUAL SIZE"}
	for _, name := range []string{"Repository", "Tag", "Digest", "Created", "CreatedTime", "Size", "Labels", "Arch", "Os", "History", "Names", "Containers", "Dangling", "RepoTags", "RepoDigests"} {
		h[name] = strings.ToUpper(name)
	}
	return h
}
