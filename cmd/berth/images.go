// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
	formats "go.podman.io/common/pkg/report"
)

// imagesOptions are images' flags.
type imagesOptions struct {
	all, quiet, digests, noHeading, noTrunc, history bool
	filters                                          []string
	format, sort                                     string
}

func newImagesCmd(f *engineFlags) *cobra.Command {
	var o imagesOptions
	cmd := &cobra.Command{
		Use:   "images [options] [IMAGE]",
		Short: "List local images",
		Long:  "Lists the images in the local store, also those that other tools put there. IMAGE is a reference filter.",
		Example: "berth images --filter dangling=true\n" +
			"berth images --format '{{.Repository}}:{{.Tag}} {{.Size}}'",
		Args: cobra.MaximumNArgs(1),
		RunE: f.withEngine(func(cmd *cobra.Command, e *libctr.Engine, args []string) error {
			if len(args) == 1 {
				o.filters = append(o.filters, "reference="+args[0])
			}
			return listImages(e.ImageView(), o, cmd.OutOrStdout())
		}),
	}
	fl := cmd.Flags()
	fl.BoolVarP(&o.all, "all", "a", false, "list intermediate images too")
	fl.BoolVarP(&o.quiet, "quiet", "q", false, "only IDs")
	fl.BoolVar(&o.digests, "digests", false, "show digests")
	fl.BoolVarP(&o.noHeading, "noheading", "n", false, "no column headings")
	fl.BoolVar(&o.noTrunc, "no-trunc", false, "whole IDs")
	fl.BoolVar(&o.history, "history", false, "show the names that images had")
	fl.StringArrayVarP(&o.filters, "filter", "f", nil, "only images that pass: after, since, before, until, containers, dangling, digest, id, intermediate, label, manifest, readonly, reference (repeatable)")
	fl.StringVar(&o.format, "format", "", "`FORMAT`: json or a Go template")
	fl.StringVar(&o.sort, "sort", "created", "created, id, repository, size or tag")
	return cmd
}

func listImages(v *image.View, o imagesOptions, out io.Writer) error {
	if o.quiet && o.format != "" {
		return errors.New("list images: --quiet cannot be used with --format")
	}
	less, err := imageOrder(o.sort)
	if err != nil {
		return err
	}
	all, err := v.Images()
	if err != nil {
		return err
	}
	filters := o.filters
	if !o.all {
		filters = append(slices.Clone(filters), "intermediate=false")
	}
	images, err := v.Select(all, filters)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	list := &imageList{view: v, noTrunc: o.noTrunc}
	rows, err := list.rows(images)
	if err != nil {
		return err
	}
	slices.SortStableFunc(rows, less)
	switch {
	case o.quiet:
		return printIDs(rows, out)
	case formats.IsJSON(o.format):
		return list.printJSON(rows, out)
	}
	return printImages(rows, o, out)
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

func printImages(rows []*imageRow, o imagesOptions, out io.Writer) error {
	headings := imageHeaders()
	if o.noHeading {
		headings = nil
	}
	if o.format != "" {
		return printTemplate(out, "images", o.format, rows, headings)
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
	return printColumns(out, table)
}

func imageHeaders() map[string]string {
	h := map[string]string{"ID": "IMAGE ID", "Id": "IMAGE ID", "ParentId": "PARENT ID", "ReadOnly": "R/O", "CreatedAt": "CREATED AT", "CreatedSince": "CREATED SINCE"}
	for _, name := range []string{"Repository", "Tag", "Digest", "Created", "CreatedTime", "Size", "VirtualSize", "Labels", "History", "Names", "Containers", "Dangling", "RepoTags", "RepoDigests"} {
		h[name] = strings.ToUpper(name)
	}
	return h
}

// imageOrder returns the order of --sort: the newest first, or from small to large.
func imageOrder(key string) (func(a, b *imageRow) int, error) {
	switch key {
	case "", "created":
		return func(a, b *imageRow) int { return b.img.Created.Compare(a.img.Created) }, nil
	case "id":
		return func(a, b *imageRow) int { return strings.Compare(a.img.ID, b.img.ID) }, nil
	case "repository":
		return func(a, b *imageRow) int { return strings.Compare(a.Repository, b.Repository) }, nil
	case "size":
		return func(a, b *imageRow) int { return int(min(max(a.size-b.size, -1), 1)) }, nil
	case "tag":
		return func(a, b *imageRow) int { return strings.Compare(a.Tag, b.Tag) }, nil
	}
	return nil, fmt.Errorf("list images: --sort %q: must be created, id, repository, size or tag", key)
}
