// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/cobra"
	"go.podman.io/common/pkg/report"
)

type revisionsOptions struct {
	format string
	quiet  bool
}

// NewRevisions returns the command `container history`.
func NewRevisions(g *cli.Global) *cobra.Command { return newRevisions(g, revisions) }

func newRevisions(g *cli.Global, run cli.Run[*revisionsOptions]) *cobra.Command {
	var o revisionsOptions
	cmd := &cobra.Command{
		Use:     "history [options] CONTAINER",
		Short:   "List what was changed of a container since it was made",
		Long:    "Lists the revisions of a container's settings, the newest first. Each `berth update` makes one, and each rollback.",
		Example: "berth container history web",
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd.Context(), g.Call(cmd, args), &o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.format, "format", "", "json, or a Go template: .Revision .Created .Changes .Command")
	cli.Fields(f, revisionRow{})
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show the numbers of revisions only")
	return cmd
}

// revisionRow is a row of `container history`.
type revisionRow struct{ Revision, Created, Changes, Command string }

func revisions(ctx context.Context, call cli.Call, o *revisionsOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	list, err := e.History(c)
	if err != nil {
		return err
	}
	var rows []revisionRow
	for i := len(list) - 1; i >= 0; i-- {
		r := list[i]
		what := strings.Join(r.Changes, " ")
		if r.Number == 1 {
			what = "created"
		}
		rows = append(rows, revisionRow{strconv.Itoa(r.Number), r.Time.Local().Format(time.DateTime), what, strings.Join(r.Command, " ")})
	}
	switch {
	case o.quiet:
		for _, r := range rows {
			fmt.Fprintln(call.Out, r.Revision)
		}
		return nil
	case report.IsJSON(o.format):
		return console.JSON(call.Out, list)
	case o.format != "":
		return console.PrintTemplate(call.Out, "history", o.format, rows, map[string]string{"Revision": "REVISION", "Created": "CREATED", "Changes": "CHANGES", "Command": "COMMAND"})
	}
	table := [][]string{{"REVISION", "CREATED", "CHANGES"}}
	for _, r := range rows {
		table = append(table, []string{r.Revision, r.Created, r.Changes})
	}
	return console.Columns(call.Out, table)
}

// NewRollback returns the command `container rollback`.
func NewRollback(g *cli.Global) *cobra.Command {
	return &cobra.Command{
		Use:     "rollback CONTAINER [REVISION]",
		Short:   "Undo changes of a container",
		Long:    "Gives a container the settings of a revision that `berth container history` lists: the one before the last, if none is named.",
		Example: "berth container rollback web\n  berth container rollback web 1",
		Args:    cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return rollback(cmd.Context(), g.Call(cmd, args), nil)
		},
	}
}

func rollback(ctx context.Context, call cli.Call, _ cli.None) error {
	number := 0
	if len(call.Args) == 2 {
		n, err := strconv.Atoi(call.Args[1])
		if err != nil || n < 1 {
			return fmt.Errorf("revision %q: not a number that `berth container history` shows", call.Args[1])
		}
		number = n
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	c, err := e.Lookup(ctx, call.Args[0])
	if err != nil {
		return err
	}
	number, err = e.Rollback(ctx, c, number, call.Argv)
	if err != nil {
		return err
	}
	fmt.Fprintf(call.Out, "%s is as in revision %d\n", c.State.Name, number)
	return nil
}
