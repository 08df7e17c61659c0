// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// builder builds one Containerfile with the three programs that build, each from the same files.
type builder struct {
	dir                   string
	berth, podman, second *engine // second is buildah
}

// newBuilder makes a directory for contexts, and a store for Debian's buildah.
func newBuilder(ctx context.Context, es *engines) (*builder, error) {
	dir, err := os.MkdirTemp(es.dir, "build-")
	if err != nil {
		return nil, err
	}
	b := &builder{dir: dir, berth: es.berth, podman: es.podman}
	if b.second, err = newEngine("buildah", "buildah", filepath.Join(dir, "a"), filepath.Join(es.runDir, "a")); err != nil {
		return nil, err
	}
	_, err = b.second.run(ctx, "pull", "-q", "docker-archive:"+es.archive)
	return b, err
}

// context writes files (name, content) into a new directory, and returns it.
func (b *builder) context(name string, files map[string]string) (string, error) {
	dir := filepath.Join(b.dir, name)
	for file, text := range files {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// measure builds dir n times with each program, in turn. The flags are common to all.
func (b *builder) measure(ctx context.Context, n int, dir string, flags ...string) (berth, podman, buildah samples, err error) {
	args := append(append([]string{"build", "-q", "--network", "none"}, flags...), dir)
	got, err := interleave(n, timed(ctx, b.berth, args...), timed(ctx, b.podman, args...),
		timed(ctx, b.second, append(args[:1:1], append([]string{"--layers"}, args[1:]...)...)...))
	if err != nil {
		return nil, nil, nil, err
	}
	return got[0], got[1], got[2], nil
}

// report adds a measurement, with the bound of Berth's share of podman's time.
func (b *builder) report(r *report, what string, berth, podman, buildah samples, limit float64) {
	r.times(what, berth, podman, nil)
	r.note("%s: Debian's buildah %s ms.", what, cell(buildah))
	if limit > 0 {
		r.budget(what+", of podman", ratio(berth.median(), podman.median()), limit)
	}
}

// steps are count instructions, each of another kind than the one before.
func steps(count int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "FROM %s\n", image)
	for i := range count - 1 {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&text, "RUN echo %d > /r%d\n", i, i)
		case 1:
			fmt.Fprintf(&text, "COPY f /c%d\n", i)
		case 2:
			fmt.Fprintf(&text, "ENV E%d=%d\n", i, i)
		}
	}
	return text.String()
}

// builds measures builds beside podman's and buildah's.
func builds(ctx context.Context, es *engines, r *report, n int) error {
	b, err := newBuilder(ctx, es)
	if err != nil {
		return err
	}
	type work struct {
		what  string
		files map[string]string
		flags []string
		limit float64
	}
	stages := ""
	for i := range 4 {
		stages += fmt.Sprintf("FROM %s AS s%d\nRUN sleep 1; echo %d > /f%d\n", image, i, i, i)
	}
	stages += fmt.Sprintf("FROM %s\n", image)
	for i := range 4 {
		stages += fmt.Sprintf("COPY --from=s%d /f%d /f%d\n", i, i, i)
	}
	runs := fmt.Sprintf("FROM %s\n", image)
	for i := range 9 {
		runs += fmt.Sprintf("RUN echo %d > /f%d\n", i, i)
	}
	for _, w := range []work{
		{"`build`, 30 steps, all cached", map[string]string{"Containerfile": steps(30), "f": "x"}, nil, 1.0 / 3},
		{"`build --no-cache`, 10 steps with small RUNs", map[string]string{"Containerfile": runs}, []string{"--no-cache"}, 0},
		{"`build --no-cache`, 4 independent stages that wait a second each", map[string]string{"Containerfile": stages}, []string{"--no-cache"}, 0.6},
		{"`build --no-cache`, a context of 1 GiB that is ignored", map[string]string{
			"Containerfile": fmt.Sprintf("FROM %s\nCOPY . /ctx/\n", image), ".containerignore": "big*\n", "small": "x"}, []string{"--no-cache"}, 0},
	} {
		dir, err := b.context(fmt.Sprintf("c%d", len(r.rows)), w.files)
		if err != nil {
			return err
		}
		if strings.Contains(w.what, "1 GiB") {
			for i := range 4 {
				if err := sparse(filepath.Join(dir, fmt.Sprintf("big%d", i)), 256<<20); err != nil {
					return err
				}
			}
		}
		time.Sleep(200 * time.Millisecond) // files that were changed this moment may change again unseen: Berth waits and sees
		berth, podman, buildah, err := b.measure(ctx, n, dir, w.flags...)
		if err != nil {
			return err
		}
		b.report(r, w.what, berth, podman, buildah, w.limit)
	}
	return nil
}

func sparse(path string, size int64) error {
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		return err
	}
	return os.Truncate(path, size)
}

// partials measures composition, and rebase beside the build that it saves.
func partials(ctx context.Context, es *engines, r *report, n int) error {
	b, err := newBuilder(ctx, es)
	if err != nil {
		return err
	}
	for _, version := range []string{"12", "12.9"} {
		dir, err := b.context("base"+version, map[string]string{
			"Containerfile": fmt.Sprintf("FROM %s\nRUN printf 'ID=debian\\nVERSION_ID=\"%s\"\\n' > /etc/os-release\n", image, version)})
		if err != nil {
			return err
		}
		if _, err := b.berth.run(ctx, "build", "-q", "--network", "none", "-t", "localhost/debian:"+version, dir); err != nil {
			return err
		}
	}
	files := map[string]string{"src/partials.conf": fmt.Sprintf("[aliases]\nstd = %q\n", filepath.Join(b.dir, "p/parts"))}
	use := ""
	for i := range 20 {
		name := fmt.Sprintf("part%d", i)
		use += "#: use std/" + name + "\n"
		files["parts/"+name+"/Containerfile"] = fmt.Sprintf("# /// partial\n# name: std/%s\n# version: 1.0.0\n# summary: for the bench\n# layer: detached\n"+
			"# params: {n: {type: int, default: %d}}\n# env: {PATH: {prepend: [/opt/%s]}}\n# ///\nARG BASE=localhost/debian:12\nFROM ${BASE} AS base\n"+
			"FROM base AS made\nRUN mkdir -p /opt/%s && echo %d > /opt/%s/file\nFROM base AS install\nCOPY --link --from=made /opt/ /opt/\n", name, i, name, name, i, name)
	}
	files["src/Containerfile"] = "FROM localhost/debian:12\n" + use + "COPY data /srv/data\n"
	files["src/data"] = "data\n"
	dir, err := b.context("p", files)
	if err != nil {
		return err
	}
	src, file := filepath.Join(dir, "src"), filepath.Join(dir, "src/Containerfile")
	if _, err := b.berth.run(ctx, "partial", "compose", "-f", file, "-o", filepath.Join(dir, "composed")); err != nil {
		return err
	}
	got, err := interleave(max(n, 10), timed(ctx, b.berth, "partial", "compose", "--locked", "-f", file, "-o", filepath.Join(dir, "composed")))
	if err != nil {
		return err
	}
	r.note("`partial compose` of 20 parts with a warm lock, the whole command: %s ms.", cell(got[0]))
	r.budgetIn("`partial compose`, 20 parts, warm lock", float64(got[0].median())/float64(time.Millisecond), 50, "ms")

	if _, err := b.berth.run(ctx, "build", "-q", "--network", "none", "-t", "localhost/app:1", src); err != nil {
		return err
	}
	got, err = interleave(n,
		timed(ctx, b.berth, "partial", "rebase", "--onto", "localhost/debian:12.9", "-t", "localhost/app:2", "localhost/app:1"),
		timed(ctx, b.berth, "build", "-q", "--network", "none", "--no-cache", "-t", "localhost/app:3", src))
	if err != nil {
		return err
	}
	r.note("An application image of 20 parts: `partial rebase` %s ms, `build --no-cache` %s ms.", cell(got[0]), cell(got[1]))
	r.budget("`partial rebase` of an application image, of its build", ratio(got[0].median(), got[1].median()), 1.0/10)
	return nil
}
