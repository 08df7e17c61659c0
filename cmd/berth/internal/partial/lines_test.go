// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package partial

import (
	"testing"

	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/build/partial/registry"
	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/cli/clitest"
)

func TestLines(t *testing.T) {
	text := common{format: "text"}
	with := func(change func(*common)) common {
		c := text
		change(&c)
		return c
	}
	source := with(func(c *common) { c.file = "f" })
	clitest.Lines(t, newCompose, map[string]clitest.Line[composeOptions]{
		"":                 {Options: composeOptions{common: text}},
		"-f f -o out":      {Options: composeOptions{common: source, output: "out"}},
		"--push n":         {Options: composeOptions{common: text, push: "n"}},
		"--locked":         {Options: composeOptions{common: with(func(c *common) { c.opts.Locked = true })}},
		"--offline":        {Options: composeOptions{common: with(func(c *common) { c.opts.Offline = true })}},
		"--format json":    {Options: composeOptions{common: with(func(c *common) { c.format = "json" })}},
		"--target s":       {Options: composeOptions{common: with(func(c *common) { c.opts.Target = "s" })}},
		"--param a.b=c":    {Options: composeOptions{common: with(func(c *common) { c.params = []string{"a.b=c"} })}},
		"--build-arg A=1":  {Options: composeOptions{common: with(func(c *common) { c.buildArgs = []string{"A=1"} })}},
		"--platform a/b,c": {Options: composeOptions{common: with(func(c *common) { c.opts = project.Options{Platforms: []string{"a/b", "c"}} })}},
		"x":                {Err: `unknown command "x" for "compose"`},
	})
	clitest.Lines(t, newAdd, map[string]clitest.Line[addOptions]{
		"std/a@^1 v=2":       {Options: addOptions{common: text}, Args: "std/a@^1 v=2"},
		"--stage s a as dev": {Options: addOptions{common: text, stage: "s"}, Args: "a as dev"},
		"":                   {Err: "requires at least 1 arg(s), only received 0"},
	})
	clitest.Lines(t, newEject, map[string]clitest.Line[ejectOptions]{"-f f": {Options: ejectOptions{common: source}}})
	clitest.Lines(t, newTree, map[string]clitest.Line[treeOptions]{"-f f": {Options: treeOptions{common: source}}})
	clitest.Lines(t, newWhy, map[string]clitest.Line[whyOptions]{"-f f a": {Options: whyOptions{common: source}, Args: "a"}})
	clitest.Lines(t, newRemove, map[string]clitest.Line[removeOptions]{"-f f a": {Options: removeOptions{common: source}, Args: "a"}})
	clitest.Lines(t, newOutdated, map[string]clitest.Line[outdatedOptions]{"-f f": {Options: outdatedOptions{common: source}}})
	clitest.Lines(t, newUpdate, map[string]clitest.Line[updateOptions]{
		"a b --dry-run": {Options: updateOptions{common: text, dryRun: true}, Args: "a b"},
		"--base i":      {Options: updateOptions{common: text, base: "i"}},
	})
	clitest.Lines(t, newVerify, map[string]clitest.Line[verifyOptions]{
		"":               {Options: verifyOptions{common: text}},
		"--run-checks i": {Options: verifyOptions{common: text, runChecks: true}, Args: "i"},
		"--run-checks":   {Err: "--run-checks needs an image to run them in"},
	})
	clitest.Lines(t, newExtract, map[string]clitest.Line[extractOptions]{
		"i -o f --uncompose": {Options: extractOptions{common: text, output: "f", uncompose: true}, Args: "i"},
		"":                   {Err: "accepts 1 arg(s), received 0"},
	})
}

func TestLinesOnParts(t *testing.T) {
	text := common{format: "text"}
	clitest.Lines(t, newTest, map[string]clitest.Line[testOptions]{
		"d --base a --base b": {Options: testOptions{common: text, bases: []string{"a", "b"}}, Args: "d"},
	})
	clitest.Lines(t, newInit, map[string]clitest.Line[initOptions]{
		"a/b":                           {Options: initOptions{common: text, version: "0.1.0"}, Args: "a/b"},
		"--from f --part-version 2 a d": {Options: initOptions{common: text, version: "2", from: "f"}, Args: "a d"},
		"--format yaml a":               {Err: `--format "yaml": must be text or json`},
	})
	clitest.Lines(t, newImport, map[string]clitest.Line[importOptions]{
		"--name n -o d f": {Options: importOptions{name: "n", output: "d", format: "text"}, Args: "f"},
	})
	clitest.Lines(t, newLint, map[string]clitest.Line[lintOptions]{
		"a b":             {Options: lintOptions{format: "text"}, Args: "a b"},
		"--format json":   {Options: lintOptions{format: "json"}},
		"--format yaml a": {Err: `--format "yaml": must be text or json`},
	})
	clitest.Lines(t, newPack, map[string]clitest.Line[packOptions]{"d -o l": {Options: packOptions{output: "l", format: "text"}, Args: "d"}})
	clitest.Lines(t, newPush, map[string]clitest.Line[pushOptions]{
		"d r": {Options: pushOptions{common: text}, Args: "d r"},
		"--index --tags --sign-passphrase-file p d r": {Options: pushOptions{
			common: text, PushOptions: registry.PushOptions{Index: true, Convenience: true}, passphraseFile: "p"}, Args: "d r"},
	})
	clitest.Lines(t, newPull, map[string]clitest.Line[pullOptions]{
		"a b":        {Options: pullOptions{common: text}, Args: "a b"},
		"--lock l":   {Options: pullOptions{common: text, lock: "l"}},
		"":           {Err: "name parts, or give --lock FILE"},
		"--lock l a": {Err: "name parts, or give --lock FILE"},
	})
	clitest.Lines(t, newLs, map[string]clitest.Line[lsOptions]{"--digests": {Options: lsOptions{common: text, digests: true}}})
	clitest.Lines(t, newSearch, map[string]clitest.Line[searchOptions]{"a --versions": {Options: searchOptions{common: text, versions: true}, Args: "a"}})
	clitest.Lines(t, newInspect, map[string]clitest.Line[inspectOptions]{"a@1": {Options: inspectOptions{common: text}, Args: "a@1"}})
	clitest.Lines(t, newYank, map[string]clitest.Line[yankOptions]{
		"--reason r a@1":        {Options: yankOptions{common: text, reason: "r"}, Args: "a@1"},
		"--undo --reason r a@1": {Err: "--reason is for yanking, not for --undo"},
	})
	clitest.Lines(t, newPrune, map[string]clitest.Line[pruneOptions]{
		"-a --force": {Options: pruneOptions{common: text, all: true, PruneOptions: cli.PruneOptions{Force: true}}},
		"-f":         {Err: "unknown shorthand flag: 'f' in -f"},
	})
	clitest.Lines(t, newRebase, map[string]clitest.Line[rebaseOptions]{
		"--onto b i":                 {Options: rebaseOptions{common: text, onto: "b"}, Args: "i"},
		"--part n@1 -t t --unsafe i": {Options: rebaseOptions{common: text, part: "n@1", tag: "t", unsafe: true}, Args: "i"},
		"i":                          {Err: "give one of --onto BASE and --part NAME@VERSION"},
		"--onto b --part n i":        {Err: "give one of --onto BASE and --part NAME@VERSION"},
	})
}

func TestKeyValues(t *testing.T) {
	t.Setenv("FROM_CALLER", "x")
	got, err := keyValues("--build-arg", []string{"A=1", "FROM_CALLER"})
	if err != nil || len(got) != 2 || got["A"] != "1" || got["FROM_CALLER"] != "x" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := keyValues("--param", []string{"FROM_CALLER"}); err == nil || err.Error() != "--param FROM_CALLER: write NAME=VALUE" {
		t.Errorf("a parameter without a value: %v", err)
	}
}
