// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/secret"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

type createOptions struct {
	create secret.CreateOptions
	env    bool
}

// NewCreate returns the command `secret create`.
func NewCreate(g *cli.Global) *cobra.Command { return newCreate(g, create) }

func newCreate(g *cli.Global, run cli.Run[*createOptions]) *cobra.Command {
	var o createOptions
	var labels []string
	cmd := &cobra.Command{
		Use:   "create [options] NAME FILE",
		Short: "Create a new secret",
		Long: "Keeps what a file, standard input (-) or, with --env, an environment variable holds, at most 512 kB, for containers made with --secret.\n" +
			"A container has a copy from when it is made; replacing or removing the secret does not change it.",
		Example: "berth secret create --replace password password.txt",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.create.Labels, err = spec.ParseLabels("label", labels); err != nil {
				return err
			}
			if o.create.Replace && o.create.Ignore {
				return errors.New("--ignore and --replace exclude each other")
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.create.Driver, "driver", "d", "", "driver that keeps it: file, pass or shell (default file)")
	f.StringToStringVar(&o.create.DriverOptions, "driver-opts", nil, "options for the driver: NAME=VALUE,…")
	f.BoolVar(&o.env, "env", false, "read the environment variable of that name instead of a file")
	f.BoolVar(&o.create.Ignore, "ignore", false, "do not fail if the secret exists")
	f.StringArrayVarP(&labels, "label", "l", nil, "set a label: NAME=VALUE (repeatable)")
	f.BoolVar(&o.create.Replace, "replace", false, "replace the secret if it exists")
	return cmd
}

func create(ctx context.Context, call cli.Call, o *createOptions) error {
	data, err := read(call, o.env)
	if err != nil {
		return err
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	s, err := e.CreateSecret(ctx, call.Args[0], data, o.create)
	if err == nil {
		fmt.Fprintln(call.Out, s.ID)
	}
	return err
}

// read reads what the secret is to hold. More than a secret may hold is not read.
func read(call cli.Call, env bool) (data []byte, err error) {
	from := call.Args[1]
	if env {
		value, there := os.LookupEnv(from)
		if !there {
			return nil, fmt.Errorf("cannot create store secret data: environment variable %s is not set", from)
		}
		return []byte(value), nil
	}
	in := call.In
	if from != "-" {
		f, err := os.Open(from)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return io.ReadAll(io.LimitReader(in, secret.MaxSize+1))
}
