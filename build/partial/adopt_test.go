// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"strings"
	"testing"
)

func TestPartFromAContainerfile(t *testing.T) {
	im, err := PartFrom("acme/web", "0.1.0", "web/Containerfile", `ARG COMPOSED=${USES_PARTIALS_COMPOSE_OR_EJECT_FIRST:?}
FROM docker.io/library/golang:1 AS build
RUN go build -o /web ./...
FROM docker.io/library/debian:12 AS app
ARG MODE=fast
ENV A="b c" PATH=/opt/web:$PATH
#: use std/ca-certs@^1
COPY --from=build /web /opt/web/web
COPY conf /etc/conf
RUN --mount=type=cache,target=/c echo "$MODE" \
    && true
WORKDIR /srv
USER web
EXPOSE 80
LABEL x=y
ENTRYPOINT ["/opt/web/web"]
CMD serve --all
`)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, im.Containerfile, `#   mode: {type: string, pattern: "[^\\x00-\\x1f]*", default: "fast"}`, `# requires: ["std/ca-certs@^1"]`,
		`#   A: {set: "b c"}`, `#   PATH: {prepend: ["/opt/web"]}`, `#   cmd: ["/bin/sh","-c","serve --all"]`, `#   entrypoint: ["/opt/web/web"]`, `#   expose: ["80"]`, `#   user: "web"`,
		"ARG BASE=docker.io/library/debian:12", "FROM docker.io/library/golang:1 AS build", "FROM base AS install", "ARG WEB_MODE", "COPY --from=build /web /opt/web/web",
		`RUN --mount=type=cache,target=/c export MODE="$WEB_MODE" && echo "$MODE" \`)
	all := strings.Join(im.Warnings, "\n")
	for _, w := range []string{"COPY conf /etc/conf is left out", "LABEL is left out", "WORKDIR holds inside"} {
		if !strings.Contains(all, w) {
			t.Errorf("no warning %q in:\n%s", w, all)
		}
	}
	p, err := NewPart("web", im.Containerfile, nil)
	if err != nil {
		t.Fatalf("the part does not lint: %v\n%s", err, im.Containerfile)
	}
	lib := testParts(t).with(p)
	r := mustCompose(t, lib, "FROM docker.io/library/debian:12\n#: use acme/web mode='x\"; y'\n")
	decode(t, r.Text)
	wantLines(t, r.Text, `ARG WEB_MODE="x\"; y"`, `ENTRYPOINT ["/opt/web/web"]`)
}

func TestPartFromAComposedFile(t *testing.T) {
	r := mustCompose(t, testParts(t), nodeSource)
	im, err := PartFrom("acme/app", "1.0.0", "image", r.Text)
	if err != nil {
		t.Fatal(err)
	}
	wantLines(t, im.Containerfile, `# requires: ["std/app-user@^1","std/nodejs@^1"]`, `#   cmd: ["node","server.js"]`, `#   user: "web"`, "RUN npm ci --omit=dev")
	if strings.Contains(im.Containerfile, ">>>") || strings.Contains(im.Containerfile, "dev.partials") {
		t.Errorf("blocks are left:\n%s", im.Containerfile)
	}
	if all := strings.Join(im.Warnings, "\n"); !strings.Contains(all, "the parameters of std/nodejs (version=22.11.0) are left out") {
		t.Errorf("no warning of parameters in:\n%s", all)
	}
}
