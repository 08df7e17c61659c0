// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ImageConfig is the part of an image's configuration that instructions set.
type ImageConfig struct {
	Env        []string
	User       string
	WorkingDir string
	Entrypoint []string
	Cmd        []string
	Exposed    []string
	Volumes    []string
	Labels     map[string]string
	StopSignal string

	// The OCI format has none of these.
	Shell       []string
	OnBuild     []string
	Healthcheck []string // the test: CMD and words, CMD-SHELL and a script, or NONE
}

// anything stands in a value for what the container file alone does not tell, such as a build argument.
const anything = "\x00"

// fits reports whether a value can be what is wanted.
func fits(want, got string) bool {
	if !strings.Contains(want, anything) {
		return want == got
	}
	parts := strings.Split(want, anything)
	first, last := parts[0], parts[len(parts)-1]
	if len(got) < len(first)+len(last) || !strings.HasPrefix(got, first) || !strings.HasSuffix(got, last) {
		return false
	}
	got = got[len(first) : len(got)-len(last)]
	for _, p := range parts[1 : len(parts)-1] {
		i := strings.Index(got, p)
		if i < 0 {
			return false
		}
		got = got[i+len(p):]
	}
	return true
}

// replay applies steps to the configuration of their base. args are the values of ARGs that have not their defaults.
func replay(steps []imageStep, base ImageConfig, args map[string]string) (ImageConfig, error) {
	r := &replayed{c: base, st: newState(nil)}
	r.c.Labels = maps.Clone(base.Labels)
	if r.c.Labels == nil {
		r.c.Labels = map[string]string{}
	}
	r.st.user, r.st.workdir, r.st.shell, r.st.whole = base.User, base.WorkingDir, base.Shell, true
	for _, e := range base.Env {
		name, value, _ := strings.Cut(e, "=")
		r.order, r.st.env[name] = append(r.order, name), value
	}
	if _, has := r.st.env["PATH"]; !has { // builders give it to an image whose base has none
		r.st.env["PATH"] = defaultPath
		r.order = append(r.order, "PATH")
	}
	r.c.OnBuild = nil // a base's triggers are not its children's
	for i, s := range steps {
		if i > 0 && s.stage != steps[i-1].stage {
			r.st.args, r.cmdSet = map[string]string{}, false
		}
		if err := r.apply(s.in, args); err != nil {
			return r.c, err
		}
	}
	return r.result(), nil
}

type replayed struct {
	c      ImageConfig
	st     *state
	order  []string // of variables
	cmdSet bool     // in this stage
}

func (r *replayed) apply(in *instruction, args map[string]string) error {
	c := &r.c
	r.st.apply(in, nil, args)
	expand := func(s string) string { v, _ := r.st.expand(s); return v }
	switch in.cmd {
	case "ENV", "LABEL":
		kv, err := in.keyValues()
		if err != nil {
			return Errorf("P071", "%v", err)
		}
		for _, e := range kv {
			if in.cmd == "LABEL" {
				c.Labels[expand(e[0])] = expand(e[1])
			} else if !slices.Contains(r.order, e[0]) {
				r.order = append(r.order, e[0])
			}
		}
	case "CMD":
		c.Cmd, r.cmdSet = commandOf(in, r.st), true
	case "ENTRYPOINT":
		c.Entrypoint = commandOf(in, r.st)
		if !r.cmdSet {
			c.Cmd = nil
		}
	case "EXPOSE":
		for _, a := range in.args {
			c.Exposed = append(slices.Clone(c.Exposed), strings.Fields(expand(a))...)
		}
	case "VOLUME":
		for _, a := range in.args {
			c.Volumes = append(slices.Clone(c.Volumes), expand(a))
		}
	case "STOPSIGNAL":
		c.StopSignal = expand(in.args[0])
	case "SHELL":
		c.Shell = slices.Clone(in.args)
	case "ONBUILD":
		c.OnBuild = append(slices.Clone(c.OnBuild), squeeze(strings.TrimSpace(in.original)[len("ONBUILD"):]))
	case "HEALTHCHECK":
		c.Healthcheck = healthTest(in)
	}
	return nil
}

func (r *replayed) result() ImageConfig {
	c := r.c
	c.User, c.WorkingDir = r.st.user, r.st.workdir
	c.Env = nil
	for _, name := range r.order {
		c.Env = append(c.Env, name+"="+r.st.env[name])
	}
	return c
}

func commandOf(in *instruction, st *state) []string {
	if in.json {
		return slices.Clone(in.args)
	}
	return append(slices.Clone(st.shellWords()), strings.Join(in.args, " "))
}

func healthTest(in *instruction) []string {
	switch {
	case len(in.args) == 0:
		return nil
	case strings.EqualFold(in.args[0], "NONE"):
		return []string{"NONE"}
	case in.json:
		return append([]string{"CMD"}, in.args[1:]...)
	}
	return []string{"CMD-SHELL", strings.Join(in.args[1:], " ")}
}

// unknownBase is a configuration to replay on where that of the base is not known: what the container file does not set
// is what the image has.
func unknownBase(image ImageConfig) ImageConfig {
	c := image
	c.Env = nil
	for _, e := range image.Env {
		name, _, _ := strings.Cut(e, "=")
		c.Env = append(c.Env, name+"="+anything)
	}
	c.WorkingDir = anything
	return c
}

// configChange is what differs of a configuration, in words.
type configChange struct{ what, want, got string }

func (d configChange) String() string {
	return fmt.Sprintf("%s is %s, the container file makes it %s", d.what, orNone(d.got), orNone(d.want))
}

func orNone(s string) string {
	s = strings.ReplaceAll(s, `\x00`, "…")
	if s == "" {
		return "none"
	}
	return oneLine(s)
}

// differences are those between what replay has and what an image has. With exact set a label that only the image has counts
// too, but for those that builders add.
func (c ImageConfig) differences(image ImageConfig, exact bool) []configChange {
	var out []configChange
	add := func(what, want, got string) { out = append(out, configChange{what, want, got}) }
	one := func(what, want, got string) {
		if !fits(want, got) {
			add(what, want, got)
		}
	}
	list := func(what string, want, got []string) {
		open := slices.ContainsFunc(want, func(s string) bool { return strings.Contains(s, anything) }) // it may have several words
		if !slices.EqualFunc(want, got, fits) && !open {
			add(what, jsonOrNone(want), jsonOrNone(got))
		}
	}
	want, got := variables(c.Env), variables(image.Env)
	maps.DeleteFunc(want, func(k, v string) bool { g, ok := got[k]; return ok && fits(v, g) })
	for _, k := range sortedKeys(want) {
		add("environment variable "+k, strconv.Quote(want[k]), quotedOrNone(got, k))
	}
	all := variables(c.Env)
	for _, k := range sortedKeys(got) {
		if _, ok := all[k]; !ok {
			add("environment variable "+k, "", strconv.Quote(got[k]))
		}
	}
	one("user", c.User, image.User)
	one("working directory", cleanDir(c.WorkingDir), cleanDir(image.WorkingDir))
	list("command", c.Cmd, image.Cmd)
	list("entrypoint", c.Entrypoint, image.Entrypoint)
	list("list of ports", ports(c.Exposed), ports(image.Exposed))
	list("list of volumes", sortedSet(c.Volumes), sortedSet(image.Volumes))
	one("stop signal", c.StopSignal, image.StopSignal)
	for _, k := range sortedKeys(c.Labels) {
		if g, ok := image.Labels[k]; !ok || !fits(c.Labels[k], g) {
			add("label "+k, strconv.Quote(c.Labels[k]), quotedOrNone(image.Labels, k))
		}
	}
	if !exact {
		return out
	}
	for _, k := range sortedKeys(image.Labels) {
		if _, ok := c.Labels[k]; !ok && k != "io.buildah.version" {
			add("label "+k, "", strconv.Quote(image.Labels[k]))
		}
	}
	// What the OCI format has dropped is no difference.
	if len(image.Healthcheck) > 0 {
		list("health check", c.Healthcheck, image.Healthcheck)
	}
	if len(image.OnBuild) > 0 {
		list("list of triggers", c.OnBuild, image.OnBuild)
	}
	if len(image.Shell) > 0 && !(len(c.Shell) == 0 && slices.Equal(image.Shell, defaultShell)) {
		list("shell", c.Shell, image.Shell)
	}
	return out
}

func jsonOrNone(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return jsonWords(list)
}

func quotedOrNone(m map[string]string, key string) string {
	v, ok := m[key]
	if !ok {
		return ""
	}
	return strconv.Quote(v)
}

func variables(env []string) map[string]string {
	m := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		m[name] = value
	}
	return m
}

func cleanDir(dir string) string {
	if dir = strings.TrimRight(dir, "/"); dir == "" {
		return "/"
	}
	return dir
}

func sortedSet(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// maxRange bounds the ports of one range: all that there are.
const maxRange = 65536

// ports are those of EXPOSE, each by itself and with its protocol.
func ports(exposed []string) []string {
	var out []string
	for _, e := range exposed {
		port, proto, ok := strings.Cut(e, "/")
		if !ok {
			proto = "tcp"
		}
		proto = strings.ToLower(proto)
		first, last, isRange := strings.Cut(port, "-")
		from, err := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if !isRange || err != nil || err2 != nil || to < from || to-from > maxRange {
			out = append(out, port+"/"+proto)
			continue
		}
		for n := from; n <= to; n++ {
			out = append(out, strconv.Itoa(n)+"/"+proto)
		}
	}
	return sortedSet(out)
}
