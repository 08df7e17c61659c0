// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// Finding is one result of verification.
type Finding struct {
	What string // "lock", "composed", "part std/nodejs", "base debian:12", "label", …
	Bad  bool
	Note bool // worth to know, not bad
	Text string
	Fix  hint.Hint `json:",omitzero"` // what fixes it, if that is known
	err  *Error
}

// Findings are all results of one verification.
type Findings []Finding

// Err is the error of the worst finding, the first of several: that something is not what it was, then that a policy refuses
// it, then that a lock is out of date. It is nil if all is good.
func (f Findings) Err() error {
	var worst *Error
	rank := func(e *Error) int { return slices.Index([]int{1, 5, 3}, ExitCode(e)) }
	for _, x := range f {
		if !x.Bad {
			continue
		}
		e := x.err
		if e == nil {
			e = Errorf("P051", "%s: %s", x.What, x.Text)
		}
		if worst == nil || rank(e) > rank(worst) {
			worst = e
		}
	}
	if worst == nil {
		return nil
	}
	return worst
}

// Worded is Text with the names of fields as word has them.
func (f *Finding) Worded(word func(field.Name) string) string {
	if f.err == nil || f.err.named == nil {
		return f.Text
	}
	return strings.ReplaceAll(f.Text, f.err.named.Error(), field.Text(f.err.named, word))
}

func (f *Findings) good(what, format string, args ...any) {
	*f = append(*f, Finding{What: what, Text: fmt.Sprintf(format, args...)})
}

func (f *Findings) bad(what string, e *Error) {
	text := e.Msg // "part std/nodejs 1.4.2: std/nodejs 1.4.2: …" would say one thing twice
	if name, ok := strings.CutPrefix(what, "part "); ok {
		text = strings.TrimLeft(strings.TrimPrefix(text, name), ": ")
	}
	*f = append(*f, Finding{What: what, Bad: true, Text: text, Fix: e.Fix, err: e})
}

func (f *Findings) note(what, format string, args ...any) {
	*f = append(*f, Finding{What: what, Note: true, Text: fmt.Sprintf(format, args...)})
}

// Publisher tells what a source of parts says now, not what is stored.
type Publisher interface {
	// Digest returns the digest that a version has at its source.
	Digest(ctx context.Context, ref Ref, version string) (string, error)
	Releases(ctx context.Context, ref Ref) ([]Release, error)
	// Trusted is P061 where the policy wants a signature that the release has not.
	Trusted(ctx context.Context, ref Ref, r Release) error
}

// VerifySource compares a source with its lock, and the lock with what is published: digests of the source and of the composed
// text, the digest of each part and its signature where the policy wants one, yanked versions, and newer digests of bases (a note).
func VerifySource(ctx context.Context, opts Options, published Publisher, now Bases) (Findings, error) {
	var f Findings
	l := opts.Lock
	if l == nil {
		return nil, Errorf("P050", "%s is missing", opts.lockName()).FixedBy("run: %s", hint.To(hint.UpdateLock, opts.File))
	}
	if !isRequirementFile(opts.File) && !HasDirectives(opts.Source) {
		if l.Ejected == "" {
			return nil, Errorf("P050", "%s is out of date: %s has no parts any more", opts.lockName(), opts.File).FixedBy("remove it, or run: %s", hint.To(hint.UpdateLock, opts.File))
		}
		verifyEjected(&f, opts)
		return f, verifyPublished(ctx, &f, opts, published, now)
	}
	opts.Locked = false
	r, err := Compose(ctx, opts)
	changed := errors.Is(err, &Error{Code: "P051"}) // which part, is said below
	if err != nil && !changed {
		return nil, err
	}
	if d := digestOf(opts.Source); d == l.Source.Digest {
		f.good("source", "%s", d)
	} else {
		f.bad("source", Errorf("P050", "%s is out of date (the source changed)", opts.lockName()).FixedBy("run: %s", hint.To(hint.UpdateLock, opts.File)))
	}
	if changed {
		f.note("composed", "not compared: a part is not what the lock has")
	} else if r.Digest == l.Composed {
		f.good("composed", "%s", r.Digest)
	} else {
		f.bad("composed", Errorf("P050", "%s is out of date (the composed text changed)", opts.lockName()).FixedBy("run: %s", hint.To(hint.UpdateLock, opts.File)))
	}
	if e := verifyPublished(ctx, &f, opts, published, now); e != nil || !changed || f.Err() != nil {
		return f, e
	}
	return f, err
}

// verifyEjected compares an ejected Containerfile with what it was when it was written. It may be edited.
func verifyEjected(f *Findings, opts Options) {
	if d := digestOf(opts.Source); d == opts.Lock.Ejected {
		f.good("ejected", "%s", d)
	} else {
		f.note("ejected", "%s was edited since it was ejected", opts.File)
	}
}

// verifyPublished compares the parts and bases of a lock with what is published.
func verifyPublished(ctx context.Context, f *Findings, opts Options, published Publisher, now Bases) error {
	l := opts.Lock
	for _, p := range l.Parts {
		if err := verifyPart(ctx, f, p, published, opts); err != nil {
			return err
		}
	}
	if now == nil {
		return nil
	}
	for _, ref := range sortedKeys(l.Bases) {
		d, err := now.Digest(ctx, ref)
		switch {
		case err != nil:
			f.note("base "+shortImage(ref), "its registry does not answer: %v", err)
		case d != l.Bases[ref].Digest:
			f.note("base "+shortImage(ref), "a newer one is there: %s", d)
		default:
			f.good("base "+shortImage(ref), "%s", d)
		}
	}
	return nil
}

func verifyPart(ctx context.Context, f *Findings, p LockedPart, published Publisher, opts Options) error {
	what := "part " + p.Name + " " + p.Version
	ref, _, err := ParseRef(p.From)
	if err != nil {
		return err
	}
	local, _ := opts.Library.(interface{ IsLocal(ref Ref) bool })
	inFolder := local != nil && local.IsLocal(ref)
	d, err := published.Digest(ctx, ref, p.Version)
	switch {
	case errors.Is(err, &Error{Code: "P051"}) && inFolder: // with another version
		f.bad(what, Errorf("P050", "%s", asError(err).Msg).FixedBy("run: %s", hint.To(hint.UpdateLock, opts.File)))
		return nil
	case errors.Is(err, &Error{Code: "P051"}):
		f.bad(what, asError(err))
		return nil
	case err != nil:
		return err
	case d != p.Digest && inFolder:
		f.bad(what, Errorf("P051", "%s %s was edited in its folder since it was locked: its digest is %s, the lock has %s", p.Name, p.Version, d, p.Digest).FixedBy("run: %s", hint.To(hint.UpdateLock, opts.File)))
		return nil
	case d != p.Digest:
		f.bad(what, Errorf("P051", "%s %s: digest is %s but the lock says %s; the published part was changed or tampered with", p.Name, p.Version, d, p.Digest))
		return nil
	}
	var unsigned *Error
	switch err := published.Trusted(ctx, ref, Release{Version: p.Version, Digest: p.Digest}); {
	case errors.As(err, &unsigned):
		f.bad(what, unsigned)
		return nil
	case err != nil:
		return err
	}
	all, err := published.Releases(ctx, ref)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(all, func(r Release) bool { return r.Version == p.Version && r.Yanked }) {
		f.note(what, "is yanked; it is used because the lock has it")
	}
	f.good(what, "%s", d)
	return nil
}

// VerifyImage compares an image with the container file it carries: the label with its digest, every step of the history
// and the whole configuration in both directions, the base's layers, and the os-release with what the parts need. metas are the parts'
// metadata by name, as far as they are at hand.
func VerifyImage(img *ImageFacts, os *OSRelease, metas map[string]*Meta) (Findings, error) {
	var f Findings
	x, err := Stated(img)
	if err != nil {
		return nil, err
	}
	if x.From == "history" || x.From == "provenance" {
		return nil, Errorf("P080", "%s was not composed by parts: it has no label and no record; nothing to verify", img.Ref)
	}
	f.good(x.From, "%s", digestOf([]byte(BodyOf(x.Text))))
	after := img.afterTrailer()
	if after >= 0 && after < len(img.History) {
		f.note(x.From, "the image was extended by other means after it was composed")
	}
	steps, config, notes := img.differences(x.Text)
	for _, n := range notes {
		f.note("history", "%s", n)
	}
	f.compared("history", steps, len(img.History) > 0, "every step as in the container file")
	f.compared("configuration", config, img.Config != nil && after == len(img.History), "as the container file makes it")
	if err := verifyLayers(&f, img); err != nil {
		return f, err
	}
	if base := img.base(x.Text); base != nil {
		if n := len(base.DiffIDs); sameBase(base, img) {
			f.good("base layers", "%d, those of %s", n, shortImage(base.Ref))
		} else {
			f.bad("base layers", Errorf("P051", "the first layers are not those of the base %s", shortImage(base.Ref)))
		}
	}
	for _, name := range sortedKeys(metas) {
		m := metas[name]
		if e := m.fits(img.Ref, &Base{OS: os}, nil); e != nil { // it did fit when it was built
			f.bad("part "+name, Errorf("P051", "%s", e.Msg))
		} else {
			f.good("part "+name, "%s fits %v", m.Version, os)
		}
	}
	return f, nil
}

// compared says how something differs; if nothing does, and it was compared, that it is good.
func (f *Findings) compared(what string, differs []string, done bool, good string) {
	for _, d := range differs {
		f.bad(what, Errorf("P051", "%s", d))
	}
	if done && len(differs) == 0 {
		f.good(what, "%s", good)
	}
}

// verifyLayers compares the layers with those of the build's record, if it is at hand.
func verifyLayers(f *Findings, img *ImageFacts) error {
	if img.Record == nil || len(img.Record.Layers) == 0 {
		f.note("layers", "the record of the build is not at hand, or names no layers")
		return nil
	}
	l, err := ParseBuildLayers(img.Record.Layers)
	if err != nil {
		return err
	}
	for i, d := range l.DiffIDs {
		if i < len(img.DiffIDs) && img.DiffIDs[i] == d {
			continue
		}
		whose := "layer " + strconv.Itoa(i+1)
		if b := slices.IndexFunc(l.Blocks, func(b BlockLayers) bool { return slices.Contains(b.DiffIDs, d) }); b >= 0 {
			whose += ", of " + l.Blocks[b].Name
		}
		is := "is missing"
		if i < len(img.DiffIDs) {
			is = "is " + img.DiffIDs[i]
		}
		f.bad("layers", Errorf("P051", "%s: the record has %s, but it %s", whose, d, is))
		return nil
	}
	f.good("layers", "%d, as the build's record has them", len(l.DiffIDs))
	return nil
}

// squeeze makes runs of blanks one.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
