// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

func newVolumeGroup(e *engineFlags) *cobra.Command {
	return group("volume", "Work on volumes", newVolumeCreateCmd(e), newVolumeListCmd(e), newVolumeInspectCmd(e), newVolumeExistsCmd(e), newVolumeRemoveCmd(e), newVolumePruneCmd(e))
}

func newVolumeCreateCmd(e *engineFlags) *cobra.Command {
	var ignore bool
	var labels []string
	cmd := &cobra.Command{
		Use:     "create [options] [NAME]",
		Short:   "Make an empty volume",
		Long:    "Make an empty volume. The first container that has it mounted over a directory of its image gives it that directory's\nfiles, owner and mode; over a path that the image lacks, the container's user owns it.",
		Example: "berth volume create data",
		Args:    cobra.MaximumNArgs(1),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			set, err := spec.ParseLabels("label", labels)
			if err != nil {
				return err
			}
			v, err := engine.CreateVolume(cmd.Context(), name, set)
			if ignore && errors.Is(err, fs.ErrExist) {
				err = nil
			}
			if err == nil {
				fmt.Fprintln(cmd.OutOrStdout(), v.Name)
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&ignore, "ignore", false, "one that exists is no error")
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, "label NAME=VALUE (repeatable)")
	return cmd
}

func newVolumeListCmd(e *engineFlags) *cobra.Command {
	var quiet, noHeading bool
	var format string
	var filters []string
	cmd := &cobra.Command{
		Use:     "ls [options]",
		Aliases: []string{"list"},
		Short:   "List volumes",
		Example: "berth volume ls",
		Args:    cobra.NoArgs,
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, _ []string) error {
			list, err := selectVolumes(cmd, engine, filters)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			switch {
			case quiet:
				for _, v := range list {
					fmt.Fprintln(out, v.Name)
				}
				return nil
			case report.IsJSON(format):
				if list == nil {
					list = []libctr.Volume{}
				}
				return printJSON(out, list)
			case format != "":
				return printTemplate(out, "volume", format, list, nil)
			}
			var rows [][]string
			if !noHeading {
				rows = append(rows, []string{"DRIVER", "VOLUME NAME"})
			}
			for _, v := range list {
				rows = append(rows, []string{v.Driver, v.Name})
			}
			return printColumns(out, rows)
		}),
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "names only")
	cmd.Flags().BoolVarP(&noHeading, "noheading", "n", false, "no line with the columns' names")
	cmd.Flags().StringArrayVarP(&filters, "filter", "f", nil, volumeFilterHelp)
	cmd.Flags().StringVar(&format, "format", "", "json, or a Go template")
	return cmd
}

const volumeFilterHelp = "KEY=VALUE: name, label, label!, driver, scope, opt, dangling, anonymous, until, since, after (repeatable)"

func selectVolumes(cmd *cobra.Command, engine *libctr.Engine, filters []string) ([]libctr.Volume, error) {
	list, err := engine.Volumes()
	if err != nil {
		return nil, err
	}
	list, err = engine.SelectVolumes(cmd.Context(), list, filters)
	return list, wrapf(err, "--filter")
}

func newVolumeInspectCmd(e *engineFlags) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "inspect [options] VOLUME [VOLUME...]",
		Short:   "Show everything about volumes",
		Example: "berth volume inspect --format '{{.Mountpoint}}' data",
		Args:    cobra.MinimumNArgs(1),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			found := []any{}
			var errs []error
			for _, name := range args {
				v, err := engine.Volume(name)
				if err != nil {
					errs = append(errs, err)
					continue
				}
				found = append(found, v)
			}
			if err := printInspect(cmd.OutOrStdout(), found, format); err != nil {
				return err
			}
			return joinReported(errs)
		}),
	}
	cmd.Flags().StringVarP(&format, "format", "f", "json", "json, or a Go template")
	return cmd
}

func newVolumeExistsCmd(e *engineFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "exists VOLUME",
		Short:   "Tell by the exit code (0 or 1) whether a volume exists",
		Example: "berth volume exists data && echo yes",
		Args:    cobra.ExactArgs(1),
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			if _, err := engine.Volume(args[0]); err != nil {
				return &exitError{Code: 1}
			}
			return nil
		}),
	}
}

func newVolumeRemoveCmd(e *engineFlags) *cobra.Command {
	var force, all bool
	cmd := &cobra.Command{
		Use:     "rm [options] VOLUME [VOLUME...]",
		Aliases: []string{"remove"},
		Short:   "Remove volumes",
		Example: "berth volume rm data",
		RunE: e.withEngine(func(cmd *cobra.Command, engine *libctr.Engine, args []string) error {
			if all {
				list, err := engine.Volumes()
				if err != nil {
					return err
				}
				for _, v := range list {
					args = append(args, v.Name)
				}
			} else if len(args) == 0 {
				return errors.New("volume rm: give a volume's name")
			}
			var errs []error
			for _, name := range args {
				err := engine.RemoveVolume(cmd.Context(), name, force)
				if force && errors.Is(err, libctr.ErrNoSuchVolume) {
					err = nil
				}
				if err != nil {
					errs = append(errs, volumeExit(err))
					continue
				}
				fmt.Fprintln(cmd.OutOrStdout(), name)
			}
			return joinReported(errs)
		}),
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "remove the containers that use it too; one that does not exist is no error")
	cmd.Flags().BoolVarP(&all, "all", "a", false, "every volume")
	return cmd
}

// volumeExit gives the exit codes of podman-volume-rm(1).
func volumeExit(err error) error {
	switch {
	case errors.Is(err, libctr.ErrNoSuchVolume):
		return &exitError{Code: 1, Err: err}
	case errors.Is(err, libctr.ErrVolumeInUse):
		return &exitError{Code: 2, Err: err}
	}
	return err
}

func newVolumePruneCmd(e *engineFlags) *cobra.Command {
	var force bool
	var filters []string
	cmd := &cobra.Command{
		Use:     "prune [options]",
		Short:   "Remove every volume that no container uses",
		Example: "berth volume prune --force\n  berth volume prune --filter anonymous=true",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			engine, err := e.open(cmd.Context())
			if err != nil {
				return err
			}
			list, err := selectVolumes(cmd, engine, filters) // a filter that cannot be read ends it before anything goes
			if err != nil {
				return err
			}
			if ok, err := confirm(cmd, force, pruneVolumesWarning(filters)); !ok {
				return err
			}
			var errs []error
			for _, v := range list {
				switch err := engine.RemoveVolume(cmd.Context(), v.Name, false); {
				case err == nil:
					fmt.Fprintln(cmd.OutOrStdout(), v.Name)
				case !errors.Is(err, libctr.ErrVolumeInUse) && !errors.Is(err, libctr.ErrNoSuchVolume):
					errs = append(errs, err)
				}
			}
			return joinReported(errs)
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "do not ask")
	cmd.Flags().StringArrayVar(&filters, "filter", nil, volumeFilterHelp)
	return cmd
}

func pruneVolumesWarning(filters []string) string {
	if len(filters) > 0 {
		return "This removes every volume that no container uses and that passes the filters."
	}
	return "This removes every volume that no container uses."
}
