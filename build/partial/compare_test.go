// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// everySource has each instruction that leaves a trace in an image, and a part with parameters.
const everySource = `ARG TOP=1
FROM docker.io/library/debian:12-slim AS mid
ARG MODE=fast
ENV A=1 B="x y"
RUN echo first \
  && echo second
FROM mid
#: use std/app-user name=web uid=77
ENV LIST=/x:$PATH MODE=$A
RUN ["echo", "a \"b\""]
RUN <<EOT
echo from a heredoc
EOT
RUN --mount=type=bind,target=/c echo mounted
SHELL ["/bin/sh", "-ec"]
RUN echo other shell
COPY a b dir/
COPY --chown=web --chmod=0644 c /c
ADD d.tar /d
WORKDIR /srv
WORKDIR rel
LABEL one=1 two="2 3"
EXPOSE 80 90-91/udp
VOLUME ["/v1", "/v2"]
STOPSIGNAL SIGINT
HEALTHCHECK --interval=5s CMD echo well
USER web
ENTRYPOINT ["run", "it"]
CMD echo $A
`

// writers make of an instruction what a builder writes into a history.
var writers = map[string]func(s imageStep, m *matcher, i int) string{
	"buildah": func(s imageStep, m *matcher, i int) string {
		in := s.in
		switch in.cmd {
		case "RUN":
			line := "/bin/sh -c " + in.original[4:]
			for _, h := range in.heredocs {
				line += "\n" + strings.TrimSpace(h.Content)
			}
			if len(in.flags) > 0 {
				line += ":" + strings.Repeat("ab", 32)
			}
			return argsIn(m.state[i]) + line + "|force-mtime=0"
		case "COPY", "ADD":
			return "/bin/sh -c #(nop) " + in.cmd + " multi:" + strings.Repeat("0", 64) + " in " + in.args[len(in.args)-1] + "    |force-mtime=0 "
		case "ARG":
			return "/bin/sh -c #(nop) ARG " + strings.Split(in.args[0], "=")[0]
		}
		return "/bin/sh -c #(nop) " + in.original
	},
	"BuildKit": func(s imageStep, m *matcher, i int) string {
		in, st := s.in, m.state[i]
		words := strings.Join(in.args, " ")
		switch in.cmd {
		case "RUN":
			if isOnlyHeredoc(words) {
				words = in.heredocs[0].Content
			}
			if !in.json {
				words = strings.Join(st.shellWords(), " ") + " " + words
			}
			return "RUN " + argsIn(st) + words + " # buildkit"
		case "COPY", "ADD":
			return in.cmd + " " + strings.Join(in.flags, " ") + " " + words + " # buildkit"
		case "WORKDIR":
			after := st.clone()
			after.apply(in, nil, nil)
			return "WORKDIR " + after.workdir
		case "CMD", "ENTRYPOINT":
			return fmt.Sprintf("%s %q", in.cmd, commandOf(in, st))
		case "EXPOSE":
			return "EXPOSE [80/tcp 90/udp 91/udp]"
		case "VOLUME", "SHELL":
			return in.cmd + " [" + words + "]"
		case "HEALTHCHECK":
			return "HEALTHCHECK {Test:[CMD-SHELL echo well] Interval:5s}"
		case "ENV", "LABEL":
			kv, _ := in.keyValues()
			out := in.cmd
			for _, e := range kv {
				v, _ := st.expand(e[1])
				out += " " + e[0] + "=" + v
			}
			return out
		case "ARG":
			return "ARG " + words
		}
		return in.cmd + " " + words
	},
}

// argsIn are the arguments of a RUN, as both builders write them.
func argsIn(st *state) string {
	var words []string
	for _, name := range sortedKeys(st.args) {
		words = append(words, name+"="+strings.ReplaceAll(st.args[name], anything, "some value"))
	}
	if len(words) == 0 {
		return ""
	}
	return fmt.Sprintf("|%d %s ", len(words), strings.Join(words, " "))
}

var slimBase = ImageFacts{
	Ref: "docker.io/library/debian:12-slim", DiffIDs: []string{"sha256:b"},
	History: []History{{CreatedBy: "/bin/sh -c #(nop) ADD file:0 in / "}, {CreatedBy: `/bin/sh -c #(nop)  CMD ["bash"]`, Empty: true}},
	Config:  &ImageConfig{Env: []string{"PATH=" + path1}, Cmd: []string{"bash"}, Labels: map[string]string{"base": "1"}},
}

// builtOf is the image that a builder makes of a text on slimBase.
func builtOf(t testing.TB, writer, text string, args map[string]string) *ImageFacts {
	t.Helper()
	cf, err := parseContainerfile("", text, "P071")
	if err != nil {
		t.Fatal(err)
	}
	steps := stepsOf(cf)
	c, err := replay(steps, *slimBase.Config, args)
	if err != nil {
		t.Fatal(err)
	}
	c.Exposed = ports(c.Exposed)
	f := &ImageFacts{Ref: "example.org/x:1", Labels: c.Labels, Config: &c, DiffIDs: slices.Clone(slimBase.DiffIDs), History: slices.Clone(slimBase.History)}
	m := newMatcher(steps, slimBase.Config)
	for i, s := range steps {
		f.History = append(f.History, History{CreatedBy: writers[writer](s, m, i)})
	}
	f.Image = func(string) *ImageFacts { return &slimBase }
	return f
}

func TestImageIsWhatItsContainerFileMakes(t *testing.T) {
	text := mustCompose(t, testParts(t), everySource).Text
	for writer := range writers {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, base known %v", writer, known), func(t *testing.T) {
				f := builtOf(t, writer, text, nil)
				if !known {
					f.Image = nil
				}
				steps, config, notes := f.differences(text)
				for _, d := range append(steps, config...) {
					t.Errorf("differs: %s", d)
				}
				if (len(notes) == 0) != known {
					t.Errorf("notes are %q", notes)
				}
				if x, err := Extract(f); err != nil || !x.Exact {
					t.Errorf("Extract: exact %v, %v", x != nil && x.Exact, err)
				}
			})
		}
		// A build argument of the source is no difference, one of a part's parameter is.
		f := builtOf(t, writer, text, map[string]string{"MODE": "slow"})
		if steps, config, _ := f.differences(text); len(steps)+len(config) > 0 {
			t.Errorf("%s: with a build argument: %q %q", writer, steps, config)
		}
		for i := range f.History {
			f.History[i].CreatedBy = strings.Replace(f.History[i].CreatedBy, "APP_USER_UID=77", "APP_USER_UID=0", 1)
		}
		if steps, _, _ := f.differences(text); len(steps) == 0 {
			t.Errorf("%s: another value of a part's parameter is not noticed", writer)
		}
	}
}

// TestImageOfAnEditedFile builds what somebody has made of a composed file above its label.
func TestImageOfAnEditedFile(t *testing.T) {
	text := mustCompose(t, testParts(t), everySource).Text
	for _, tc := range []struct{ old, new, want string }{
		{"RUN echo first", "RUN echo worst", "echo worst"},
		{"  && echo second", "  && echo second; evil", "evil"},
		{"RUN echo other shell\n", "", "has no step in the image: RUN echo other shell"},
		{"RUN echo other shell\n", "RUN echo other shell\nRUN evil\n", "a step that the container file does not have: RUN"},
		{"RUN echo other shell\n", "RUN evil\nRUN echo other shell\n", "evil"},
		{`RUN ["echo", "a \"b\""]`, `RUN ["evil"]`, "evil"},
		{"echo from a heredoc", "echo from a heredoc\nevil", "evil"},
		{"echo mounted", "echo mounted $(evil)", "evil"},
		{`SHELL ["/bin/sh", "-ec"]`, `SHELL ["/evil", "-ec"]`, "evil"},
		{"COPY a b dir/", "COPY a b evil/", "evil/"},
		{"COPY a b dir/\n", "COPY a b dir/\nCOPY a b dir/\n", "does not have: COPY"},
		{"ADD d.tar /d", "COPY d.tar /d", "COPY"},
		{"ADD d.tar /d\n", "", "no step in the image: ADD"},
		{"WORKDIR /srv\nWORKDIR rel", "WORKDIR /srv", "working directory is /srv,"},
		{`two="2 3"`, `two="2 4"`, `label two is "2 4"`},
		{`two="2 3"`, `two="2 3" evil=1`, "label evil"},
		{"LABEL one=1 ", "LABEL ", `label one is none, the container file makes it "1"`},
		{"EXPOSE 80 ", "EXPOSE 81 ", "81/tcp"},
		{"EXPOSE 80 90-91/udp\n", "EXPOSE 80 90-91/udp\nEXPOSE 1\n", "1/tcp"},
		{`VOLUME ["/v1", "/v2"]`, `VOLUME ["/v1"]`, "list of volumes"},
		{"STOPSIGNAL SIGINT", "STOPSIGNAL SIGKILL", "stop signal is SIGKILL"},
		{"CMD echo well", "CMD evil well", "health check"},
		{"USER web\nENTRY", "USER root\nENTRY", "user is root, the container file makes it web"},
		{"USER web\nENTRY", "ENTRY", "user is none"},
		{"ENTRYPOINT [\"run\", \"it\"]", "ENTRYPOINT [\"evil\"]", "entrypoint is [\"evil\"]"},
		{"CMD echo $A", "CMD evil", "command"},
		{"CMD echo $A\n", "", "command is none"},
		{"ENV A=1 ", "ENV A=2 ", `variable A is "2"`},
		{"ENV LIST=", "ENV EVIL=1 LIST=", `environment variable EVIL is "1", the container file makes it none`},
		{"LIST=/x:", "LIST=/evil:", "LIST"},
		{`ARG APP_USER_UID="77"`, `ARG APP_USER_UID="0"`, "APP_USER"},
	} {
		edited := strings.Replace(text, tc.old, tc.new, 1)
		if edited == text {
			t.Fatalf("%q is not in the text", tc.old)
		}
		for writer := range writers {
			f := builtOf(t, writer, edited, nil)
			found, err := VerifyImage(f, nil, nil)
			if err != nil {
				t.Fatalf("%s, %q: %v", writer, tc.new, err)
			}
			var bad []string
			for _, x := range found {
				if x.Bad {
					bad = append(bad, x.What+": "+x.Text)
				}
			}
			if !strings.Contains(strings.Join(bad, "\n"), tc.want) || ExitCode(found.Err()) != 3 {
				t.Errorf("%s, %q for %q: found %q, want %q in it and exit code 3", writer, tc.new, tc.old, bad, tc.want)
			}
			x, err := Extract(f)
			if err != nil {
				t.Fatal(err)
			}
			if x.Exact || x.Stated != "label" || x.From != "history" || !strings.Contains(x.Text, "NOT exact") {
				t.Errorf("%s, %q: Extract: exact %v, from %s, stated %q", writer, tc.new, x.Exact, x.From, x.Stated)
			}
		}
	}
}

// TestImageWithoutItsHistory compares configurations that somebody has changed without a step.
func TestImageWithoutItsHistory(t *testing.T) {
	text := mustCompose(t, testParts(t), everySource).Text
	for what, change := range map[string]func(c *ImageConfig){
		"user":        func(c *ImageConfig) { c.User = "0" },
		"entrypoint":  func(c *ImageConfig) { c.Entrypoint = append([]string{"evil"}, c.Entrypoint...) },
		"ports":       func(c *ImageConfig) { c.Exposed = append(c.Exposed, "22/tcp") },
		"variable":    func(c *ImageConfig) { c.Env = append(c.Env, "LD_PRELOAD=/evil") },
		"label":       func(c *ImageConfig) { c.Labels["evil"] = "1" },
		"triggers":    func(c *ImageConfig) { c.OnBuild = []string{"RUN evil"} },
		"shell":       func(c *ImageConfig) { c.Shell = []string{"/evil"} },
		"volumes":     func(c *ImageConfig) { c.Volumes = nil },
		"stop signal": func(c *ImageConfig) { c.StopSignal = "" },
	} {
		for _, history := range []bool{true, false} {
			f := builtOf(t, "buildah", text, nil)
			if !history {
				f.History = nil
			}
			change(f.Config)
			steps, config, _ := f.differences(text)
			if len(steps) > 0 || len(config) != 1 || !strings.Contains(config[0], what) {
				t.Errorf("%s: differences are %q and %q", what, steps, config)
			}
		}
	}
	f := builtOf(t, "buildah", text, nil)
	f.History = nil
	if x, err := Extract(f); err != nil || !x.Exact || len(x.Notes) == 0 {
		t.Errorf("Extract without a history: %+v, %v; want the text, and a note that steps could not be compared", x, err)
	}
}

// TestEjectedFileIsPlain wants nothing of the composition in an ejected file but comments.
func TestEjectedFileIsPlain(t *testing.T) {
	for _, embed := range []string{"label", "file", "none"} {
		r := mustCompose(t, testParts(t), "#: option embed="+embed+"\n"+nodeSource)
		text := r.Ejected()
		if strings.Contains(text, "dev.partials.") || strings.Contains(text, "/usr/share/containerfile") || IsComposed(text) {
			t.Errorf("embed=%s: the ejected file is:\n%s", embed, text)
		}
		if !strings.HasPrefix(text, "# ejected from Containerfile (partial format 1); an ordinary Containerfile: edit it as you like\n") {
			t.Errorf("embed=%s: the first line is %q", embed, strings.SplitN(text, "\n", 2)[0])
		}
		if countInstructions(t, text) != countInstructions(t, r.Body) {
			t.Errorf("embed=%s: the ejected file has other instructions:\n%s", embed, Diff(r.Body, text, ""))
		}
		record := *r.Lock
		record.Ejected = DigestOf(text)
		// With a part again, a lock of before is no lock.
		again := text + "#: use std/ca-certs\n"
		if _, err := composeSource(t, testParts(t), again, func(o *Options) { o.Lock, o.Locked = &record, true }); err == nil {
			t.Errorf("a record of an ejected file counts as a lock")
		} else {
			wantError(t, err, "P050", "ejected")
		}
	}
}
