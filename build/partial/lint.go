// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// forbidden are the instructions that no stage of a part has, with what to do instead.
var forbidden = map[string]string{
	"CMD": `propose it under "runtime"`, "ENTRYPOINT": `propose it under "runtime"`, "EXPOSE": `propose it under "runtime"`,
	"VOLUME": `propose it under "runtime"`, "HEALTHCHECK": `propose it under "runtime"`, "STOPSIGNAL": `propose it under "runtime"`,
	"ONBUILD": "write the instruction itself", "MAINTAINER": `it is "source" in the metadata`,
}

// platformArgs are the arguments that builders set by themselves.
var platformArgs = []string{"TARGETPLATFORM", "TARGETOS", "TARGETARCH", "TARGETVARIANT", "BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT"}

// lint checks the body against the rules of the format. p is parsed.
func (p *Part) lint() []*Error {
	errs := p.lintFiles()
	add := func(line int, code, format string, args ...any) {
		errs = append(errs, &Error{Code: code, Line: line, Msg: fmt.Sprintf(format, args...)})
	}
	for i, l := range p.cf.lines {
		switch {
		case strings.HasPrefix(l, "#:"):
			add(i+1, "P005", `%q is not allowed in a part; what it needs stands under "requires"`, firstWords(l))
		case i == 0 && escapeDirective().MatchString(l):
			add(i+1, "P005", "an escape directive is not allowed in a part; write it with backslashes")
		}
	}
	p.lintGlobals(add)
	p.lintStages(add)
	for _, s := range p.stages {
		if s.name == "files" {
			continue
		}
		for i, in := range s.body {
			errs = append(errs, p.lintInstruction(s, i, in)...)
		}
	}
	return errs
}

var escapeDirective = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(?i)^#\s*escape\s*=`) })

// Warnings are what lint notes of a part that can be composed: parameters that nothing uses.
func (p *Part) Warnings() []string {
	var out []string
	lines := p.cf.lines
	comment := p.cf.comments()
	var body strings.Builder
	for i, l := range lines {
		if !comment[i] && !strings.HasPrefix(strings.TrimSpace(strings.ToUpper(l)), "ARG ") {
			body.WriteString(l + "\n")
		}
	}
	for _, f := range p.Files {
		body.WriteString(f.Data)
	}
	yaml, offset, _ := findMeta(lines)
	for _, name := range sortedKeys(p.Meta.Params) {
		if strings.Contains(yaml, "${"+name+"}") || strings.Contains(body.String(), argName(p.Meta.Name, name)) {
			continue
		}
		line := 0
		for i, l := range splitLines(yaml) {
			if strings.Contains(l, name+":") {
				line = i + 1 + offset
				break
			}
		}
		where := p.file
		if line > 0 {
			where += ":" + strconv.Itoa(line)
		}
		out = append(out, fmt.Sprintf("%s: the parameter %q is not used: its variable is %s", where, name, argName(p.Meta.Name, name)))
	}
	return out
}

type addError func(line int, code, format string, args ...any)

// lintGlobals checks the ARGs above the first FROM.
func (p *Part) lintGlobals(add addError) {
	for i := range p.cf.instrs {
		in := &p.cf.instrs[i]
		if in.cmd == "FROM" {
			return
		}
		if in.cmd != "ARG" {
			add(in.start, "P005", "%s stands above the first FROM", in.cmd)
			continue
		}
		kv, _ := in.keyValues()
		for _, a := range kv {
			if a[0] != "BASE" && p.paramOf(a[0]) == "" && !slices.Contains(platformArgs, a[0]) {
				add(in.start, "P005", "ARG %s is not a parameter of the part, nor BASE%s", a[0], didYouMean(a[0], append(p.argNames(), "BASE")))
			}
		}
	}
}

// paramOf returns the parameter whose ARG has this name, or "".
func (p *Part) paramOf(arg string) string {
	for name := range p.Meta.Params {
		if argName(p.Meta.Name, name) == arg {
			return name
		}
	}
	return ""
}

// lintStages checks names, bases and the layout of the stages.
func (p *Part) lintStages(add addError) {
	seen := map[string]bool{}
	roles := 0
	for _, s := range p.stages {
		line := s.from.start
		switch {
		case s.name == "":
			add(line, "P005", "a stage of a part needs a name: FROM … AS NAME")
			continue
		case seen[s.name]:
			add(line, "P005", "two stages are named %s", s.name)
		case s.name == "base":
			if s.image != "${BASE}" && s.image != "$BASE" {
				add(line, "P005", "the stage base begins with FROM ${BASE}")
			}
			if len(s.body) > 0 {
				add(s.body[0].start, "P005", "the stage base stands for the consumer's image and must stay empty")
			}
		case s.name == "files":
			if s.image != "scratch" || len(s.body) != 1 || p.cf.text(s.body[0]) != "COPY files/ /" {
				add(line, "P005", "the stage files is FROM scratch with the one line COPY files/ /")
			}
		case isRole(s.name):
			roles++
			if s.image != "base" {
				add(line, "P005", "the stage %s begins with FROM base", s.name)
			}
			if p.Meta.Layer == "detached" {
				p.lintDetached(s, add)
			}
		default:
			p.lintHelper(s, seen, add)
		}
		if s.platform != "" && s.platform != "$BUILDPLATFORM" && s.platform != "${BUILDPLATFORM}" {
			add(line, "P005", "--platform=%s is not allowed in a part, but for $BUILDPLATFORM", s.platform)
		}
		seen[s.name] = true
	}
	if len(p.Files) > 0 && p.stage("files") == nil {
		add(1, "P005", "there are files in files/, but no stage: FROM scratch AS files, COPY files/ /")
	}
	if len(p.Files) == 0 && p.stage("files") != nil {
		add(p.stage("files").from.start, "P005", "there is a stage files, but nothing in files/")
	}
	if p.stage("base") == nil {
		add(1, "P005", "the stage base is missing: ARG BASE=IMAGE, FROM ${BASE} AS base")
	}
	if roles == 0 && len(p.Meta.Packages)+len(p.Meta.Env) == 0 && p.Meta.Runtime == nil && len(p.Meta.Requires) == 0 {
		add(1, "P005", "the part does nothing: it has no stage install, dev or finish, no packages, env or runtime, and requires no part")
	}
}

func (p *Part) lintDetached(s *partStage, add addError) {
	for _, in := range s.body {
		if in.cmd != "COPY" || !slices.Contains(in.flags, "--link") || flagValue(in, "from") == "" {
			add(in.start, "P005", "%s is not allowed with layer: detached; install holds only COPY --link --from=STAGE", in.cmd)
		} else if p.stage(flagValue(in, "from")) == nil {
			add(in.start, "P005", "with layer: detached, COPY takes from the part's own stages; %s is none", flagValue(in, "from"))
		}
	}
	if len(p.Meta.Packages) > 0 {
		add(1, "P005", "packages need a RUN, which layer: detached does not allow")
	}
}

func (p *Part) lintHelper(s *partStage, seen map[string]bool, add addError) {
	if strings.Contains(s.name, ".") {
		add(s.from.start, "P005", "only install, dev and finish have variants; name the helper stage without a dot")
	}
	if s.image == "scratch" || seen[s.image] && !isRole(s.image) {
		return
	}
	if isRole(s.image) {
		add(s.from.start, "P005", "a helper stage cannot begin with the stage %s", s.image)
		return
	}
	if _, err := p.image(s.image, nil); err != nil {
		add(s.from.start, "P005", "%v", err)
	}
}

var argRef = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Za-z_][A-Za-z0-9_]*)`)
})

// image replaces the parameters in the name of an image; the result must be a full reference.
func (p *Part) image(ref string, values map[string]string) (string, error) {
	var err error
	out := argRef().ReplaceAllStringFunc(ref, func(v string) string {
		name := p.paramOf(strings.Trim(v, "${}"))
		switch {
		case name == "":
			err = fmt.Errorf("%s in the image %s is not a parameter of the part%s", v, ref, didYouMean(strings.Trim(v, "${}"), p.argNames()))
		case values == nil:
			if d := p.Meta.Params[name].Default; d != nil {
				return string(*d)
			}
			return "x"
		}
		return values[name]
	})
	if err == nil && !isImage(out) {
		err = fmt.Errorf("%q is not a full image reference: HOST/NAME:TAG", out)
	}
	if host, _, ok := strings.Cut(out, "/"); err == nil && (!ok || !strings.ContainsAny(host, ".:") && host != "localhost") {
		err = fmt.Errorf("the image %q has no registry in its name", out)
	}
	return out, err
}

var imageRE = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$`)
})

func isImage(s string) bool { return imageRE().MatchString(s) }

// flagValue returns the value of --name=VALUE, or "".
func flagValue(in *instruction, name string) string {
	for _, f := range in.flags {
		if v, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return v
		}
	}
	return ""
}

// lintInstruction checks the i-th instruction of a body.
func (p *Part) lintInstruction(s *partStage, i int, in *instruction) []*Error {
	var errs []*Error
	add := func(code, format string, args ...any) {
		errs = append(errs, &Error{Code: code, Line: in.start, Msg: fmt.Sprintf(format, args...)})
	}
	if instead, ok := forbidden[in.cmd]; ok {
		add("P005", "%s is not allowed in a part; %s", in.cmd, instead)
		return errs
	}
	if in.cmd != "RUN" && in.cmd != "ARG" && len(in.heredocs) == 0 {
		var read []string
		for _, m := range argRef().FindAllStringSubmatch(in.original, -1) {
			read = append(read, m[1]+m[2])
		}
		errs = append(errs, p.misspelt(in.start, read, slices.Concat(declaredArgs(s, i), stageEnv(s, i)))...)
	}
	switch in.cmd {
	case "RUN":
		p.lintRunFlags(in, add)
		errs = append(errs, p.lintShell(s, i, in)...)
	case "COPY", "ADD":
		p.lintCopy(in, add)
	case "ARG":
		kv, _ := in.keyValues()
		if len(kv) != 1 {
			add("P005", "write one ARG a line")
		}
		for _, a := range kv {
			if p.paramOf(a[0]) == "" && !slices.Contains(platformArgs, a[0]) {
				add("P005", "ARG %s is not a parameter of the part (%s) nor one of TARGET*%s", a[0], strings.Join(p.argNames(), ", "), didYouMean(a[0], append(p.argNames(), platformArgs...)))
			}
		}
	case "ENV":
		if isRole(s.name) {
			add("P005", `ENV is not allowed in a part; state it under "env"`)
		}
	case "LABEL":
		kv, err := in.keyValues()
		if err != nil {
			add("P005", "%v", err)
		}
		own := strings.ReplaceAll(p.Meta.Name, "/", ".")
		for _, l := range kv {
			if l[0] != own && !strings.HasPrefix(l[0], own+".") {
				add("P005", "LABEL %s is not under the part's own name; begin it with %s.", l[0], own)
			}
		}
	case "USER", "WORKDIR", "SHELL":
	default:
		add("P005", "%s is not an instruction that parts may have", in.cmd)
	}
	return errs
}

func (p *Part) argNames() []string {
	var names []string
	for _, n := range sortedKeys(p.Meta.Params) {
		names = append(names, argName(p.Meta.Name, n))
	}
	return names
}

// checkFrom checks what a --from or from= names.
func (p *Part) checkFrom(from string, add func(code, format string, args ...any)) {
	s := p.stage(from)
	switch {
	case s != nil && (isRole(from) || from == "base"):
		add("P006", "%s reads the stage %s; only helper stages, files and images can be read", "from="+from, from)
	case s != nil:
	case strings.Contains(from, "$"):
		add("P006", "from=%s: name a stage or an image without variables; a helper stage may have them in its FROM", from)
	case isDigits(from):
		add("P006", "from=%s: name the stage", from)
	default:
		if _, err := p.image(from, nil); err != nil {
			add("P006", "from=%s is no stage of the part, and %v", from, err)
		}
	}
}

func (p *Part) lintCopy(in *instruction, add func(code, format string, args ...any)) {
	if from := flagValue(in, "from"); from != "" {
		p.checkFrom(from, add)
		return
	}
	if len(in.args) == 0 {
		return
	}
	docs := map[string]bool{}
	for _, h := range in.heredocs {
		docs[h.Name] = true
	}
	for _, src := range in.args[:len(in.args)-1] {
		switch {
		case strings.HasPrefix(src, "<<"):
		case in.cmd == "ADD" && (strings.Contains(src, "://") || strings.HasPrefix(src, "git@")):
			if flagValue(in, "checksum") == "" {
				add("P005", "ADD of a URL is not allowed in a part without --checksum")
			}
		default:
			add("P006", "%s %s reads the consumer's build context; copy from files, an own stage or an image", in.cmd, src)
		}
	}
}

func (p *Part) lintRunFlags(in *instruction, add func(code, format string, args ...any)) {
	for _, f := range in.flags {
		name, value, _ := strings.Cut(strings.TrimPrefix(f, "--"), "=")
		switch name {
		case "network":
			if value == "host" {
				add("P005", "--network=host is not allowed in a part")
			}
		case "mount":
			p.lintMount(value, add)
		default:
			add("P005", "--%s is not allowed in a part", name)
		}
	}
}

// cacheID keeps ids from leading elsewhere, should a builder take them for paths.
var cacheID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_@+-][A-Za-z0-9._:@+-]*(/[A-Za-z0-9_@+-][A-Za-z0-9._:@+-]*)*$`)
})

// mountFields reads the value of --mount.
func mountFields(value string) (map[string]string, error) {
	rec, err := csv.NewReader(strings.NewReader(value)).Read()
	if err != nil {
		return nil, fmt.Errorf("--mount=%s: %w", value, err)
	}
	fields, given := map[string]string{"type": "bind"}, map[string]bool{}
	for _, f := range rec {
		k, v, _ := strings.Cut(f, "=")
		k = strings.ToLower(k)
		if given[k] {
			return nil, fmt.Errorf("--mount=%s: %s is there twice", value, k)
		}
		given[k], fields[k] = true, v
	}
	return fields, nil
}

func (p *Part) lintMount(value string, add func(code, format string, args ...any)) {
	f, err := mountFields(value)
	if err != nil {
		add("P005", "%v", err)
		return
	}
	from := f["from"]
	switch f["type"] {
	case "bind":
		if from == "" {
			add("P006", "bind mount of %q reads the consumer's build context; give from= a stage or an image", f["source"]+f["src"])
		} else {
			p.checkFrom(from, add)
		}
	case "cache":
		if id := f["id"]; id != "" && !cacheID().MatchString(id) {
			add("P006", "cache id %q is not one of letters, digits and ._:@+- with slashes between", id)
		}
		if from != "" {
			p.checkFrom(from, add)
		}
	case "tmpfs":
	case "secret", "ssh":
		id := f["id"]
		if id == "" && f["type"] == "ssh" {
			id = "default"
		}
		if !slices.Contains(p.Meta.Needs, f["type"]+":"+id) {
			add("P005", `%s mount %q is not listed under "needs"`, f["type"], id)
		}
	default:
		add("P005", "--mount=type=%s is not allowed in a part", f["type"])
	}
}
