// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type initOptions struct {
	common
	version, from string
}

// NewInit returns the command `partial init`.
func NewInit(g *cli.Global) *cobra.Command { return newInit(g, initPart) }

func newInit(g *cli.Global, run cli.Run[*initOptions]) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init [options] NAME [DIR]",
		Short: "Begin a part: a folder with a Containerfile that works",
		Long: "Writes a small part to begin with. With --from the part is made of a container file, or of that of an image: its last stage\n" +
			"becomes the part. What a part cannot have is left out, with a warning.",
		Example: "berth partial init acme/greeting\n  berth partial init --from Containerfile acme/web parts/web\n  berth partial init --from docker.io/library/redis:7 acme/redis",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.format.check(); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	o.bindRegistry(f)
	o.format.bind(f)
	f.StringVar(&o.version, "part-version", "0.1.0", "`VERSION` of the part")
	f.StringVar(&o.from, "from", "", "`FILE|IMAGE` to make the part of")
	return cmd
}

func initPart(ctx context.Context, call cli.Call, o *initOptions) error {
	name := call.Args[0]
	dir := filepath.Base(name)
	if len(call.Args) == 2 {
		dir = call.Args[1]
	}
	if o.from == "" {
		im, err := templatePart(name, o.version)
		if err != nil {
			return Coded(err)
		}
		return writePart(call, dir, o.format, im)
	}
	if text, err := os.ReadFile(o.from); err == nil {
		im, err := partial.PartFrom(name, o.version, o.from, string(text))
		if err != nil {
			return Coded(err)
		}
		return writePart(call, dir, o.format, im)
	}
	return o.onLibrary(ctx, call, func(p *project.Project) error {
		x, err := p.Extract(ctx, o.from)
		if err != nil {
			return err
		}
		im, err := partial.PartFrom(name, o.version, o.from, x.Text)
		if err != nil {
			return err
		}
		return writePart(call, dir, o.format, im)
	})
}

func templatePart(name, version string) (*partial.Imported, error) {
	text, err := partial.PartTemplate(name, version)
	if err != nil {
		return nil, err
	}
	return &partial.Imported{
		Containerfile: text,
		Readme:        fmt.Sprintf("# %s\n\nWhat it adds to an image, and its parameters.\n\n    #: use %s greeting=\"good morning\"\n", name, name),
	}, nil
}

// writePart writes a part into a folder that has none yet.
func writePart(call cli.Call, dir string, format format, im *partial.Imported) error {
	for _, name := range []string{"Containerfile", "README.md"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return &cli.ExitError{Code: 1, Err: errors.New(filepath.Join(dir, name) + " is there already")}
		}
	}
	if err := project.WritePart(dir, im); err != nil {
		return err
	}
	if !format.json() {
		for _, w := range im.Warnings {
			fmt.Fprintf(call.Err, "Warning: %s\n", console.Paragraph(w))
		}
	}
	if err := showPart(call.Out, format, dir, im); err != nil || format.json() {
		return err
	}
	_, err := fmt.Fprintf(call.Err, "Next: edit %s, then: berth partial lint %s && berth partial test %s; use it with: berth partial add %s\n",
		filepath.Join(dir, "Containerfile"), shellWord(dir), shellWord(dir), shellWord(folderRef(dir)))
	return err
}

// folderRef is a folder as a use line names it.
func folderRef(dir string) string {
	if filepath.IsAbs(dir) || strings.HasPrefix(dir, ".") {
		return dir
	}
	return "./" + dir
}

// shellWord quotes what a shell would read as more than a word.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/@+-") == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
