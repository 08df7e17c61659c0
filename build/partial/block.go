// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// renderBlock writes a part into a stage: packages, body, env, between two markers.
func (m *maker) renderBlock(ctx context.Context, c *stageCtx, b *block) error {
	merged := m.src.d.opts.MergePackages && c.src != nil
	if merged && len(b.packages) > 0 && !c.merged {
		c.merged = true
		m.renderMerged(c)
	}
	var body []item
	stage := b.part.variant(b.role, osOf(c.base))
	if stage == nil {
		stage = b.part.variant("install", osOf(c.base))
	}
	packages := len(b.packages) > 0 && !merged
	before := c.st.clone()
	if packages || stage != nil && needsRoot(stage) {
		body = append(body, m.enter(c)...)
	}
	if packages {
		body = append(body, item{text: packageRun(b.manager, b.packages), cmd: "RUN"})
	}
	if stage != nil {
		lines, err := m.body(ctx, c, b, stage)
		if err != nil {
			return err
		}
		body = append(body, lines...)
	}
	env, err := m.envItems(c, b)
	if err != nil {
		return err
	}
	body = append(body, env...)
	body = append(body, leave(c, before)...)
	if len(body) == 0 {
		return nil
	}
	c.out = append(c.out, comment("# >>> %s %s %s (%s)", b.name(), b.part.Meta.Version, b.part.Digest, b.why()))
	c.out = append(c.out, body...)
	c.out = append(c.out, comment("# <<< %s", b.name()))
	return nil
}

// renderMerged writes the one RUN for the packages of all parts of a stage.
func (m *maker) renderMerged(c *stageCtx) {
	var all []string
	manager := ""
	for _, b := range c.order {
		if len(b.packages) > 0 {
			all, manager = append(all, b.packages...), b.manager
		}
	}
	slices.Sort(all)
	before := c.st.clone()
	c.out = append(c.out, comment("# >>> packages (merged)"))
	c.out = append(c.out, m.enter(c)...)
	c.out = append(c.out, item{text: packageRun(manager, slices.Compact(all)), cmd: "RUN"})
	c.out = append(c.out, leave(c, before)...)
	c.out = append(c.out, comment("# <<< packages"))
}

// needsRoot reports whether a body has an instruction that user or shell matter to.
func needsRoot(s *partStage) bool {
	return slices.ContainsFunc(s.body, func(in *instruction) bool { return in.cmd == "RUN" || in.cmd == "WORKDIR" })
}

// enter makes the stage root with /bin/sh -c.
func (m *maker) enter(c *stageCtx) []item {
	var out []item
	if !c.st.root() {
		out = append(out, item{text: "USER root", cmd: "USER"})
		c.st.user = "root"
	}
	if !slices.Equal(c.st.shellWords(), defaultShell) {
		out = append(out, item{text: "SHELL " + jsonWords(defaultShell), cmd: "SHELL"})
		c.st.shell = defaultShell
	}
	return out
}

// leave gives the stage back what it had.
func leave(c *stageCtx, before *state) []item {
	var out []item
	if !slices.Equal(c.st.shellWords(), before.shellWords()) {
		out = append(out, item{text: "SHELL " + jsonWords(before.shellWords()), cmd: "SHELL"})
	}
	if c.st.dir() != before.dir() {
		out = append(out, item{text: "WORKDIR " + quoteUnlessVariable(before.dir()), cmd: "WORKDIR"})
	}
	if c.st.user != before.user && !(c.st.root() && before.root()) {
		user := before.user
		if user == "" {
			user = "root"
		}
		out = append(out, item{text: "USER " + quoteUnlessVariable(user), cmd: "USER"})
	}
	c.st.user, c.st.workdir, c.st.shell = before.user, before.workdir, before.shell
	return out
}

// quoteUnlessVariable leaves a word with an unknown variable to the builder, and quotes others where they must be.
func quoteUnlessVariable(s string) string {
	if strings.Contains(s, "$") && !strings.ContainsAny(s, " \t") {
		return s
	}
	return quotePlain(s)
}

// body renders the instructions of a part's stage for its place in c.
func (m *maker) body(ctx context.Context, c *stageCtx, b *block, s *partStage) ([]item, error) {
	var out []item
	cf := b.part.cf
	next := 0
	end := s.from.end
	if n := len(s.body); n > 0 {
		end = s.body[n-1].end
	}
	for n := s.from.end + 1; n <= end; n++ {
		if next == len(s.body) || n < s.body[next].start {
			out = append(out, item{text: plainComment(cf.lines[n-1])})
			continue
		}
		in := s.body[next]
		next++
		it, err := m.bodyItem(ctx, c, b, in)
		if err != nil {
			return nil, err
		}
		out = append(out, it)
		c.st.apply(in, nil, b.args())
		n = in.end
	}
	return out, nil
}

// args are the block's parameters by the names of their ARGs.
func (b *block) args() map[string]string {
	args := map[string]string{}
	for name, v := range b.values {
		args[argName(b.name(), name)] = v
	}
	return args
}

func (m *maker) bodyItem(ctx context.Context, c *stageCtx, b *block, in *instruction) (item, error) {
	text := b.part.cf.text(in)
	switch in.cmd {
	case "ARG":
		name, _, _ := strings.Cut(in.args[0], "=")
		v, ok := b.args()[name]
		if !ok {
			break
		}
		if _, clash := c.st.env[name]; clash {
			return item{}, Errorf("P011", "base image sets ENV %s, which would override the parameter of %s; choose another base or remove that ENV", name, b.name())
		}
		return item{text: "ARG " + name + "=" + quoteArg(v), cmd: "ARG", arg: name, value: v}, nil
	case "COPY", "ADD", "RUN":
		if m.opts.NoLink && slices.Contains(in.flags, "--link") {
			text = strings.Replace(text, "--link ", "", 1)
		}
		text, err := replaceFrom(in, text, func(from string) (string, error) {
			if b.part.stage(from) != nil {
				return m.helper(ctx, c, b, from)
			}
			return m.pin(ctx, from)
		})
		return item{text: text, cmd: in.cmd}, err
	}
	return item{text: text, cmd: in.cmd}, nil
}

// envItems writes the part's env as one ENV, sorted by name.
func (m *maker) envItems(c *stageCtx, b *block) ([]item, error) {
	var words []string
	for _, name := range sortedKeys(b.part.Meta.Env) {
		word, value, err := m.envWord(c, b, name)
		if err != nil {
			return nil, err
		}
		if word != "" {
			words = append(words, name+"="+word)
			c.st.env[name] = value
		}
	}
	if len(words) == 0 {
		return nil, nil
	}
	return []item{{text: "ENV " + strings.Join(words, " "), cmd: "ENV"}}, nil
}

// envWord returns what to write after NAME=, or "" for nothing, and the value that it gives.
func (m *maker) envWord(c *stageCtx, b *block, name string) (word, value string, err error) {
	rule := b.part.Meta.Env[name]
	old, has := c.st.env[name]
	switch {
	case rule.Set != nil:
		value, err := b.part.Meta.expand(string(*rule.Set), b.values)
		if err != nil {
			return "", "", Errorf("P003", "%s: env: %v", b.name(), err)
		}
		forced, override := m.src.d.override("env." + name)
		if override {
			m.note("%s is overridden: the parts' own values do not count (env.%s=%s)", name, name, forced)
			if forced == "host" {
				return "", "", nil
			}
			value = forced
		}
		was, set := c.setBy[name]
		if set && was.value == value {
			return "", "", nil
		}
		if set {
			return "", "", Errorf("P040", "%s is set to %q by %s and %q by %s; add \"#: override env.%s=…\"", name, was.value, was.part, value, b.name(), name)
		}
		c.setBy[name] = setVar{b.name(), value}
		return quotePlain(value), value, nil
	case rule.Default != nil:
		if has {
			return "", "", nil
		}
		value, err := b.part.Meta.expand(string(*rule.Default), b.values)
		if err != nil {
			return "", "", Errorf("P003", "%s: env: %v", b.name(), err)
		}
		return quotePlain(value), value, nil
	}
	if !has && name == "PATH" {
		old = defaultPath
	}
	return m.listWord(b, rule, name, old, has)
}

// listWord prepends and appends the entries that the list has not yet.
func (m *maker) listWord(b *block, rule *EnvRule, name, old string, has bool) (word, value string, err error) {
	var present []string
	if old != "" {
		present = strings.Split(old, ":")
	}
	fresh := func(entries []string) ([]string, error) {
		var out []string
		for _, e := range entries {
			v, err := b.part.Meta.expand(e, b.values)
			if err != nil || strings.Contains(v, ":") {
				return nil, Errorf("P009", "%s: %s entry %q is not one entry", b.name(), name, v)
			}
			if !slices.Contains(present, v) {
				present = append(present, v)
				out = append(out, v)
			}
		}
		return out, nil
	}
	before, err := fresh(rule.Prepend)
	if err != nil {
		return "", "", err
	}
	after, err := fresh(rule.Append)
	if err != nil || len(before)+len(after) == 0 {
		return "", "", err
	}
	middle := []string{}
	if old != "" {
		middle = append(middle, old)
	}
	value = strings.Join(slices.Concat(before, middle, after), ":")
	if !has {
		return quotePlain(value), value, nil
	}
	written := slices.Concat(before, []string{"\x00"}, after)
	word = strings.Replace(quotePlainList(written), "\x00", "$"+name, 1)
	return word, value, nil
}

func quotePlainList(entries []string) string {
	joined := strings.Join(entries, ":")
	if quotePlain(strings.ReplaceAll(joined, "\x00", "x")) == strings.ReplaceAll(joined, "\x00", "x") {
		return joined
	}
	return quoteArg(joined)
}

// renderFinish writes the clean-up hooks of the stage's parts.
func (m *maker) renderFinish(ctx context.Context, c *stageCtx) error {
	for _, b := range c.order {
		s := b.part.variant("finish", osOf(c.base))
		if s == nil || b.role == "dev" && c.have[b.name()+" install"] != nil {
			continue
		}
		before := c.st.clone()
		var body []item
		if needsRoot(s) {
			body = m.enter(c)
		}
		lines, err := m.body(ctx, c, b, s)
		if err != nil {
			return err
		}
		body = append(append(body, lines...), leave(c, before)...)
		c.out = append(c.out, comment("# >>> %s %s %s (finish)", b.name(), b.part.Meta.Version, b.part.Digest))
		c.out = append(c.out, body...)
		c.out = append(c.out, comment("# <<< %s", b.name()))
	}
	return nil
}

// proposal is a value that a part proposes for the image's configuration.
type proposal struct{ part, text string }

// renderRuntime writes what parts propose and the source does not set.
func (m *maker) renderRuntime(c *stageCtx, wrote map[string]bool) error {
	order := []string{"ENTRYPOINT", "CMD", "EXPOSE", "VOLUME", "STOPSIGNAL", "HEALTHCHECK", "USER"}
	found := map[string][]proposal{}
	for _, b := range c.order {
		if b.part.Meta.Runtime == nil || b.role == "dev" {
			continue
		}
		texts, err := b.runtime()
		if err != nil {
			return err
		}
		for _, cmd := range order {
			if t := texts[cmd]; t != "" && !wrote[cmd] {
				found[cmd] = append(found[cmd], proposal{b.name(), t})
			}
		}
	}
	var out []item
	for _, cmd := range order {
		list := found[cmd]
		if len(list) == 0 {
			continue
		}
		text := list[0].text
		for _, p := range list[1:] {
			switch {
			case cmd == "EXPOSE" || cmd == "VOLUME":
				text += " " + p.text
			case p.text != text:
				what := map[string]string{"CMD": "a command", "ENTRYPOINT": "an entrypoint", "USER": "a user", "STOPSIGNAL": "a stop signal", "HEALTHCHECK": "a health check"}[cmd]
				return Errorf("P041", "%s and %s both propose %s; set %s in the source", list[0].part, p.part, what, cmd)
			}
		}
		if cmd == "EXPOSE" || cmd == "VOLUME" {
			words := strings.Fields(text)
			slices.Sort(words)
			text = strings.Join(slices.Compact(words), " ")
		}
		if cmd == "HEALTHCHECK" {
			m.note("%s proposes a HEALTHCHECK; an image of the OCI format drops it, one of the Docker format (--format docker) has it", list[0].part)
		}
		out = append(out, item{text: cmd + " " + text, cmd: cmd})
	}
	if len(out) > 0 {
		c.out = append(c.out, comment("# >>> runtime"))
		c.out = append(c.out, out...)
		c.out = append(c.out, comment("# <<< runtime"))
	}
	return nil
}

// runtime returns the block's proposals by instruction.
func (b *block) runtime() (map[string]string, error) {
	r := b.part.Meta.Runtime
	var firstErr error
	x := func(s string) string {
		v, err := b.part.Meta.expand(s, b.values)
		if err != nil && firstErr == nil {
			firstErr = Errorf("P003", "%s: runtime: %v", b.name(), err)
		}
		return v
	}
	all := func(list []string) []string {
		var out []string
		for _, s := range list {
			out = append(out, x(s))
		}
		return out
	}
	words := func(list []string) string {
		for _, w := range list {
			if (quotePlain(w) != w || strings.HasPrefix(w, "-")) && firstErr == nil { // builders read a dash as a flag
				firstErr = Errorf("P009", "%s: runtime: %q is not one plain word", b.name(), w)
			}
		}
		return strings.Join(list, " ")
	}
	out := map[string]string{}
	if len(r.Cmd) > 0 {
		out["CMD"] = jsonWords(all(r.Cmd))
	}
	if len(r.Entrypoint) > 0 {
		out["ENTRYPOINT"] = jsonWords(all(r.Entrypoint))
	}
	for _, e := range r.Expose {
		out["EXPOSE"] = strings.TrimSpace(out["EXPOSE"] + " " + words([]string{x(string(e))}))
	}
	if len(r.Volume) > 0 {
		out["VOLUME"] = words(all(r.Volume))
	}
	if r.StopSignal != "" {
		out["STOPSIGNAL"] = words([]string{x(string(r.StopSignal))})
	}
	if r.User != "" {
		out["USER"] = words([]string{x(string(r.User))})
	}
	if h := r.Healthcheck; h != nil {
		var flags strings.Builder
		for _, f := range [][2]string{{"interval", h.Interval}, {"timeout", h.Timeout}} {
			if f[1] != "" {
				d := x(f[1])
				if _, err := time.ParseDuration(d); err != nil && firstErr == nil {
					firstErr = Errorf("P009", "%s: runtime: healthcheck: %s %q is not a time such as 30s", b.name(), f[0], d)
				}
				fmt.Fprintf(&flags, "--%s=%s ", f[0], words([]string{d}))
			}
		}
		if h.Retries > 0 {
			fmt.Fprintf(&flags, "--retries=%d ", h.Retries)
		}
		out["HEALTHCHECK"] = flags.String() + "CMD " + jsonWords(all(h.Cmd))
	}
	return out, firstErr
}
