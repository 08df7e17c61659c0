// SPDX-License-Identifier: Apache-2.0

package trial

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
)

// RunChecks runs the check of each part in an image, each in a container of the image without a network. What a check that fails has printed goes to Log.
func (t *Trial) RunChecks(ctx context.Context, name string) (partial.Findings, error) {
	facts, img, err := t.Project.ImageFacts(ctx, name)
	if err != nil {
		return nil, err
	}
	x, err := partial.Stated(facts)
	if err != nil {
		return nil, err
	}
	lock, err := x.ParsedLock()
	if err != nil {
		return nil, err
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
		f, err := t.runCheck(ctx, img.ID, b, from, params)
		if err != nil {
			return found, err
		}
		found = append(found, f)
	}
	return found, nil
}

// runCheck runs the check of one part. A part that cannot be had is noted.
func (t *Trial) runCheck(ctx context.Context, imageID string, b partial.BlockOf, from string, params map[string]string) (partial.Finding, error) {
	f := partial.Finding{What: "check of " + b.Name}
	ref, _, err := partial.ParseRef(from)
	if err != nil {
		return f, err
	}
	part, err := t.Project.Parts.Part(ctx, ref, partial.Release{Version: b.Version, Digest: b.Digest})
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
	var out bytes.Buffer
	code, err := t.Project.Engine().RunOnce(ctx, libctr.CreateOptions{
		Image:      imageID,
		Entrypoint: check.Argv,
		Network:    []string{"none"},
		Pull:       image.PullOptions{Policy: image.Never},
	}, libctr.Streams{Stdout: &out, Stderr: &out})
	switch {
	case ctx.Err() != nil:
		return f, ctx.Err()
	case err == nil && code != 0:
		err = fmt.Errorf("exit status %d", code)
	case err == nil:
		err = matches(check, out.String())
	}
	if err != nil {
		f.Bad, f.Text = true, err.Error()
		if t.Log != nil {
			_, _ = t.Log.Write(out.Bytes())
		}
		return f, nil
	}
	f.Text = "passed: " + partial.ExecForm(check.Argv)
	return f, nil
}
