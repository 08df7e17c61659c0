// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
)

// RebaseInput is what a rebase is decided on.
type RebaseInput struct {
	Text     string // the composed file of the image
	Metas    map[string]*Meta
	OldRef   string // what FROM of the last stage names, pinned
	Old, New *Base
	NewRef   string // name:tag of the new base
	Config   ImageConfig
	OldBase  ImageConfig // the old base's own
	NewBase  ImageConfig
	Unsafe   bool   // take a RUN that may depend on the base along
	NewText  string // with New the same as Old: the text with another version of a detached part
}

// Rebased is the result: the new text and configuration. The layers above the base stay as they are.
type Rebased struct {
	Text   string
	Base   string // name:tag of the new base
	Config ImageConfig
}

// LastBase returns the image that the last stage of a composed file begins with.
func LastBase(text string) (string, error) {
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		return "", err
	}
	ref := ""
	names := map[string]bool{}
	for i := range cf.instrs {
		if in := &cf.instrs[i]; in.cmd == "FROM" {
			var name string
			if ref, name, _, err = in.from(); err != nil {
				return "", Errorf("P071", "%v", err)
			}
			if names[strings.ToLower(ref)] {
				ref = ""
			}
			names[name] = true
		}
	}
	if ref == "" || ref == "scratch" {
		return "", Errorf("P090", "cannot rebase: the last stage does not begin with an image").FixedBy("update it, then run: %s", hint.To(hint.BuildImage))
	}
	return ref, nil
}

// Rebase decides whether an image's own layers can be put on another base without running
// anything, and computes the text and the configuration of the result. P090 says what stands in the way.
func Rebase(in RebaseInput) (*Rebased, error) {
	if e := sameSystem(in.Old, in.New, in.OldRef, in.NewRef); e != nil {
		return nil, e
	}
	for _, name := range sortedKeys(in.Metas) {
		if e := in.Metas[name].fits(in.NewRef, in.New, nil); e != nil {
			return nil, Errorf("P090", "cannot rebase: %s", e.Msg).orRebuild(in.NewRef)
		}
	}
	cf, err := parseContainerfile("", in.Text, "P071")
	if err != nil {
		return nil, err
	}
	if !in.Unsafe && in.NewText == "" {
		if e := blocking(cf, in); e != nil {
			return nil, e
		}
	}
	// What the instructions make of the old base must be what the image has; then what they make of the new one can be trusted.
	was, err := replay(stepsOf(cf), in.OldBase, nil)
	if err != nil {
		return nil, err
	}
	if d := was.differences(in.Config, false); len(d) > 0 {
		return nil, Errorf("P090", "cannot rebase: the image's %s is not what its container file sets", d[0].what).orRebuild(in.NewRef)
	}
	r := &Rebased{Base: in.NewRef}
	body := strings.ReplaceAll(BodyOf(in.Text), in.OldRef, pinned(in.NewRef, in.New.Digest))
	embed := "none"
	if _, ok := in.Config.Labels[labelText]; ok {
		embed = "label"
	}
	r.Text = body + Trailer(body, embed)
	if in.NewText != "" {
		r.Text = in.NewText
	}
	if cf, err = parseContainerfile("", r.Text, "P071"); err != nil {
		return nil, err
	}
	if r.Config, err = replay(stepsOf(cf), in.NewBase, nil); err != nil {
		return nil, err
	}
	for k, v := range in.Config.Labels { // labels of the builder itself
		if _, ok := r.Config.Labels[k]; !ok && was.Labels[k] == "" {
			r.Config.Labels[k] = v
		}
	}
	return r, nil
}

// Rebased returns the lock of a composition after its image was put on another base: body is the new text without
// its trailer, source the new source. oldRef is pinned, newRef is not.
func (l *Lock) Rebased(oldRef, newRef string, now *Base, body, source string) *Lock {
	c := *l
	c.Bases = map[string]*Base{newRef: now}
	for ref, b := range l.Bases {
		if pinned(ref, b.Digest) != oldRef {
			c.Bases[ref] = b
		}
	}
	c.Composed, c.Source.Digest = digestOf([]byte(body)), digestOf([]byte(source))
	return &c
}

// orRebuild says how to come to an image on another base where rebasing is refused.
func (e *Error) orRebuild(base string) *Error {
	return e.FixedBy("run: %s, then %s", hint.To(hint.UpdateBase, base), hint.To(hint.BuildImage))
}

// sameSystem wants the same distribution, the same major version, the same libc.
func sameSystem(old, now *Base, oldRef, newRef string) *Error {
	if old.OS == nil || now.OS == nil {
		return Errorf("P090", "cannot rebase: %s or %s has no os-release", shortImage(oldRef), shortImage(newRef)).orRebuild(newRef)
	}
	major := func(v string) string { m, _, _ := strings.Cut(v, "."); return m }
	if old.OS.ID != now.OS.ID || major(old.OS.Version) != major(now.OS.Version) || old.OS.Libc != now.OS.Libc {
		return Errorf("P090", "cannot rebase: base %s is %s %s, %s is %s %s", shortImage(oldRef), old.OS, old.OS.Libc, shortImage(newRef), now.OS, now.OS.Libc).orRebuild(newRef)
	}
	return nil
}

// blocking finds the first instruction of the last stage whose layer may depend on the base.
func blocking(cf *containerfile, in RebaseInput) *Error {
	first := lastFrom(cf)
	block := blocksByLine(cf)
	for i := first + 1; i < len(cf.instrs); i++ {
		it := &cf.instrs[i]
		name := block[it.start]
		switch {
		case it.cmd != "RUN" && it.cmd != "WORKDIR" && it.cmd != "COPY" && it.cmd != "ADD":
			continue
		case it.cmd == "WORKDIR", it.cmd == "COPY", it.cmd == "ADD":
			// A directory of the base may be what a link leads to, but not what a plain path is.
			continue
		case name != "" && in.Metas[name] != nil && in.Metas[name].Layer == "detached":
			continue
		case name == "" && markedSafe(cf, it):
			continue
		}
		words := oneLine(strings.Join(it.args, " "))
		return Errorf("P090", "cannot rebase: RUN %s (line %d) may depend on the base", words, it.start).orRebuild(in.NewRef)
	}
	return nil
}

// blocksByLine tells which part each line of a composed file belongs to.
func blocksByLine(cf *containerfile) map[int]string {
	out := map[int]string{}
	name := ""
	comment := cf.comments()
	for i, l := range cf.lines {
		if rest, ok := strings.CutPrefix(l, "# >>> "); ok && comment[i] && name == "" {
			name, _, _ = strings.Cut(rest, " ")
		}
		if name != "" {
			out[i+1] = name
		}
		if l == "# <<< "+name && comment[i] {
			name = ""
		}
	}
	return out
}

// markedSafe reports whether "#: rebase safe" stands above an instruction, with nothing but comments between.
func markedSafe(cf *containerfile, in *instruction) bool {
	for n := in.start - 1; n > 0 && (strings.HasPrefix(cf.lines[n-1], "#") || strings.TrimSpace(cf.lines[n-1]) == ""); n-- {
		if strings.Join(strings.Fields(strings.TrimPrefix(cf.lines[n-1], "# :")), " ") == "rebase safe" {
			return true
		}
	}
	return false
}

// PartLayers finds the layers that a detached part has made in an image of this text: their numbers among the layers
// above the base, of which there are total. P090 where that cannot be told.
func PartLayers(text, name string, total int) ([]int, error) {
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		return nil, err
	}
	first := lastFrom(cf)
	block := blocksByLine(cf)
	var found []int
	n := 0
	for i := first + 1; i < len(cf.instrs); i++ {
		in := &cf.instrs[i]
		if in.cmd != "RUN" && in.cmd != "COPY" && in.cmd != "ADD" {
			continue
		}
		if block[in.start] == name {
			if in.cmd != "COPY" {
				return nil, Errorf("P090", "cannot replace %s: it has a %s (line %d), so it is not detached", name, in.cmd, in.start)
			}
			found = append(found, n)
		}
		n++
	}
	if n != total {
		return nil, Errorf("P090", "cannot replace %s: the image has %d layers above its base, its container file makes %d", name, total, n)
	}
	if len(found) == 0 {
		return nil, Errorf("P090", "cannot replace %s: it has no layer in the last stage", name)
	}
	return found, nil
}

// PartAlone is a Containerfile whose image has the layers of a detached part and nothing else.
func PartAlone(text, name string) (string, error) {
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		return "", err
	}
	first := lastFrom(cf)
	block := blocksByLine(cf)
	lines := slices.Clone(cf.lines[:cf.instrs[first].start-1])
	lines = append(lines, "FROM scratch")
	for i := first + 1; i < len(cf.instrs); i++ {
		if in := &cf.instrs[i]; block[in.start] == name && in.cmd == "COPY" {
			lines = append(lines, cf.text(in))
		}
	}
	return strings.Join(lines, "\n") + "\n", nil
}

func lastFrom(cf *containerfile) int {
	first := 0
	for i := range cf.instrs {
		if cf.instrs[i].cmd == "FROM" {
			first = i
		}
	}
	return first
}
