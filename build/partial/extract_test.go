// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"strings"
	"testing"
)

func TestA27LabelGivesTheComposedFileBack(t *testing.T) {
	r := mustCompose(t, testParts(t), nodeSource)
	x, err := Extract(builtOf(t, "buildah", r.Text, nil))
	if err != nil {
		t.Fatal(err)
	}
	if x.Text != r.Text || !x.Exact || x.From != "label" {
		t.Errorf("extracted (%s, exact %v):\n%s\nwant:\n%s", x.From, x.Exact, x.Text, r.Text)
	}
}

func TestA28InheritedAndAlteredLabels(t *testing.T) {
	r := mustCompose(t, testParts(t), nodeSource)
	f := builtOf(t, "BuildKit", r.Text, nil)
	f.Ref = "example.org/child:1@sha256:" + strings.Repeat("a", 64)
	f.History = append(f.History, History{CreatedBy: "RUN /bin/sh -c echo child # buildkit"}, History{CreatedBy: "COPY extra /extra # buildkit"}, History{CreatedBy: `CMD ["child"]`, Empty: true})
	f.Config.Cmd = []string{"child"}
	f.Paths = func(layer int) ([]string, error) { return []string{"/extra"}, nil }
	x, err := Extract(f)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(x.Text, r.Text) || x.Exact || !x.Inherited || x.Lost != 1 {
		t.Errorf("inherited %v, exact %v, lost %d; want the parent's text first:\n%s", x.Inherited, x.Exact, x.Lost, x.Text)
	}
	wantLines(t, x.Text, "RUN echo child", "COPY --from="+f.Ref+" /extra /extra", `CMD ["child"]`)
	f.Labels[labelText] = f.Labels[labelText][:len(f.Labels[labelText])-8] + "AAAAAAA="
	_, err = Extract(f)
	wantError(t, err, "P082", "label text does not match its digest")
	if got := ExitCode(err); got != 3 {
		t.Errorf("ExitCode = %d, want 3", got)
	}
}

func TestA30HistoriesBuildAgain(t *testing.T) {
	image := "docker.io/library/redis:7@sha256:" + strings.Repeat("b", 64)
	for name, tc := range map[string]struct {
		history []History
		want    []string
	}{
		"classic": {[]History{
			{CreatedBy: "/bin/sh -c #(nop) ADD file:abc in / "},
			{CreatedBy: `/bin/sh -c #(nop)  CMD ["bash"]`, Empty: true},
			{CreatedBy: "/bin/sh -c set -eux; groupadd -r redis"},
			{CreatedBy: "|1 V=2 /bin/sh -c make $V"},
			{CreatedBy: "/bin/sh -c #(nop)  ENV A=b c", Empty: true},
			{CreatedBy: "/bin/sh -c #(nop) COPY file:def in /usr/local/bin/ "},
			{CreatedBy: "/bin/sh -c #(nop)  EXPOSE 6379/tcp", Empty: true},
			{CreatedBy: `/bin/sh -c #(nop)  ENTRYPOINT ["docker-entrypoint.sh"]`, Empty: true},
		}, []string{"FROM docker.io/library/debian:12@sha256:" + strings.Repeat("c", 64), "RUN set -eux; groupadd -r redis", `ARG V="2"`, "RUN make $V", `ENV A="b c"`,
			"# lost: COPY file:def in /usr/local/bin/ ; taken from the image itself", "COPY --from=" + image + " /layer3 /layer3", "EXPOSE 6379/tcp", `ENTRYPOINT ["docker-entrypoint.sh"]`}},
		"buildkit": {[]History{
			{CreatedBy: "/bin/sh -c #(nop) ADD file:abc in / "},
			{CreatedBy: "RUN |2 A=1 B=x y /bin/sh -c echo $A # buildkit"},
			{CreatedBy: "RUN /bin/sh -c set -e\necho two\n # buildkit"},
			{CreatedBy: "COPY --chown=web . /app # buildkit"},
			{CreatedBy: "WORKDIR /app", Empty: true},
			{CreatedBy: "EXPOSE map[80/tcp:{}]", Empty: true},
			{CreatedBy: "VOLUME [/data]", Empty: true},
			{CreatedBy: "HEALTHCHECK &{[\"CMD\"]}", Empty: true},
		}, []string{"RUN echo $A", `RUN <<"PARTIAL_EOF"`, "echo two", "COPY --from=" + image + " /layer3 /layer3", "WORKDIR /app", "EXPOSE 80/tcp", `VOLUME ["/data"]`, `# lost: HEALTHCHECK &{["CMD"]}`}},
		"buildah": {[]History{
			{CreatedBy: "/bin/sh -c #(nop) ADD file:abc in /", Comment: "FROM docker.io/library/debian:12"},
			{CreatedBy: "/bin/sh -c #(nop) USER web", Empty: true},
			{CreatedBy: "/bin/sh -c echo hello"},
		}, []string{"RUN echo hello"}},
		"buildah without layers": {[]History{
			{CreatedBy: "/bin/sh -c #(nop) ADD file:abc in /"},
			{CreatedBy: "/bin/sh -c #(nop) CMD [\"bash\"]", Empty: true},
			{CreatedBy: "/bin/sh -c echo before", Empty: true, Comment: "FROM docker.io/library/debian:12"},
			{CreatedBy: "/bin/sh -c #(nop) COPY file:def in /srv/extra", Empty: true},
			{CreatedBy: "/bin/sh -c #(nop) USER web", Empty: true},
			{CreatedBy: "/bin/sh -c echo hello"},
		}, []string{"RUN echo before", "# lost: COPY file:def in /srv/extra ; taken from the image itself", "COPY --from=" + image + " /layer1 /layer1", "USER web", "# in the same layer: /bin/sh -c echo hello"}},
	} {
		t.Run(name, func(t *testing.T) {
			x, err := Extract(&ImageFacts{Ref: image, History: tc.history, BaseRef: "docker.io/library/debian:12", BaseDigest: "sha256:" + strings.Repeat("c", 64), BaseLayers: 1,
				Paths: func(layer int) ([]string, error) { return []string{"/layer" + string(rune('0'+layer))}, nil }})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(x.Text, "# reconstructed from history of "+image) || !strings.Contains(strings.SplitN(x.Text, "\n", 2)[0], "NOT exact") {
				t.Errorf("the first line does not say that it is not exact:\n%s", x.Text)
			}
			wantLines(t, x.Text, tc.want...)
			decode(t, x.Text)
		})
	}
	_, err := Extract(&ImageFacts{Ref: "x"})
	wantError(t, err, "P080")
}

func TestA31UncomposeAndComposeAgain(t *testing.T) {
	lib := testParts(t)
	for name, src := range map[string]string{
		"node":    nodeSource,
		"options": "# syntax=docker/dockerfile:1\n" + guardLine + "\n#: option packages=merged order=canonical\nFROM docker.io/library/debian:12\n# a comment\n#: use std/nodejs\n#:+ version=22.11.0\n#: use std/ca-certs\nRUN x\n# >>> not a marker\nCOPY --from=docker.io/library/busybox:1 /bin/sh /x\n",
		"moved":   guardLine + "\nFROM docker.io/library/debian:12\n#: use std/nodejs\nRUN x\n#: use std/ca-certs\n",
		"files":   guardLine + "\n#: option embed=file\nFROM docker.io/library/busybox:1\n#: use std/script\n",
	} {
		t.Run(name, func(t *testing.T) {
			r := mustCompose(t, lib, src)
			back, err := Uncompose(r.Text, r.Lock, nil)
			if err != nil {
				t.Fatal(err)
			}
			again := mustCompose(t, lib, back, func(o *Options) { o.Lock = r.Lock })
			if again.Text != r.Text {
				t.Errorf("source:\n%s\ncomposed again:\n%s", back, Diff(r.Text, again.Text, ""))
			}
			if name == "node" && back != nodeSource {
				t.Errorf("the source is not what it was:\n%s", Diff(nodeSource, back, ""))
			}
		})
	}
}

func TestUncomposeKeepsWhatWasChangedByHand(t *testing.T) {
	r := mustCompose(t, testParts(t), nodeSource)
	back, err := Uncompose(r.Text, r.Lock, func(name, block string) bool { return name == "std/ca-certs" })
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(back, "# <<<") || strings.Contains(back, "# : ") {
		t.Errorf("markers are left:\n%s", back)
	}
	wantLines(t, back, "#: use std/nodejs@^1 version=22.11.0", "RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*")
}
