// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type extractOptions struct {
	common
	output    string
	uncompose bool
}

// NewExtract returns the command `partial extract`.
func NewExtract(g *cli.Global) *cobra.Command { return newExtract(g, extract) }

func newExtract(g *cli.Global, run cli.Run[*extractOptions]) *cobra.Command {
	var o extractOptions
	cmd := &cobra.Command{
		Use:   "extract [options] IMAGE",
		Short: "Write the container file of an image",
		Long: "Writes the container file of an image: exactly, from its label or the record next to it in the registry; otherwise reconstructed from its history,\n" +
			"which is said in the first line. What a reconstruction has lost is copied from the image itself, so that the file builds.",
		Example: "berth partial extract --uncompose registry.example.org/shop/web:7 -o Containerfile",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindRegistry(f)
	o.format.bind(f)
	f.StringVarP(&o.output, "output", "o", "", "`FILE` to write to (default: standard output); a lock goes to FILE.lock")
	f.BoolVar(&o.uncompose, "uncompose", false, "turn the blocks of parts back into their \"#: use\" lines")
	return cmd
}

func extract(ctx context.Context, call cli.Call, o *extractOptions) error {
	return o.onLibrary(ctx, call, func(p *project.Project) error {
		x, err := p.Extract(ctx, call.Args[0])
		if err != nil {
			return err
		}
		printOrigin(call.Err, x)
		text := x.Text
		if o.uncompose {
			if text, err = p.Uncompose(ctx, x); err != nil {
				return err
			}
		}
		if len(x.Lock) > 0 && isPlainFile(o.output) {
			if err := writeOutput(call.Out, o.output+".lock", string(x.Lock)); err != nil {
				return err
			}
		}
		if o.format.json() {
			err := console.JSON(call.Out, struct {
				Text, From, Lock, Source string
				Exact, Inherited         bool
				Lost                     int
				Differs, Notes           []string `json:",omitempty"`
			}{text, x.From, string(x.Lock), string(x.Source), x.Exact, x.Inherited, x.Lost, x.Differs, x.Notes})
			if err != nil || o.output == "" || o.output == "-" {
				return err
			}
		}
		return writeOutput(call.Out, o.output, text)
	})
}

// printOrigin says where a container file comes from, and how exact it is.
func printOrigin(w io.Writer, x *partial.Extracted) {
	switch {
	case x.From == "provenance":
		fmt.Fprintln(w, "exact, from the provenance that BuildKit attached; the values of ARGs are not in it")
	case x.Exact:
		fmt.Fprintf(w, "exact, from the image's %s\n", x.From)
	case x.Stated != "":
		fmt.Fprintf(w, "not exact: the image is not what the container file in its %s makes; reconstructed from the history, %d sources of COPY lost\n", x.Stated, x.Lost)
		for _, d := range x.Differs {
			fmt.Fprintf(w, "  %s\n", d)
		}
	case x.Inherited:
		fmt.Fprintln(w, "exact up to the label; the rest is reconstructed from the history")
	default:
		fmt.Fprintf(w, "reconstructed from the history, not exact; %d sources of COPY lost\n", x.Lost)
	}
}

// isPlainFile checks whether a lock can stand next to an output: it is a file, or will be one.
func isPlainFile(output string) bool {
	if output == "" || output == "-" {
		return false
	}
	st, err := os.Stat(output)
	return err != nil || st.Mode().IsRegular()
}
