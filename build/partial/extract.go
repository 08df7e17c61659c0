// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// History is one step of an image's history, as its config has it.
type History struct {
	CreatedBy string
	Comment   string
	Empty     bool // it made no layer
}

// ImageFacts are what extraction reads of an image.
type ImageFacts struct {
	Ref     string // as it is named in the text, name:tag@digest where possible
	Labels  map[string]string
	History []History // the first step first
	DiffIDs []string
	Env     []string
	Config  *ImageConfig // nil if it is not known

	// Image returns what is known of another image of the store, nil if it is not there. It may be nil.
	Image func(ref string) *ImageFacts

	BaseRef    string   // the image it was built on, if that is known
	BaseDigest string   // its digest, or ""
	BaseLayers int      // how many layers are the base's
	BaseSteps  int      // how many steps of the history are the base's; 0 if that is not known
	Paths      Paths    // what a layer holds; nil reads "/"
	Record     *Records // what push attached to it, or what was kept of its build; nil without
	File       string   // /usr/share/containerfile/Containerfile in the image; "" if it has none
	Provenance string   // the container file in BuildKit's provenance of mode=max; "" without
}

// Records are the files of a build record, by the words of the format. Layers is a BuildLayers in JSON.
type Records struct{ Composed, Lock, Source, Layers []byte }

// Paths returns the topmost paths that the i-th layer adds or changes, absolute and without links upwards.
type Paths func(layer int) ([]string, error)

// Extracted is the container file of an image.
type Extracted struct {
	Text      string
	From      string   // label, file, record, provenance, or history
	Exact     bool     // Text is what the image was built from, byte for byte
	Inherited bool     // the label is a parent's: the beginning is exact, the rest is reconstructed
	Lost      int      // COPY and ADD sources that had to be replaced
	Stated    string   // where the text is that the image is not what it makes: label, file, record; "" if there is none
	Differs   []string // how the image differs from that
	Notes     []string // what could not be compared
	Lock      []byte   // of a build record
	Source    []byte
}

// ParsedLock is the lock; nil if there is none.
func (x *Extracted) ParsedLock() (*Lock, error) {
	if len(x.Lock) == 0 {
		return nil, nil
	}
	return ParseLock("the image's lock", bytes.TrimSpace(x.Lock))
}

// Extract returns the container file of an image: from its label, from a file in it or the record of its build that have
// the digest of the label, from BuildKit's provenance, or from its history, in this order. Where the image is not what the
// text makes, since somebody has built it from an edited one, the history counts. P082 is a label that was altered, P080
// an image without any of them.
func Extract(f *ImageFacts) (*Extracted, error) {
	x, err := Stated(f)
	if err != nil || x.From == "provenance" || x.From == "history" {
		return x, err
	}
	steps, config, notes := f.differences(x.Text)
	if len(steps)+len(config) > 0 {
		r, err := reconstruct(f)
		if err != nil {
			return nil, err
		}
		r.Differs, r.Stated = append(steps, config...), x.From
		return r, nil
	}
	x.Notes = notes
	if after := f.afterTrailer(); after >= 0 && after < len(f.History) {
		x.Exact, x.Inherited = false, true
		rest := &recovery{facts: f}
		rest.steps(after)
		x.Lost = rest.lost
		x.Text += "# the text above is exact; from here on it is reconstructed from the history of " + f.Ref + " ; NOT exact\n" + rest.out.String()
		return x, checkRecovered(x.Text)
	}
	return x, nil
}

// Stated is the container file that an image says it was built from, whether or not that is so.
func Stated(f *ImageFacts) (*Extracted, error) {
	body, trailer, err := fromLabel(f.Labels)
	if err != nil {
		return nil, err
	}
	x := &Extracted{Text: body + trailer, From: "label", Exact: true}
	d := f.Labels[labelDigest]
	if f.Record != nil {
		x.Lock, x.Source = f.Record.Lock, f.Record.Source
	}
	switch {
	case body != "":
	case f.File != "" && d == digestOf([]byte(f.File)):
		x.Text, x.From = f.File+Trailer(f.File, "file"), "file"
	case f.Record != nil && len(f.Record.Composed) > 0:
		x.Text, x.From = string(f.Record.Composed), "record"
		if d != "" && digestOf([]byte(BodyOf(x.Text))) != d {
			return nil, Errorf("P082", "record text does not match the digest of the image's label; the record belongs to another image or was altered")
		}
	case f.Provenance != "":
		return &Extracted{Text: f.Provenance, From: "provenance", Exact: true}, nil
	default:
		return reconstruct(f)
	}
	return x, nil
}

// fromLabel returns the embedded body and its trailer; "" if there is none.
func fromLabel(labels map[string]string) (body, trailer string, err error) {
	text, ok := labels[labelText]
	if !ok {
		return "", "", nil
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil || digestOf(data) != labels[labelDigest] {
		return "", "", Errorf("P082", "label text does not match its digest; the image's metadata was altered")
	}
	return string(data), Trailer(string(data), "label"), nil
}

// afterTrailer returns the index of the first step after the trailer; -1 if the history does not show it.
func (f *ImageFacts) afterTrailer() int {
	for i := len(f.History) - 1; i >= 0; i-- {
		if strings.Contains(f.History[i].CreatedBy, labelFormat+"=") {
			return i + 1
		}
	}
	return -1
}

// BodyOf is a composed file without its trailer.
func BodyOf(text string) string {
	i := strings.LastIndex(text, "\nLABEL "+labelFormat+"=")
	if i < 0 {
		return text
	}
	body := text[:i+1]
	// With embed=file a COPY of the body itself stands before the label.
	if j := strings.LastIndex(body, "\nCOPY --chmod=0644 <<\"PARTIAL_EOF"); j >= 0 && strings.Contains(body[j:], "/usr/share/containerfile/Containerfile\n") {
		if inner := body[:j+1]; body == inner+heredocCopy("0644", "/usr/share/containerfile/Containerfile", inner).text+"\n" {
			return inner
		}
	}
	return body
}

// DigestOf is a text's digest, as labels and locks have it.
func DigestOf(text string) string { return digestOf([]byte(text)) }

// IsComposed reports whether a Containerfile was written by the maker.
func IsComposed(text string) bool {
	return strings.HasPrefix(text, "# composed from ") || strings.Contains(text, "\n# composed from ")
}

// Uncompose turns a composed file back into a source: blocks become their "#: use" lines. A block
// for which keep returns true was changed by hand and stays as text; keep may be nil. With lock set, digests that
// the maker has added to FROM lines are taken away again.
func Uncompose(text string, lock *Lock, keep func(name, block string) bool) (string, error) {
	if !IsComposed(text) {
		return "", Errorf("P080", "the file was not composed from parts; there is nothing to turn back")
	}
	u := &uncomposer{lock: lock, kept: map[string]bool{}}
	for _, b := range Blocks(text) { // all of a part's blocks stay, or none
		u.kept[b.Name] = u.kept[b.Name] || keep != nil && keep(b.Name, b.Text)
	}
	body := BodyOf(text)
	was, err := parseContainerfile("", body, "P071")
	if err != nil {
		return "", err
	}
	lines := was.lines
	u.comment, u.starts = was.comments(), map[int]bool{}
	for i := range was.instrs {
		u.starts[was.instrs[i].start-1] = true
	}
	for i := 0; i < len(lines); i++ {
		i = u.line(lines, i)
	}
	out := strings.Join(u.out, "\n") + "\n"
	cf, err := parseContainerfile("", out, "P071")
	if err != nil {
		return "", err
	}
	if !u.uses {
		return out, nil
	}
	first := 0
	for i := range cf.instrs {
		if cf.instrs[i].cmd == "FROM" {
			first = cf.instrs[i].start
			break
		}
	}
	// The guard stands first, after comments that builders read.
	at := 0
	for at < first-1 && parserDirective().MatchString(cf.lines[at]) {
		at++
	}
	all := append(append(append([]string{}, cf.lines[:at]...), guardLine), cf.lines[at:]...)
	return strings.Join(all, "\n") + "\n", nil
}

type uncomposer struct {
	lock *Lock
	kept map[string]bool // parts whose blocks stay as text

	comment []bool       // of each line: it is outside of instructions
	starts  map[int]bool // the lines that instructions begin at

	out  []string
	uses bool
}

// line handles the line at i and returns the last line it has used.
func (u *uncomposer) line(lines []string, i int) int {
	l := lines[i]
	switch {
	case u.starts[i] && (strings.HasPrefix(l, "FROM ") || strings.HasPrefix(l, "COPY ") || strings.HasPrefix(l, "RUN ")):
		l = u.unpin(l)
	case !u.comment[i]:
	case strings.HasPrefix(l, "# composed from "):
		return i
	case strings.HasPrefix(l, "# : "), strings.HasPrefix(l, "# :+"):
		if use, ok := strings.CutPrefix(l, "# : use "); ok {
			if u.isKept(use) {
				return i
			}
			u.uses = true
		}
		u.out = append(u.out, "#:"+l[3:])
		return i
	case strings.HasPrefix(l, "# >>> "):
		name, _, _ := strings.Cut(strings.TrimPrefix(l, "# >>> "), " ")
		end := i
		for end < len(lines) && (lines[end] != "# <<< "+name || !u.comment[end]) {
			end++
		}
		if end == len(lines) {
			break
		}
		if u.kept[name] {
			u.out = append(u.out, lines[i+1:end]...)
		}
		return end
	}
	u.out = append(u.out, l)
	return i
}

// isKept reports whether a use line belongs to a part whose blocks stay.
func (u *uncomposer) isKept(use string) bool {
	word, _, _ := strings.Cut(use, " ")
	ref, _, err := ParseRef(word)
	if err != nil {
		return false
	}
	for name, kept := range u.kept {
		if kept && (name == ref.Text || leaf(name) == leaf(ref.Text)) {
			return true
		}
	}
	return false
}

// unpin removes the digests that the lock has for images without one.
func (u *uncomposer) unpin(l string) string {
	if u.lock == nil {
		return l
	}
	for ref, b := range u.lock.Bases {
		l = strings.ReplaceAll(l, pinned(ref, b.Digest), ref)
	}
	for ref, d := range u.lock.Images {
		l = strings.ReplaceAll(l, pinned(ref, d), ref)
	}
	return l
}

// BlockOf is a block of a composed file: its text with both markers.
type BlockOf struct{ Name, Version, Digest, What, Text string }

// Blocks lists the blocks of a composed file.
func Blocks(text string) []BlockOf {
	var out []BlockOf
	cf, err := parseContainerfile("", BodyOf(text), "P071")
	if err != nil {
		return nil
	}
	lines, comment := cf.lines, cf.comments()
	for i := 0; i < len(lines); i++ {
		rest, ok := strings.CutPrefix(lines[i], "# >>> ")
		if !ok || !comment[i] {
			continue
		}
		name, rest, _ := strings.Cut(rest, " ")
		end := i
		for end < len(lines) && (lines[end] != "# <<< "+name || !comment[end]) {
			end++
		}
		if end == len(lines) {
			continue
		}
		b := BlockOf{Name: name, Text: strings.Join(lines[i:end+1], "\n") + "\n"}
		if f := strings.SplitN(rest, " ", 3); len(f) == 3 {
			b.Version, b.Digest, b.What = f[0], f[1], strings.Trim(f[2], "()")
		}
		out = append(out, b)
		i = end
	}
	return out
}
