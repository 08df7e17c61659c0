// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/layer"
	"github.com/spf13/cobra"
)

type checkOptions struct {
	repair, quick, force bool
	max                  time.Duration
}

// NewCheck returns the command `system check`.
func NewCheck(g *cli.Global) *cobra.Command { return newCheck(g, check) }

func newCheck(g *cli.Global, run cli.Run[*checkOptions]) *cobra.Command {
	var o checkOptions
	cmd := &cobra.Command{
		Use:   "check [options]",
		Short: "Check the engine's storage and records, and repair them",
		Long: "Finds what killed commands, full disks and power cuts may have left: half-made containers, names, layers, mounts,\n" +
			"processes and files without an owner, and damaged images. Exit status: 0 when there is nothing, or all was repaired; 1 otherwise.\n" +
			"A damaged image that containers have stays, unless --force is given: they are removed then, too, whichever engine made them.",
		Example: "berth system check --repair\n  berth system check --repair --force --max 1h",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.max < 0 {
				return fmt.Errorf("--max %s: it is a duration, such as 1h", o.max)
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	cmd.Flags().BoolVarP(&o.repair, "repair", "r", false, "repair what is found")
	cmd.Flags().BoolVarP(&o.quick, "quick", "q", false, "skip the checks that read every layer")
	cmd.Flags().BoolVarP(&o.force, "force", "f", false, "with --repair: remove containers whose image or layer is damaged")
	cmd.Flags().DurationVarP(&o.max, "max", "m", layer.OldAge, "age from which a layer that belongs to nothing is removed, whoever made it")
	return cmd
}

func check(ctx context.Context, call cli.Call, o *checkOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	look := doctor.Check
	if o.repair {
		look = doctor.Repair
	}
	found, err := look(ctx, o.quick, subsystems(e, libctr.CheckOptions{RemoveContainers: o.force, LayerAge: max(o.max, 1)})...)
	left := printFindings(call.Out, found)
	if err != nil {
		return err
	}
	if left > 0 {
		inUse := func(f doctor.Finding) bool { return errors.Is(f.Err, libctr.ErrDamagedInUse) }
		switch {
		case !o.repair:
			fmt.Fprintln(call.Err, "Hint: repair it with: berth system check --repair")
		case slices.ContainsFunc(found, inUse):
			fmt.Fprintln(call.Err, "Hint: remove these containers, too, with: berth system check --repair --force")
		}
		return &cli.ExitError{Code: 1}
	}
	return nil
}

// printFindings prints a line for each finding, and returns how many are left.
func printFindings(out io.Writer, found []doctor.Finding) (left int) {
	for _, p := range found {
		line := p.What
		switch {
		case p.Kept:
		case p.Repaired:
			line += ": repaired"
		case p.Err != nil:
			left++
			line += fmt.Sprintf(": not repaired: %v", p.Err)
		default:
			left++
		}
		fmt.Fprintln(out, visible.Line(line)) // a file's name may have a line end
	}
	return left
}
