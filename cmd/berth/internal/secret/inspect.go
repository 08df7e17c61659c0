// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"context"
	"errors"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/libctr/secret"
	"github.com/spf13/cobra"
)

type inspectOptions struct {
	format           string
	pretty, showData bool
}

// inspected is a secret as podman shows it.
type inspected struct {
	ID         string
	CreatedAt  time.Time
	UpdatedAt  time.Time
	Spec       inspectedSpec
	SecretData string `json:",omitempty"`
}

type inspectedSpec struct {
	Name   string
	Driver inspectedDriver
	Labels map[string]string
}

type inspectedDriver struct {
	Name    string
	Options map[string]string
}

const pretty = `ID:              {{.ID}}
Name:            {{.Spec.Name}}
{{- if .Spec.Labels}}
Labels:
{{- range $k, $v := .Spec.Labels}}
 - {{$k}}{{if $v}}={{$v}}{{end}}
{{- end}}{{end}}
Driver:          {{.Spec.Driver.Name}}
Created at:      {{.CreatedAt}}
Updated at:      {{.UpdatedAt}}
{{- if .SecretData}}
Secret Data:     {{.SecretData}}
{{- end}}
`

// NewInspect returns the command `secret inspect`.
func NewInspect(g *cli.Global) *cobra.Command { return newInspect(g, inspect) }

func newInspect(g *cli.Global, run cli.Run[*inspectOptions]) *cobra.Command {
	var o inspectOptions
	cmd := &cobra.Command{
		Use:     "inspect [options] SECRET [SECRET...]",
		Short:   "Display detailed information on one or more secrets",
		Long:    "Displays what is known of secrets; what they hold only with --showsecret.",
		Example: "berth secret inspect --format '{{.Spec.Driver.Name}}' password",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.pretty && cmd.Flags().Changed("format") {
				return errors.New("--format and --pretty exclude each other")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.format, "format", "f", "", "json, or a Go template")
	cli.Fields(f, inspected{})
	f.BoolVar(&o.pretty, "pretty", false, "print it in a form for people")
	f.BoolVar(&o.showData, "showsecret", false, "show what the secret holds")
	return cmd
}

// inspect shows what is found, and then says what was not.
func inspect(ctx context.Context, call cli.Call, o *inspectOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	found := []any{}
	var errs []error
	for _, name := range call.Args {
		s, err := e.Secrets().Find(ctx, name)
		var data []byte
		if err == nil && o.showData {
			s, data, err = e.Secrets().Lookup(ctx, name)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, show(s, data))
	}
	format := o.format
	if o.pretty {
		format = pretty
	}
	if err := console.Inspected(call.Out, found, format); err != nil {
		return err
	}
	return cli.ReportAllButLast(errors.Join(errs...))
}

func show(s secret.Secret, data []byte) inspected {
	i := inspected{ID: s.ID, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, SecretData: string(data)}
	i.Spec = inspectedSpec{Name: s.Name, Labels: s.Labels, Driver: inspectedDriver{s.Driver, s.DriverOptions}}
	if i.Spec.Labels == nil {
		i.Spec.Labels = map[string]string{}
	}
	return i
}
