// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
)

type inspectOptions struct {
	common
}

// NewInspect returns the command `partial inspect`.
func NewInspect(g *cli.Global) *cobra.Command { return newInspect(g, inspect) }

func newInspect(g *cli.Global, run cli.Run[*inspectOptions]) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:     "inspect [options] PART[@VERSION]",
		Short:   "Display a part: metadata, parameters, and each RUN",
		Example: "berth partial inspect ./parts/nodejs\n  berth partial inspect std/nodejs@1.4.2",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	o.bindRegistry(f)
	o.format.bind(f)
	return cmd
}

func inspect(ctx context.Context, call cli.Call, o *inspectOptions) error {
	return o.onLibrary(ctx, call, func(p *project.Project) error {
		part, err := p.Find(ctx, call.Args[0])
		if err != nil {
			return err
		}
		return printPart(part, o.format, call.Out)
	})
}

// printPart prints all that is known of a part.
func printPart(p *partial.Part, format format, out io.Writer) error {
	if format.json() {
		return console.JSON(out, struct {
			*partial.Meta
			Digest string   `json:"digest"`
			Runs   []string `json:"runs"`
			Files  []string `json:"files,omitempty"`
		}{p.Meta, p.Digest, p.Runs(), fileNames(p)})
	}
	m := p.Meta
	fmt.Fprintf(out, "%s %s\n%s\n%s\n", m.Name, m.Version, m.Summary, p.Digest)
	list := func(title string, items []string) {
		if len(items) > 0 {
			fmt.Fprintf(out, "%s: %s\n", title, strings.Join(items, ", "))
		}
	}
	if m.Application != nil {
		list("Application", []string{strings.TrimSpace(m.Application.Name + " " + string(m.Application.Version))})
	}
	list("OS", m.Base.OS)
	list("Architectures", m.Base.Arch)
	if m.Base.Libc != "" {
		list("Libc", []string{m.Base.Libc})
	}
	list("Requires", m.Requires)
	list("Build requires", m.BuildRequires)
	list("Provides", m.Provides)
	list("Exclusive", m.Exclusive)
	list("Conflicts", m.Conflicts)
	list("Owns", m.Owns)
	list("Needs", m.Needs)
	list("Files", fileNames(p))
	printParams(out, m)
	for _, manager := range sortedNames(m.Packages) {
		list("Packages ("+manager+")", m.Packages[manager])
	}
	for _, r := range p.Runs() {
		fmt.Fprintf(out, "%s\n", r)
	}
	return nil
}

func fileNames(p *partial.Part) []string {
	var names []string
	for _, f := range p.Files {
		names = append(names, "/"+f.Path)
	}
	return names
}

func printParams(out io.Writer, m *partial.Meta) {
	for _, name := range sortedNames(m.Params) {
		p := m.Params[name]
		value := "required"
		if p.Default != nil {
			value = fmt.Sprintf("default %q", string(*p.Default))
		}
		fmt.Fprintf(out, "Parameter %s: %s, %s", name, p.Type, value)
		if p.Description != "" {
			fmt.Fprintf(out, "; %s", p.Description)
		}
		fmt.Fprintln(out)
	}
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
