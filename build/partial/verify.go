package partial

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Finding is one result of verification.
type Finding struct {
	What string // "lock", "composed", "part std/nodejs", "base debian:12", "label", …
	Bad  bool
	Note bool // worth to know, not bad
	Text string
	err  *Error
}

// Findings are all results of one verification.
type Findings []Finding

// Err is the first bad finding's error; nil if all is good.
func (f Findings) Err() error {
	for _, x := range f {
		if x.Bad {
			if x.err != nil {
				return x.err
			}
			return Errorf("P051", "%s: %s", x.What, x.Text)
		}
	}
	return nil
}

func (f *Findings) good(what, format string, args ...any) {
	*f = append(*f, Finding{What: what, Text: fmt.Sprintf(format, args...)})
}

func (f *Findings) bad(what string, e *Error) {
	*f = append(*f, Finding{What: what, Bad: true, Text: e.Msg, err: e})
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
		return nil, Errorf("P050", "%s is missing; run: berth partial update", opts.lockName())
	}
	opts.Locked = false
	r, err := Compose(ctx, opts)
	if err != nil {
		return nil, err
	}
	if d := digestOf(opts.Source); d == l.Source.Digest {
		f.good("source", "%s", d)
	} else {
		f.bad("source", Errorf("P050", "%s is out of date (the source changed); run: berth partial update", opts.lockName()))
	}
	if r.Digest == l.Composed {
		f.good("composed", "%s", r.Digest)
	} else {
		f.bad("composed", Errorf("P050", "%s is out of date (the composed text changed); run: berth partial update", opts.lockName()))
	}
	for _, p := range l.Parts {
		if err := verifyPart(ctx, &f, p, published); err != nil {
			return f, err
		}
	}
	for _, ref := range sortedKeys(l.Bases) {
		if now == nil {
			break
		}
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
	return f, nil
}

func verifyPart(ctx context.Context, f *Findings, p LockedPart, published Publisher) error {
	what := "part " + p.Name + " " + p.Version
	ref, _, err := ParseRef(p.From)
	if err != nil {
		return err
	}
	d, err := published.Digest(ctx, ref, p.Version)
	if err != nil {
		return err
	}
	if d != p.Digest {
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

// VerifyImage compares an image with the container file it carries: the label with its digest, the
// history with the composed instructions, the base's layers, and the os-release with what the parts need. base is the locked base,
// if it is at hand; metas are the parts' metadata by name, as far as they are.
func VerifyImage(img *ImageFacts, os *OSRelease, base *ImageFacts, metas map[string]*Meta) (Findings, error) {
	var f Findings
	x, err := Extract(img)
	if err != nil {
		return nil, err
	}
	if x.From == "history" || x.From == "provenance" {
		return nil, Errorf("P080", "%s was not composed by parts: it has no label and no record; nothing to verify", img.Ref)
	}
	f.good(x.From, "%s", digestOf([]byte(BodyOf(x.Text))))
	if x.Inherited {
		f.note(x.From, "the image was extended by other means after it was composed")
	}
	verifyHistory(&f, img, x.Text)
	if err := verifyLayers(&f, img); err != nil {
		return f, err
	}
	if base != nil {
		if n := len(base.DiffIDs); n <= len(img.DiffIDs) && slices.Equal(base.DiffIDs, img.DiffIDs[:n]) {
			f.good("base layers", "%d, those of %s", n, shortImage(base.Ref))
		} else {
			f.bad("base layers", Errorf("P051", "the first layers are not those of the base %s", shortImage(base.Ref)))
		}
	}
	for _, name := range sortedKeys(metas) {
		m := metas[name]
		if e := m.fits(img.Ref, &Base{OS: os}, nil); e != nil {
			f.bad("part "+name, e)
		} else {
			f.good("part "+name, "%s fits %v", m.Version, os)
		}
	}
	return f, nil
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

// verifyHistory looks for the instructions of the last stage, in their order, in the history.
func verifyHistory(f *Findings, img *ImageFacts, text string) {
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		f.bad("history", asError(err))
		return
	}
	var want []*instruction
	for i := range cf.instrs {
		in := &cf.instrs[i]
		if in.cmd == "FROM" {
			want = nil
		} else if in.cmd == "RUN" && !in.json && len(in.heredocs) == 0 {
			want = append(want, in)
		}
	}
	i := 0
	for _, in := range want {
		words := strings.Join(in.args, " ")
		at := slices.IndexFunc(img.History[i:], func(h History) bool { return strings.Contains(squeeze(h.CreatedBy), squeeze(words)) })
		if at < 0 {
			f.bad("history", Errorf("P051", "the history has no step for line %d of the container file: RUN %s", in.start, oneLine(words)))
			return
		}
		i += at + 1
	}
	f.good("history", "%d RUN steps as in the container file", len(want))
}

// squeeze makes runs of blanks one.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
