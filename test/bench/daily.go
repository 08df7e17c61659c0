// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// pair is a command that Berth is to do in a third of podman's time.
type pair struct {
	what string
	args []string
	n    int // rounds
}

// daily measures what people do with a container that is there.
func daily(ctx context.Context, es *engines, r *report, n int) error {
	small, large := filepath.Join(es.dir, "small"), filepath.Join(es.dir, "large")
	if err := os.WriteFile(small, make([]byte, 4<<10), 0o600); err != nil {
		return err
	}
	defer os.Remove(small)
	if err := randomFile(large, 500<<20); err != nil {
		return err
	}
	defer os.Remove(large)
	for _, e := range []*engine{es.berth, es.podman} {
		if _, err := e.run(ctx, "run", "-d", "--name", "bench", "--network", "none", image, "sh", "-c", "mkdir /files; cp -a /bin /etc /files; sleep 3600"); err != nil {
			return err
		}
		defer e.run(context.WithoutCancel(ctx), "rm", "-f", "-t", "0", "bench")
	}
	for _, p := range []pair{
		{"`inspect`", []string{"inspect", "bench"}, n},
		{"`diff`", []string{"diff", "bench"}, n},
		{"`cp` of a small file into a container", []string{"cp", small, "bench:/small"}, n},
		{"`cp` of a small file out of one", []string{"cp", "bench:/small", small}, n},
		{"`cp` of 500 MB into a container", []string{"cp", large, "bench:/large"}, max(2, n/10)},
		{"`cp` of 500 MB out of one", []string{"cp", "bench:/large", large}, max(2, n/10)},
	} {
		if err := p.measure(ctx, es, r); err != nil {
			return err
		}
	}
	for _, e := range []*engine{es.berth, es.podman} {
		if _, err := e.run(ctx, "exec", "bench", "rm", "/large"); err != nil {
			return err
		}
		defer e.run(context.WithoutCancel(ctx), "rmi", "-f", "localhost/bench")
	}
	if err := (pair{"`commit`", []string{"commit", "-q", "bench", "localhost/bench"}, max(2, n/10)}).measure(ctx, es, r); err != nil {
		return err
	}
	if err := inTurn(ctx, es, r, n, []pair{{what: "`volume create`", args: []string{"volume", "create", "bench"}}, {what: "`volume rm`", args: []string{"volume", "rm", "bench"}}}); err != nil {
		return err
	}
	return inTurn(ctx, es, r, n, []pair{
		{what: "`create`", args: []string{"create", "--name", "one", "--network", "none", image, "sleep", "3600"}},
		{what: "`start`", args: []string{"start", "one"}},
		{what: "`stop -t 0`", args: []string{"stop", "-t", "0", "one"}},
		{what: "`rm`", args: []string{"rm", "one"}},
	})
}

func (p pair) measure(ctx context.Context, es *engines, r *report) error {
	return inTurn(ctx, es, r, p.n, []pair{p})
}

// inTurn measures commands of which each undoes, or needs, the one before.
func inTurn(ctx context.Context, es *engines, r *report, n int, pairs []pair) error {
	var subjects []subject
	for _, p := range pairs {
		subjects = append(subjects, timed(ctx, es.berth, p.args...), timed(ctx, es.podman, p.args...))
	}
	got, err := interleave(n, subjects...)
	if err != nil {
		return err
	}
	for i, p := range pairs {
		r.aThird(p.what, got[2*i], got[2*i+1])
	}
	return nil
}

// aThird reports times of which Berth's are to be at most a third.
func (r *report) aThird(what string, berth, podman samples) {
	r.times(what, berth, podman, nil)
	r.budget(what+", of podman", ratio(berth.median(), podman.median()), 1.0/3)
}

// all stops and starts count running containers with one command each. Each has a keyring, and the kernel gives a user 200 (keyrings(7)).
func all(ctx context.Context, es *engines, r *report, count int) error {
	took := map[*engine][]time.Duration{}
	commands := [][]string{{"stop", "-a", "-t", "0"}, {"start", "--all"}, {"rm", "-fa", "-t", "0"}}
	for _, e := range []*engine{es.berth, es.podman} {
		defer e.run(context.WithoutCancel(ctx), "rm", "-fa", "-t", "0")
		for range count {
			if _, err := e.run(ctx, "run", "-d", "--network", "none", image, "sleep", "3600"); err != nil {
				return err
			}
		}
		for _, c := range commands {
			t, err := e.run(ctx, c...)
			if err != nil {
				return err
			}
			took[e] = append(took[e], t)
		}
	}
	for i, what := range []string{"`stop -a`", "`start --all`", "`rm -fa`"} {
		r.aThird(fmt.Sprintf("%s of %d", what, count), samples{took[es.berth][i]}, samples{took[es.podman][i]})
	}
	return nil
}

// randomFile makes a file of size bytes that no file system makes smaller.
func randomFile(path string, size int64) error {
	from, err := os.Open("/dev/urandom")
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := io.CopyN(to, from, size); err != nil {
		return err
	}
	return to.Sync()
}
