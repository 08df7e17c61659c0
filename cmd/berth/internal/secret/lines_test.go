// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"testing"

	"github.com/berth-containers/berth/cmd/berth/internal/cli/clitest"
	"github.com/berth-containers/berth/libctr/secret"
)

func TestLines(t *testing.T) {
	none := map[string]string{}
	clitest.Lines(t, newCreate, map[string]clitest.Line[createOptions]{
		"a -":                           {Options: createOptions{create: secret.CreateOptions{Labels: none}}, Args: "a -"},
		"--env --replace a B":           {Options: createOptions{env: true, create: secret.CreateOptions{Labels: none, Replace: true}}, Args: "a B"},
		"-l x=1 --ignore a f":           {Options: createOptions{create: secret.CreateOptions{Labels: map[string]string{"x": "1"}, Ignore: true}}, Args: "a f"},
		"-d pass --driver-opts k=v a f": {Options: createOptions{create: secret.CreateOptions{Labels: none, Driver: "pass", DriverOptions: map[string]string{"k": "v"}}}, Args: "a f"},
		"--ignore --replace a f":        {Err: "--ignore and --replace exclude each other"},
		"a":                             {Err: "accepts 2 arg(s), received 1"},
	})
	table := "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.CreatedAt}}\t{{.UpdatedAt}}"
	clitest.Lines(t, newLs, map[string]clitest.Line[lsOptions]{
		"":                   {Options: lsOptions{format: table}},
		"-qn -f name=a":      {Options: lsOptions{quiet: true, noHeading: true, filters: []string{"name=a"}, format: table}},
		"--format {{.Name}}": {Options: lsOptions{format: "{{.Name}}"}},
	})
	clitest.Lines(t, newInspect, map[string]clitest.Line[inspectOptions]{
		"a b":                  {Args: "a b"},
		"--showsecret -f {} a": {Options: inspectOptions{format: "{}", showData: true}, Args: "a"},
		"--pretty a":           {Options: inspectOptions{pretty: true}, Args: "a"},
		"--pretty -f json a":   {Err: "--format and --pretty exclude each other"},
	})
	clitest.Lines(t, newRm, map[string]clitest.Line[rmOptions]{
		"a b":     {Args: "a b"},
		"-i a":    {Options: rmOptions{ignore: true}, Args: "a"},
		"--all":   {Options: rmOptions{all: true}},
		"--all a": {Err: "secret rm: --all and names of secrets exclude each other"},
		"":        {Err: "secret rm: give a secret's name, or --all"},
	})
}
