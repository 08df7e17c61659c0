//go:build !lean

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/build/partial"
	"github.com/spf13/cobra"
)

func newPartialInitCmd(*engineFlags) *cobra.Command {
	var version string
	cmd := &cobra.Command{
		Use:     "init [options] NAME [DIR]",
		Short:   "Begin a part: a folder with a Containerfile that works",
		Example: "berth partial init acme/greeting\n  berth partial init acme/greeting parts/greeting",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := filepath.Base(args[0])
			if len(args) == 2 {
				dir = args[1]
			}
			return partialError(partialInit(cmd, args[0], version, dir))
		},
	}
	cmd.Flags().StringVar(&version, "part-version", "0.1.0", "`VERSION` of the part")
	return cmd
}

func partialInit(cmd *cobra.Command, name, version, dir string) error {
	text, err := partial.PartTemplate(name, version)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for file, content := range map[string]string{
		"Containerfile": text,
		"README.md":     fmt.Sprintf("# %s\n\nWhat it adds to an image, and its parameters.\n\n    #: use %s greeting=\"good morning\"\n", name, name),
	} {
		f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if err != nil {
			return fmt.Errorf("begin part %s: %w", name, err)
		}
		_, err = f.WriteString(content)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", dir)
	return err
}
