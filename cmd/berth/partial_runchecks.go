// SPDX-License-Identifier: Apache-2.0

//go:build !lean

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/build/partial/project"
)

// imageChecks runs the checks of the parts in an image.
type imageChecks struct {
	project *project.Project
	engine  *engineFlags
	talk    io.Writer
}

func (c *imageChecks) run(ctx context.Context, name string) (partial.Findings, error) {
	facts, img, err := imageFacts(ctx, c.project, name)
	if err != nil {
		return nil, err
	}
	x, err := partial.Stated(facts)
	if err != nil {
		return nil, err
	}
	var lock *partial.Lock
	if len(x.Lock) > 0 {
		if lock, err = partial.ParseLock("the image's lock", bytes.TrimSpace(x.Lock)); err != nil {
			return nil, err
		}
	}
	given := partial.GivenParams(x.Text)
	var found partial.Findings
	for _, b := range partial.Installed(x.Text) {
		from, params := b.Name, given[b.Name]
		if lock != nil {
			if i := slices.IndexFunc(lock.Parts, func(p partial.LockedPart) bool { return p.Name == b.Name && p.Digest == b.Digest }); i >= 0 {
				from, params = lock.Parts[i].From, lock.Parts[i].Params
			}
		}
		f, err := c.one(ctx, img.ID, b, from, params)
		if err != nil {
			return found, err
		}
		found = append(found, f)
	}
	return found, nil
}

// one runs the check of one part. A part that cannot be had is noted.
func (c *imageChecks) one(ctx context.Context, image string, b partial.BlockOf, from string, params map[string]string) (partial.Finding, error) {
	f := partial.Finding{What: "check of " + b.Name}
	ref, _, err := partial.ParseRef(from)
	if err != nil {
		return f, err
	}
	part, err := c.project.Parts.Part(ctx, ref, partial.Release{Version: b.Version, Digest: b.Digest})
	if err != nil {
		f.Note, f.Text = true, fmt.Sprintf("not run: %v", err)
		return f, ctx.Err()
	}
	check, err := part.CheckWith(part.Values(params))
	if err != nil {
		return f, err
	}
	if check == nil {
		f.Note, f.Text = true, "it has none"
		return f, nil
	}
	cmd := newRunCmd(c.engine)
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs([]string{"--rm", "--network", "none", "--pull", "never", "--entrypoint", partial.ExecForm(check.Argv), image})
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	if err = cmd.ExecuteContext(ctx); err == nil {
		err = matchesText(check, out.String())
	} else if ctx.Err() != nil {
		return f, ctx.Err()
	}
	if err != nil {
		f.Bad, f.Text = true, errorText(err)
		_, _ = c.talk.Write(out.Bytes())
		return f, nil
	}
	f.Text = "passed: " + partial.ExecForm(check.Argv)
	return f, nil
}
