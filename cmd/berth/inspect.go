// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

var defaultLookup = image.LookupOptions{}

func newInspectCmd(e *engineFlags) *cobra.Command {
	var format, typ string
	var latest bool
	cmd := &cobra.Command{
		Use:     "inspect [options] NAME [NAME...]",
		Short:   "Show everything about containers or images",
		Example: "berth inspect --format '{{.State.Status}}' web",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			switch typ {
			case "all", "container", "image":
			default:
				return fmt.Errorf("--type %q: must be all, container or image", typ)
			}
			if latest {
				list, _, err := selection{latest: true}.find(cmd.Context(), engine, nil)
				if err != nil {
					return err
				}
				args = append(args, list[0].ID)
			}
			if len(args) == 0 {
				return errors.New("inspect: give the name of a container or an image")
			}
			return inspect(cmd, engine, args, typ, format)
		}),
	}
	cmd.Flags().StringVarP(&format, "format", "f", "json", "json, or a Go template")
	cmd.Flags().StringVarP(&typ, "type", "t", "all", "all, container or image")
	cmd.Flags().BoolVarP(&latest, "latest", "l", false, "the container made last")
	return cmd
}

func newContainerInspectCmd(e *engineFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "inspect [options] CONTAINER [CONTAINER...]",
		Short:   "Show everything about containers",
		Example: "berth container inspect --format '{{.State.Pid}}' web",
		Args:    cobra.MinimumNArgs(1),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			return inspect(cmd, engine, args, "container", format)
		}),
	}
	cmd.Flags().StringVarP(&format, "format", "f", "json", "json, or a Go template")
	return cmd
}

// inspect shows what is found, and then says what was not.
func inspect(cmd *cobra.Command, e *libctr.Engine, names []string, typ, format string) error {
	found := []any{}
	var errs []error
	for _, name := range names {
		data, err := inspectOne(cmd, e, name, typ)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, data)
	}
	if err := printInspect(cmd.OutOrStdout(), found, format); err != nil {
		return err
	}
	return joinReported(errs)
}

func inspectOne(cmd *cobra.Command, e *libctr.Engine, name, typ string) (any, error) {
	if typ != "image" {
		c, err := e.Lookup(cmd.Context(), name)
		if err == nil {
			return e.Inspect(c)
		}
		if typ == "container" || !errors.Is(err, libctr.ErrNoSuchContainer) {
			return nil, err
		}
	}
	img, err := e.ImageView().Lookup(name, defaultLookup)
	if err != nil {
		if typ == "all" && errors.Is(err, image.ErrNotFound) {
			return nil, fmt.Errorf("no such object: %q", name)
		}
		return nil, err
	}
	return img.Inspect()
}

func printInspect(out io.Writer, found []any, format string) error {
	if report.IsJSON(format) || format == "" {
		return printJSONIndented(out, found, "     ")
	}
	if !strings.HasSuffix(format, "\n") {
		format += "\n"
	}
	return printTemplate(out, "inspect", fieldsOfInspect(format), found, nil)
}

// fieldsOfInspect has a template name the fields as they are: users write .Id, as the JSON has it, where the field is ID.
func fieldsOfInspect(format string) string {
	return regexp.MustCompile(`\.Id\b`).ReplaceAllString(format, ".ID")
}
