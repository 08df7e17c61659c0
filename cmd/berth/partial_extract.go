// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/spf13/cobra"
	"go.podman.io/image/v5/docker/reference"
)

func newPartialExtractCmd(f *engineFlags) *cobra.Command {
	var p partialFlags
	var output string
	var uncompose bool
	cmd := &cobra.Command{
		Use:   "extract [options] IMAGE",
		Short: "Write the container file of an image",
		Long: "Writes the container file of an image: exactly, from its label or the record next to it in the registry; otherwise reconstructed from its history,\n" +
			"which is said in the first line. What a reconstruction has lost is copied from the image itself, so that the file builds.",
		Example: "berth partial extract --uncompose registry.example.org/shop/web:7 -o Containerfile",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := p.options(cmd, f)
			if err != nil {
				return err
			}
			return withLibrary(o, "", func(pr *project.Project) error {
				return partialExtract(cmd.Context(), pr, args[0], uncompose, output, p.format, cmd.OutOrStdout(), cmd.ErrOrStderr())
			})
		},
	}
	p.bindRegistry(cmd.Flags())
	p.bindFormat(cmd.Flags())
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write to (default: standard output); a lock goes to FILE.lock")
	cmd.Flags().BoolVar(&uncompose, "uncompose", false, "turn the blocks of parts back into their \"#: use\" lines")
	return cmd
}

func partialExtract(ctx context.Context, p *project.Project, name string, uncompose bool, output, format string, out, talk io.Writer) error {
	x, err := extracted(ctx, p, name)
	if err != nil {
		return err
	}
	text := x.Text
	switch {
	case x.From == "provenance":
		fmt.Fprintln(talk, "exact, from the provenance that BuildKit attached; the values of ARGs are not in it")
	case x.Exact:
		fmt.Fprintf(talk, "exact, from the image's %s\n", x.From)
	case x.Stated != "":
		fmt.Fprintf(talk, "not exact: the image is not what the container file in its %s makes; reconstructed from the history, %d sources of COPY lost\n", x.Stated, x.Lost)
		for _, d := range x.Differs {
			fmt.Fprintf(talk, "  %s\n", d)
		}
	case x.Inherited:
		fmt.Fprintln(talk, "exact up to the label; the rest is reconstructed from the history")
	default:
		fmt.Fprintf(talk, "reconstructed from the history, not exact; %d sources of COPY lost\n", x.Lost)
	}
	if uncompose {
		if text, err = uncomposed(ctx, p, x); err != nil {
			return err
		}
	}
	if len(x.Lock) > 0 && isPlainFile(output) {
		if err := writeOutput(out, output+".lock", string(x.Lock)); err != nil {
			return err
		}
	}
	if format == "json" {
		shown := struct {
			Text, From, Lock, Source string
			Exact, Inherited         bool
			Lost                     int
			Differs, Notes           []string `json:",omitempty"`
		}{text, x.From, string(x.Lock), string(x.Source), x.Exact, x.Inherited, x.Lost, x.Differs, x.Notes}
		if output == "" || output == "-" {
			return printJSON(out, shown)
		}
		if err := printJSON(out, shown); err != nil {
			return err
		}
	}
	return writeOutput(out, output, text)
}

// isPlainFile tells whether a lock can stand next to an output: it is a file, or will be one.
func isPlainFile(output string) bool {
	if output == "" || output == "-" {
		return false
	}
	st, err := os.Stat(output)
	return err != nil || st.Mode().IsRegular()
}

// extracted is the container file of an image, or the one that was published by itself under a name.
func extracted(ctx context.Context, p *project.Project, name string) (*partial.Extracted, error) {
	if _, err := p.Bases.Local(name); errors.Is(err, image.ErrNotFound) {
		if r, err := p.Parts.Record(ctx, name); err == nil && r != nil {
			return &partial.Extracted{Text: string(r.Composed), From: "record", Exact: true, Lock: r.Lock, Source: r.Source}, nil
		}
	}
	facts, _, err := imageFacts(ctx, p, name)
	if err != nil {
		return nil, err
	}
	return partial.Extract(facts)
}

// imageFacts reads an image, which is pulled if it is not in the store.
func imageFacts(ctx context.Context, p *project.Project, name string) (*partial.ImageFacts, *image.Image, error) {
	img, err := p.Bases.Local(name)
	if errors.Is(err, image.ErrNotFound) {
		if err = p.Bases.Fetch(ctx, name); err == nil {
			img, err = p.Bases.Local(name)
		}
	}
	if err != nil {
		return nil, nil, hint.Add(err, "see the local images with: berth images")
	}
	facts, err := p.Bases.Extraction(img)
	if err != nil {
		return nil, nil, err
	}
	if facts.Labels["dev.partials.digest"] == "" {
		facts.Provenance = provenance(ctx, p, name, img)
		return facts, img, nil
	}
	// A registry that does not answer, or has nothing, is no reason to stop: there is what was kept here, and the history.
	records, _ := p.Parts.Records(ctx, name)
	for _, r := range records { // anybody who may write there can attach one: the label says which is the build's
		if partial.DigestOf(partial.BodyOf(string(r.Composed))) == facts.Labels["dev.partials.digest"] {
			facts.Record = &partial.Records{Composed: r.Composed, Lock: r.Lock, Source: r.Source, Layers: r.Layers}
			return facts, img, nil
		}
	}
	// What was kept here.
	facts.Record, err = p.KeptRecord(facts.Labels["dev.partials.digest"], img.ID)
	return facts, img, err
}

// provenanceTime bounds the question, which is asked of every image without a label.
const provenanceTime = 15 * time.Second

// provenance asks the registry that an image is from for what BuildKit attached to it. Without an answer there is the history.
func provenance(ctx context.Context, p *project.Project, name string, img *image.Image) string {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil || reference.Domain(named) == "localhost" || strings.HasPrefix(img.ID, name) {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, provenanceTime)
	defer cancel()
	text, _ := p.Parts.Provenance(ctx, named.String(), img.Digest.String())
	return text
}

// uncomposed turns blocks back into use lines: those that the parts still render like that.
func uncomposed(ctx context.Context, p *project.Project, x *partial.Extracted) (string, error) {
	var lock *partial.Lock
	if len(x.Lock) > 0 {
		var err error
		if lock, err = partial.ParseLock("the image's lock", bytes.TrimSpace(x.Lock)); err != nil {
			return "", err
		}
	}
	text, err := partial.Uncompose(x.Text, lock, nil)
	if err != nil {
		return "", err
	}
	r, err := p.ComposeText(ctx, []byte(text), lock)
	if err != nil {
		return text, nil // the parts cannot be had here; the lines are what the author wrote
	}
	same := map[string]bool{}
	for _, b := range partial.Blocks(r.Text) {
		same[b.Text] = true
	}
	changed := func(name, block string) bool { return lock != nil && !same[block] }
	return partial.Uncompose(x.Text, lock, changed)
}
