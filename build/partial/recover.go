// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	bkparser "github.com/moby/buildkit/frontend/dockerfile/parser"
)

// reconstruct writes a container file from an image's history. It builds, but it is not what the
// image was built from.
func reconstruct(f *ImageFacts) (*Extracted, error) {
	if len(f.History) == 0 {
		return nil, Errorf("P080", "%s has neither container file nor history; nothing to extract", f.Ref)
	}
	r := &recovery{facts: f}
	first := r.afterBase()
	if f.BaseRef != "" {
		fmt.Fprintf(&r.out, "FROM %s\n", pinned(f.BaseRef, f.BaseDigest))
	} else {
		r.out.WriteString("FROM scratch\n")
		// PATH and the like are the base's, which is not known.
		for _, e := range f.Env {
			name, value, _ := strings.Cut(e, "=")
			if isEnvName(name) && checkText("", value) == nil {
				r.out.WriteString("ENV " + name + "=" + quotePlain(value) + "\n")
			}
		}
	}
	r.steps(first)
	head := fmt.Sprintf("# reconstructed from history of %s ; NOT exact: %d COPY source%s lost, ARG values unknown\n", f.Ref, r.lost, plural(r.lost))
	x := &Extracted{Text: head + r.out.String(), From: "history", Lost: r.lost}
	return x, checkRecovered(x.Text)
}

func plural(n int) string {
	if n == 1 {
		return ""
	}
	return "s"
}

func checkRecovered(text string) error {
	_, err := parseContainerfile("", text, "P071")
	return err
}

// recovery writes instructions for steps of a history.
type recovery struct {
	facts *ImageFacts
	out   strings.Builder
	lost  int
}

// afterBase is the first step that is not the base's.
func (r *recovery) afterBase() int {
	if r.facts.BaseRef == "" {
		return 0
	}
	if n := r.facts.BaseSteps; n > 0 && n <= len(r.facts.History) {
		return n
	}
	layers := 0
	for i, h := range r.facts.History {
		if layers == r.facts.BaseLayers && strings.HasPrefix(h.Comment, "FROM ") {
			return i // buildah's mark
		}
		if layers == r.facts.BaseLayers && !h.Empty {
			return i
		}
		if !h.Empty {
			layers++
		}
	}
	// Only empty steps follow the base's layers: those that the base's own history has not are unknown.
	return len(r.facts.History)
}

// layerOf is the number of the layer that a step has made.
func (r *recovery) layerOf(step int) int {
	n := 0
	for _, h := range r.facts.History[:step] {
		if !h.Empty {
			n++
		}
	}
	return n
}

func (r *recovery) steps(first int) {
	for i := first; i < len(r.facts.History); i++ {
		if end := r.oneLayer(i); end > i {
			r.fromOneLayer(i, end)
			i = end
			continue
		}
		h := r.facts.History[i]
		in, ok := r.recoverStep(h.CreatedBy)
		switch {
		case strings.Contains(in, "dev.partials."):
			r.out.WriteString("# left out: the label of another composition\n")
		case ok && !isCopy(in):
			r.out.WriteString(in + "\n")
		case h.Empty:
			fmt.Fprintf(&r.out, "# lost: %s\n", oneLine(h.CreatedBy))
		default:
			r.fromLayer(i, h)
		}
	}
}

// oneLayer returns the step that made the layer with the files of the COPY at i, if a later step did: buildah without
// --layers makes one layer of all steps. Otherwise it returns i.
func (r *recovery) oneLayer(i int) int {
	if in, _ := r.recoverStep(r.facts.History[i].CreatedBy); !isCopy(in) || !r.facts.History[i].Empty {
		return i
	}
	for end := i; end < len(r.facts.History); end++ {
		if !r.facts.History[end].Empty {
			return end
		}
	}
	return i
}

// fromOneLayer writes the steps from i to end, whose files are in one layer: it is copied, and what is run would
// change it a second time.
func (r *recovery) fromOneLayer(i, end int) {
	copied := false
	for ; i <= end; i++ {
		h := r.facts.History[i]
		in, ok := r.recoverStep(h.CreatedBy)
		switch {
		case isCopy(in) && !copied:
			copied = true
			r.copyLayer(r.layerOf(end), h)
		case isCopy(in), strings.HasPrefix(in, "RUN "), strings.Contains(in, "\nRUN "):
			fmt.Fprintf(&r.out, "# in the same layer: %s\n", oneLine(h.CreatedBy))
		case ok:
			r.out.WriteString(in + "\n")
		default:
			fmt.Fprintf(&r.out, "# lost: %s\n", oneLine(h.CreatedBy))
		}
	}
}

func isCopy(in string) bool { return strings.HasPrefix(in, "COPY ") || strings.HasPrefix(in, "ADD ") }

// fromLayer copies what a step has added from the image itself.
func (r *recovery) fromLayer(step int, h History) { r.copyLayer(r.layerOf(step), h) }

// copyLayer copies what a layer of the image has, in the place of the step h.
func (r *recovery) copyLayer(layer int, h History) {
	r.lost++
	fmt.Fprintf(&r.out, "# lost: %s ; taken from the image itself\n", oneLine(strings.TrimPrefix(strings.TrimSuffix(h.CreatedBy, " # buildkit"), "/bin/sh -c #(nop) ")))
	paths := []string{"/"}
	if r.facts.Paths != nil {
		if p, err := r.facts.Paths(layer); err == nil && len(p) > 0 {
			paths = p
		}
	}
	for _, p := range paths {
		if checkText("", p) != nil {
			fmt.Fprintf(&r.out, "# a path with control characters is left out\n")
			continue
		}
		// A directory's contents go into the directory, a file to its name: the target is named in full.
		words := []string{p, p}
		if quotePlain(p) != p {
			fmt.Fprintf(&r.out, "COPY --from=%s %s\n", r.facts.Ref, jsonWords(words))
		} else {
			fmt.Fprintf(&r.out, "COPY --from=%s %s %s\n", r.facts.Ref, p, p)
		}
	}
}

func oneLine(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' {
			return ' '
		}
		return c
	}, s)
	if len(s) > 200 {
		s = strings.ToValidUTF8(s[:200], "") + "…"
	}
	return strings.TrimSpace(s)
}

var argsPrefix = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\|(\d+) `) })

// recoverStep writes the instruction of one step; ok is false where it cannot be known.
func (r *recovery) recoverStep(by string) (in string, ok bool) {
	by = strings.TrimSpace(by)
	by = strings.TrimSpace(strings.TrimSuffix(by, "# buildkit"))
	by = buildahNotes().ReplaceAllString(by, "")
	if nop, is := strings.CutPrefix(by, "/bin/sh -c #(nop)"); is {
		// Buildah writes the line as it was, others with the values of variables.
		in := strings.TrimSpace(nop)
		_, rest, _ := strings.Cut(in, " ")
		var words []string
		noList := strings.HasPrefix(rest, "[") && json.Unmarshal([]byte(rest), &words) != nil // as Docker's classic builder writes it
		if r.byBuildah() && parses(in) && !isCopy(in) && !noList {
			return in, true
		}
		return recoverInstruction(strings.TrimSpace(nop))
	}
	if rest, is := strings.CutPrefix(by, "RUN "); is {
		return recoverRun(rest)
	}
	if strings.HasPrefix(by, "/bin/sh -c ") || argsPrefix().MatchString(by) {
		return recoverRun(by)
	}
	return recoverInstruction(by)
}

// recoverRun handles "|2 A=1 B=2 /bin/sh -c CMD", "/bin/sh -c CMD" and "CMD".
func recoverRun(s string) (string, bool) {
	var args strings.Builder
	if m := argsPrefix().FindStringSubmatch(s); m != nil {
		s = strings.TrimPrefix(s, m[0])
		shell := strings.Index(s, "/bin/sh -c ")
		if shell < 0 {
			return "", false
		}
		n, _ := strconv.Atoi(m[1])
		list := strings.Fields(s[:shell])
		if len(list) == n { // otherwise a value has blanks, and where it ends is not known
			for _, a := range list {
				name, v, _ := strings.Cut(a, "=")
				if isEnvName(name) {
					args.WriteString("ARG " + name + "=" + quoteArg(v) + "\n")
				}
			}
		}
		s = s[shell:]
	}
	s = strings.TrimSpace(strings.TrimPrefix(s, "/bin/sh -c "))
	switch {
	case s == "":
		return "", false
	case strings.Contains(s, "\n") && strings.Contains(strings.SplitN(s, "\n", 2)[0], "<<"):
		in, ok := recoverHeredoc(s)
		return args.String() + in, ok
	case strings.Contains(s, "\n"):
		end := "PARTIAL_EOF"
		for n := 2; strings.Contains("\n"+s+"\n", "\n"+end+"\n"); n++ {
			end = fmt.Sprintf("PARTIAL_EOF_%d", n)
		}
		return args.String() + "RUN <<\"" + end + "\"\n" + s + "\n" + end, true
	}
	return args.String() + "RUN " + s, parses("RUN " + s)
}

// recoverHeredoc writes a RUN with one heredoc, of which buildah notes the line and the text, but not the end.
func recoverHeredoc(s string) (string, bool) {
	line, content, _ := strings.Cut(s, "\n")
	var name string
	for _, w := range strings.Fields(line) {
		if h, err := bkparser.ParseHeredoc(w); err == nil && h != nil {
			if name != "" {
				return "", false // where one ends and the next begins is not known
			}
			name = h.Name
		}
	}
	if name == "" || slices.Contains(strings.Split(content, "\n"), name) {
		return "", false
	}
	in := "RUN " + line + "\n" + strings.TrimSuffix(content, "\n") + "\n" + name
	return in, parses(in)
}

// byBuildah reports whether buildah, podman or Berth has made the image.
func (r *recovery) byBuildah() bool {
	return r.facts.Labels["io.buildah.version"] != "" || slices.ContainsFunc(r.facts.History, func(h History) bool { return strings.HasPrefix(h.Comment, "FROM ") })
}

// recoverInstruction handles instructions as histories write them.
func recoverInstruction(s string) (string, bool) {
	cmd, rest, _ := strings.Cut(s, " ")
	cmd, rest = strings.ToUpper(cmd), strings.TrimSpace(rest)
	switch cmd {
	case "COPY", "ADD":
		return cmd + " " + rest, true
	case "CMD", "ENTRYPOINT", "SHELL", "VOLUME":
		if list, ok := wordList(rest); ok {
			return cmd + " " + jsonWords(list), true
		}
	case "ENV", "LABEL":
		name, value, ok := strings.Cut(rest, "=")
		if ok && name != "" && !strings.ContainsAny(name, " \t\"'") && checkText("", value) == nil {
			if u, err := strconv.Unquote(value); err == nil {
				value = u
			}
			return cmd + " " + name + "=" + quotePlain(value), true
		}
	case "EXPOSE":
		rest = strings.NewReplacer("map[", "", "]", "", ":{}", "", "[", "").Replace(rest)
	case "ARG":
		name, value, has := strings.Cut(rest, "=")
		if has && isEnvName(name) {
			return "ARG " + name + "=" + quotePlain(value), true
		}
	case "USER", "WORKDIR", "STOPSIGNAL", "ONBUILD", "MAINTAINER":
	default:
		return "", false
	}
	in := cmd + " " + rest
	return in, rest != "" && !strings.Contains(rest, "\n") && parses(in)
}

func parses(in string) bool {
	_, err := parseContainerfile("", "FROM scratch\n"+in+"\n", "P071")
	return err == nil
}

// wordList reads ["a","b"], ["a" "b"] and [a b].
func wordList(s string) ([]string, bool) {
	var list []string
	if json.Unmarshal([]byte(s), &list) == nil {
		return list, len(list) > 0
	}
	if json.Unmarshal([]byte(strings.ReplaceAll(s, `" "`, `", "`)), &list) == nil {
		return list, len(list) > 0
	}
	inner, ok := strings.CutPrefix(s, "[")
	inner, ok2 := strings.CutSuffix(inner, "]")
	if !ok || !ok2 || strings.ContainsAny(inner, `"'`) {
		return nil, false
	}
	list = strings.Fields(inner)
	return list, len(list) > 0 && !slices.Contains(list, "")
}
