// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"

	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/spf13/pflag"
)

// PruneOptions are the flags that every prune has.
type PruneOptions struct {
	Force   bool
	Filters []string
}

// BindForce adds --force.
func (o *PruneOptions) BindForce(f *pflag.FlagSet) {
	f.BoolVarP(&o.Force, "force", "f", false, "do not ask for confirmation")
}

// BindFilter adds --filter with these keys; usage says what passes.
func (o *PruneOptions) BindFilter(f *pflag.FlagSet, keys []string, usage string) {
	f.StringArrayVar(&o.Filters, "filter", nil, usage)
	FilterKeys(f, keys)
}

// Prune asks whether to go on, unless --force is given, and then has remove do it, which calls its argument with the name of
// each thing that it has removed; they are printed. warning says what is removed.
func Prune(call Call, o *PruneOptions, warning string, remove func(removed func(name string)) error) error {
	if len(o.Filters) > 0 {
		warning += " (only those that match the filters)"
	}
	if ok, err := console.Confirm(call.In, call.Err, o.Force, warning+"."); !ok {
		return err
	}
	err := remove(func(name string) { fmt.Fprintln(call.Out, name) })
	return ReportAllButLast(err)
}
