// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// startUp is how long a command takes that does nothing.
func startUp(ctx context.Context, es *engines, r *report, n int) error {
	got, err := interleave(n, timed(ctx, es.berth, "version"), timed(ctx, es.podman, "version"))
	if err != nil {
		return err
	}
	r.times("`version`", got[0], got[1], nil)
	r.budgetIn("`version`", ms(got[0].median()), 4, "ms")
	return nil
}

// detached starts containers in the background and removes them while they run.
func detached(ctx context.Context, es *engines, r *report, n int) error {
	run := []string{"run", "-d", "--name", "bench", "--network", "none", image, "sleep", "3600"}
	remove := []string{"rm", "-f", "-t", "0", "bench"}
	// Starts and removals take turns, and each is a sample of its own.
	got, err := interleave(n,
		timed(ctx, es.berth, run...), timed(ctx, es.podman, run...),
		timed(ctx, es.berth, remove...), timed(ctx, es.podman, remove...))
	if err != nil {
		return err
	}
	r.times("`run -d --network none`", got[0], got[1], nil)
	r.times("`rm -f` of a running container", got[2], got[3], nil)
	r.budget("`run -d --network none`, of podman", ratio(got[0].median(), got[1].median()), 1.0/5)
	r.budget("`rm -f` of a running container, of podman", ratio(got[2].median(), got[3].median()), 1.0/6)
	return nil
}

// removals removes many created containers with one command, and a third as many.
func removals(ctx context.Context, es *engines, r *report, rounds, count int) error {
	took := map[*engine]map[int]samples{es.berth: {}, es.podman: {}}
	for range rounds {
		for _, e := range []*engine{es.berth, es.podman} {
			for _, n := range []int{count / 3, count} {
				for range n {
					if _, err := e.run(ctx, "create", "--network", "none", image, "true"); err != nil {
						return err
					}
				}
				t, err := e.run(ctx, "rm", "-a")
				if err != nil {
					return err
				}
				took[e][n] = append(took[e][n], t)
			}
		}
	}
	few, many := took[es.berth][count/3], took[es.berth][count]
	r.times(fmt.Sprintf("`rm -a` of %d created containers", count/3), few, took[es.podman][count/3], nil)
	r.times(fmt.Sprintf("`rm -a` of %d", count), many, took[es.podman][count], nil)
	r.budget(fmt.Sprintf("`rm -a` of %d, of podman", count), ratio(many.median(), took[es.podman][count].median()), 1.0/4)
	r.budget(fmt.Sprintf("`rm -a` of %d, of three times that of %d", count, count/3), ratio(many.median(), 3*few.median()), 1.2)
	return nil
}

// creates makes many containers side by side, while Berth's are listed all the time.
func creates(ctx context.Context, es *engines, r *report, total, width int) error {
	args := []string{"create", "--network", "none", image, "true"}
	took := map[*engine]time.Duration{}
	var lists samples
	for _, e := range []*engine{es.podman, es.berth} {
		done := make(chan struct{})
		var listing sync.WaitGroup
		if e == es.berth {
			listing.Go(func() {
				for {
					select {
					case <-done:
						return
					case <-time.After(20 * time.Millisecond):
					}
					if t, err := e.run(ctx, "ps", "-a"); err == nil {
						lists = append(lists, t)
					}
				}
			})
		}
		whole, _, errs := burst(ctx, e, total, width, args)
		close(done)
		listing.Wait()
		if len(errs) > 0 {
			return errs[0]
		}
		took[e] = whole
		if _, err := e.run(ctx, "rm", "-fa"); err != nil {
			return err
		}
	}
	what := fmt.Sprintf("%d creates, %d at a time", total, width)
	r.times(what, samples{took[es.berth]}, samples{took[es.podman]}, nil)
	r.budget(what+", of podman", ratio(took[es.berth], took[es.podman]), 1.0/4)
	r.note("`ps -a` during %s: %.1f / %.1f ms.", what, ms(lists.median()), ms(lists.percentile(99)))
	r.budgetIn("`ps -a` during "+what, ms(lists.median()), 30, "ms")
	return nil
}

// crowded compares commands on one container among many with the same among few.
func crowded(ctx context.Context, es *engines, r *report, n, few, many int) error {
	commands := [][]string{
		{"run", "--rm", "--network", "none", image, "true"},
		{"create", "--name", "bench", "--network", "none", image, "true"},
		{"rm", "bench"},
		{"inspect", "first"},
	}
	defer es.berth.run(context.WithoutCancel(ctx), "rm", "-fa")
	measure := func(count int) ([]samples, error) {
		for range count {
			if _, err := es.berth.run(ctx, "create", "--network", "none", image, "true"); err != nil {
				return nil, err
			}
		}
		var subjects []subject
		for _, c := range commands {
			subjects = append(subjects, timed(ctx, es.berth, c...))
		}
		return interleave(n, subjects...)
	}
	if _, err := es.berth.run(ctx, "create", "--name", "first", "--network", "none", image, "true"); err != nil {
		return err
	}
	before, err := measure(few - 1)
	if err != nil {
		return err
	}
	after, err := measure(many - few)
	if err != nil {
		return err
	}
	var texts []string
	worst := 0.0
	for i, c := range commands {
		a, b := before[i].median(), after[i].median()
		texts = append(texts, fmt.Sprintf("`%s` %.1f and %.1f ms", c[0], ms(a), ms(b)))
		worst = max(worst, ratio(b, a))
	}
	r.note("Among %d and among %d containers: %s.", few, many, strings.Join(texts, ", "))
	r.budget(fmt.Sprintf("commands on one container among %d, of the same among %d", many, few), worst, 1.15)
	return nil
}
