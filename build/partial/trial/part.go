// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/build/partial"
)

// PartTest is a part in a folder, to be built on its bases.
type PartTest struct {
	*Trial
	Part   *partial.Part
	Dir    string            // an absolute path
	Params map[string]string // by PART.NAME
	Passed func(what string) // is told what was good; nil: nobody
}

// PartResult is what was found on one base.
type PartResult struct {
	Part, Version, Base string
	Alone               bool   // it was built alone
	Composed            bool   // and composed
	Checked             bool   // and its check passed
	Error               string `json:",omitempty"`
}

// On builds the part on one base, alone as any builder would, then composed, and runs its check in the result. What the part requires, and its packages, are
// put on the base before it is built alone. An error of the part's is a *FailedError.
func (t *PartTest) On(ctx context.Context, base string) (PartResult, error) {
	r := PartResult{Part: t.Part.Meta.Name, Version: t.Part.Meta.Version, Base: base}
	err := t.on(ctx, base, &r)
	if err != nil {
		r.Error = err.Error()
	}
	return r, err
}

func (t *PartTest) on(ctx context.Context, base string, r *PartResult) error {
	facts, err := t.Project.Bases.Base(ctx, base)
	if err != nil {
		return err
	}
	name := t.Part.Meta.Name + " on " + base
	if stage := t.Part.StageFor("install", facts.OS); stage != "" {
		ground, log, err := t.ground(ctx, base)
		if err != nil {
			return failed(ctx, name+", what it requires", log, err)
		}
		log, err = t.build(ctx, build.Request{
			Files:     []string{filepath.Join(t.Dir, "Containerfile")},
			Context:   t.Dir,
			Target:    stage,
			BuildArgs: append([]string{"BASE=" + ground}, t.args()...),
		})
		if err != nil {
			return failed(ctx, name+", built alone", log, err)
		}
		r.Alone = true
		t.passed(name + ", built alone")
	}
	return t.composed(ctx, base, name, r)
}

// args are the parameters as ARGs of the part.
func (t *PartTest) args() (args []string) {
	for _, param := range slices.Sorted(maps.Keys(t.Part.Meta.Params)) {
		for _, prefix := range []string{t.Part.Meta.Name, path.Base(t.Part.Meta.Name)} {
			if value, ok := t.Params[prefix+"."+param]; ok {
				args = append(args, t.Part.ArgName(param)+"="+value)
			}
		}
	}
	return args
}

func (t *PartTest) passed(what string) {
	if t.Passed != nil {
		t.Passed(what)
	}
}

// composed builds the part composed, and runs its check as a last step.
func (t *PartTest) composed(ctx context.Context, base, name string, r *PartResult) error {
	made, err := t.Project.ComposeText(ctx, []byte(use(base, t.Dir)), nil)
	if err != nil {
		return err
	}
	text := made.Body
	var check *partial.Check
	for _, b := range made.Blocks {
		if b.Part.Meta.Name != t.Part.Meta.Name {
			continue
		}
		if check, err = b.Part.CheckWith(b.Params); err != nil {
			return err
		}
	}
	if check != nil {
		// The variable keeps an earlier test's result from being taken.
		text += "ENV PARTIAL_CHECK=" + strconv.FormatInt(time.Now().UnixNano(), 36) + "\nRUN " + partial.ExecForm(check.Argv) + "\n"
	}
	log, err := t.buildText(ctx, text)
	if err != nil {
		return failed(ctx, name+", composed", log, err)
	}
	r.Composed = true
	if check == nil {
		t.passed(name + ", composed (it has no check)")
		return nil
	}
	if err := matches(check, log.lastStep()); err != nil {
		return failed(ctx, name+", its check", log, err)
	}
	r.Checked = true
	t.passed(name + ", composed, check passed")
	return nil
}

// use is a source that uses the part in a folder.
func use(base, dir string) string {
	return fmt.Sprintf("FROM %s\n#: use %s\n", base, partial.QuoteWord(dir))
}

// ground returns an image to build the part alone on: the base, with what the part requires and its packages. It is the
// base itself where the part's layer does not depend on it, or there is nothing to add.
func (t *PartTest) ground(ctx context.Context, base string) (_ string, _ log, err error) {
	m := t.Part.Meta
	if m.Layer == "detached" || len(m.Requires)+len(m.Packages) == 0 {
		return base, nil, nil
	}
	// JSON is YAML.
	meta, err := json.Marshal(partial.Meta{Name: m.Name, Version: m.Version, Summary: m.Summary, Base: m.Base, Params: m.Params, Requires: m.Requires, Packages: m.Packages})
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "berth-partial-")
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	text := fmt.Sprintf("# /// partial\n# %s\n# ///\nARG BASE=%s\nFROM ${BASE} AS base\n", meta, base)
	if err := os.WriteFile(filepath.Join(dir, "Containerfile"), []byte(text), 0o600); err != nil {
		return "", nil, err
	}
	r, err := t.Project.ComposeText(ctx, []byte(use(base, dir)), nil)
	if err != nil {
		return "", nil, err
	}
	log, err := t.buildText(ctx, r.Body)
	if err != nil {
		return "", log, err
	}
	if log.built() == "" {
		return "", log, errors.New("the build named no image")
	}
	return log.built(), log, nil
}
