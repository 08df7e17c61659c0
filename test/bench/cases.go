// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// benchCase measures one thing and adds what it found to the report.
type benchCase struct {
	name    string
	measure func(ctx context.Context, es *engines, r *report) error
}

// cases are all that is measured; scale is the percentage of the usual repetitions.
func cases(scale int) []benchCase {
	n := func(usual int) int { return max(2, usual*scale/100) }
	return []benchCase{
		{"run --network none", func(ctx context.Context, es *engines, r *report) error { return runNone(ctx, es, r, n(100)) }},
		{"phases of run", func(ctx context.Context, es *engines, r *report) error { return phases(ctx, es, r, n(50)) }},
		{"run, default network", func(ctx context.Context, es *engines, r *report) error { return runNetwork(ctx, es, r, n(30)) }},
		{"exec", func(ctx context.Context, es *engines, r *report) error { return execTrue(ctx, es, r, n(100)) }},
		{"idle monitors", func(ctx context.Context, es *engines, r *report) error { return idle(ctx, es, r, 10) }},
		{"version", func(ctx context.Context, es *engines, r *report) error { return startUp(ctx, es, r, n(100)) }},
		{"detached", func(ctx context.Context, es *engines, r *report) error { return detached(ctx, es, r, n(50)) }},
		{"40 runs, 8 at a time", func(ctx context.Context, es *engines, r *report) error { return parallel(ctx, es, r, n(3), 40, 8) }},
		{"storm", func(ctx context.Context, es *engines, r *report) error { return parallel(ctx, es, r, 1, 256, 64) }},
		{"creates", func(ctx context.Context, es *engines, r *report) error { return creates(ctx, es, r, 200, 16) }},
		{"removals", func(ctx context.Context, es *engines, r *report) error { return removals(ctx, es, r, 1, 300) }},
		{"crowded", func(ctx context.Context, es *engines, r *report) error { return crowded(ctx, es, r, n(30), 10, 1000) }},
		{"ps -a", func(ctx context.Context, es *engines, r *report) error { return psAll(ctx, es, r, n(20), 1000) }},
		{"daily", func(ctx context.Context, es *engines, r *report) error { return daily(ctx, es, r, n(50)) }},
		{"all", func(ctx context.Context, es *engines, r *report) error { return all(ctx, es, r, 150) }},
		{"networks", func(ctx context.Context, es *engines, r *report) error { return networks(ctx, es, r, n(30)) }},
		{"crowd on networks", func(ctx context.Context, es *engines, r *report) error { return crowd(ctx, es, r, 100) }},
		{"build", func(ctx context.Context, es *engines, r *report) error { return builds(ctx, es, r, n(5)) }},
		{"build of parts", func(ctx context.Context, es *engines, r *report) error { return partials(ctx, es, r, n(5)) }},
	}
}

// timed is the subject "this engine runs this command".
func timed(ctx context.Context, e *engine, args ...string) subject {
	return subject{e.name, func() (time.Duration, error) { return e.run(ctx, args...) }}
}

func runNone(ctx context.Context, es *engines, r *report, n int) error {
	args := []string{"run", "--rm", "--network", "none", image, "true"}
	got, err := interleave(n,
		timed(ctx, es.berth, args...),
		timed(ctx, es.podman, args...),
		timed(ctx, es.crun, "run", "--bundle", es.bundle, "bench"))
	if err != nil {
		return err
	}
	r.times("`run --rm --network none IMAGE true`", got[0], got[1], got[2])
	r.budget("`run --network none`, of bare crun", ratio(got[0].median(), got[2].median()), 2.5)
	r.budget("`run --network none`, of podman", ratio(got[0].median(), got[1].median()), 1.0/3)
	return nil
}

func runNetwork(ctx context.Context, es *engines, r *report, n int) error {
	args := []string{"run", "--rm", image, "true"}
	got, err := interleave(n, timed(ctx, es.berth, args...), timed(ctx, es.podman, args...))
	if err != nil {
		return err
	}
	r.times("`run --rm IMAGE true`, default network", got[0], got[1], nil)
	r.budget("`run`, default network, of podman", ratio(got[0].median(), got[1].median()), 1.0/2)
	return nil
}

func execTrue(ctx context.Context, es *engines, r *report, n int) error {
	for _, e := range []*engine{es.berth, es.podman} {
		if _, err := e.run(ctx, "run", "-d", "--name", "bench", "--network", "none", image, "sleep", "3600"); err != nil {
			return err
		}
		defer e.run(context.WithoutCancel(ctx), "rm", "-f", "-t", "0", "bench")
	}
	if err := es.setArgs("sleep", "3600"); err != nil {
		return err
	}
	if _, err := es.crun.run(ctx, "run", "--detach", "--bundle", es.bundle, "bench"); err != nil {
		return err
	}
	defer es.setArgs("true")
	defer es.crun.run(context.WithoutCancel(ctx), "delete", "--force", "bench")

	got, err := interleave(n,
		timed(ctx, es.berth, "exec", "bench", "true"),
		timed(ctx, es.podman, "exec", "bench", "true"),
		timed(ctx, es.crun, "exec", "bench", "true"))
	if err != nil {
		return err
	}
	r.times("`exec C true`", got[0], got[1], got[2])
	r.budget("`exec`, of podman", ratio(got[0].median(), got[1].median()), 1.0/5)
	return nil
}

// psAll lists count created containers, and before them none, which gives the growth per container.
func psAll(ctx context.Context, es *engines, r *report, n, count int) error {
	ps := func() ([]samples, error) {
		return interleave(n, timed(ctx, es.berth, "ps", "-a"), timed(ctx, es.podman, "ps", "-a"))
	}
	none, err := ps()
	if err != nil {
		return err
	}
	for _, e := range []*engine{es.berth, es.podman} {
		for range count {
			if _, err := e.run(ctx, "create", "--network", "none", image, "true"); err != nil {
				return err
			}
		}
		defer e.run(context.WithoutCancel(ctx), "rm", "-fa")
	}
	many, err := ps()
	if err != nil {
		return err
	}
	r.times("`ps -a`, no container", none[0], none[1], nil)
	r.times(fmt.Sprintf("`ps -a`, %d containers", count), many[0], many[1], nil)
	r.budget(fmt.Sprintf("`ps -a` with %d containers, of podman", count), ratio(many[0].median(), many[1].median()), 1.0/3)
	growth := (many[0].median() - none[0].median()) / time.Duration(count)
	r.budgetIn("`ps -a`, growth per container", float64(growth)/float64(time.Microsecond), 20, "µs")
	return nil
}

// parallel does total runs, width at a time, rounds times over, one engine after the other.
func parallel(ctx context.Context, es *engines, r *report, rounds, total, width int) error {
	type result struct {
		whole, each samples
		errors      int
	}
	results := map[*engine]*result{es.berth: {}, es.podman: {}}
	for range rounds {
		for _, e := range []*engine{es.berth, es.podman} {
			whole, each, errs := burst(ctx, e, total, width, []string{"run", "--rm", "--network", "none", image, "true"})
			res := results[e]
			res.whole, res.each = append(res.whole, whole), append(res.each, each...)
			res.errors += len(errs)
			for _, err := range errs {
				fmt.Fprintln(os.Stderr, "bench:", err)
			}
		}
	}
	b, p := results[es.berth], results[es.podman]
	what := fmt.Sprintf("%d runs, %d at a time", total, width)
	r.times(what+", all of them", b.whole, p.whole, nil)
	r.times(what+", each", b.each, p.each, nil)
	r.note("Errors in %d runs, %d at a time: berth %d, podman %d.", total*rounds, width, b.errors, p.errors)
	r.budget(what+", of podman", ratio(b.whole.median(), p.whole.median()), 1.0/4)
	r.budget(what+", p99 of p50", ratio(b.each.percentile(99), b.each.median()), 2)
	r.budgetIn(what+", errors", float64(b.errors), 0, "")
	return nil
}

// burst runs a command total times, width at a time.
func burst(ctx context.Context, e *engine, total, width int, args []string) (whole time.Duration, each samples, errs []error) {
	var (
		mu    sync.Mutex // guards each and errs
		group sync.WaitGroup
		slots = make(chan struct{}, width)
	)
	start := time.Now()
	for range total {
		slots <- struct{}{}
		group.Go(func() {
			took, err := e.run(ctx, args...)
			mu.Lock()
			defer mu.Unlock()
			if each = append(each, took); err != nil {
				errs = append(errs, err)
			}
			<-slots
		})
	}
	group.Wait()
	return time.Since(start), each, errs
}

// idle measures count monitors that have nothing to do: their proportional set size, and
// how often they woke up.
func idle(ctx context.Context, es *engines, r *report, count int) error {
	const settle, watch = 15 * time.Second, 10 * time.Second // a monitor tidies its memory some seconds after its last client
	programs := map[*engine]string{es.berth: "berth-monitor", es.podman: "conmon"}
	pss, wakeUps := map[*engine]float64{}, map[*engine]int{}
	for e, program := range programs {
		for range count {
			if _, err := e.run(ctx, "run", "-d", "--network", "none", image, "sleep", "3600"); err != nil {
				return err
			}
		}
		defer e.run(context.WithoutCancel(ctx), "rm", "-fa", "-t", "0")
		pids := ownProcesses(program, e)
		if len(pids) != count {
			return fmt.Errorf("found %d processes named %s, want %d", len(pids), program, count)
		}
		time.Sleep(settle)
		before := 0
		for _, pid := range pids {
			before += switches(pid)
		}
		time.Sleep(watch)
		for _, pid := range pids {
			wakeUps[e] += switches(pid)
			pss[e] += number(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Pss:") / 1024 / float64(count)
		}
		wakeUps[e] -= before
	}
	r.note("Idle monitors, %d of each, proportional set size: berth-monitor %.2f MiB, conmon %.2f MiB each. "+
		"Wake-ups of all %d in %d seconds: berth-monitor %d, conmon %d.",
		count, pss[es.berth], pss[es.podman], count, int(watch.Seconds()), wakeUps[es.berth], wakeUps[es.podman])
	r.budgetIn("idle monitor, proportional set size", pss[es.berth], 1.0, "MiB")
	r.budgetIn("idle monitors, wake-ups", float64(wakeUps[es.berth]), 0, "")
	return nil
}

// ownProcesses are the processes of that name whose arguments or environment name the engine's directory.
func ownProcesses(program string, e *engine) (pids []int) {
	dir := filepath.Dir(strings.TrimPrefix(e.env[0], "HOME="))
	entries, _ := os.ReadDir("/proc")
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		comm, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "comm"))
		cmdline, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline"))
		if strings.TrimSpace(string(comm)) == program && strings.Contains(string(cmdline), dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// switches counts the context switches of all threads of a process.
func switches(pid int) (n int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, t := range tasks {
		n += int(number(t, "voluntary_ctxt_switches:") + number(t, "nonvoluntary_ctxt_switches:"))
	}
	return n
}

// number is the first number after the key at the start of a line of file; 0 if there is none.
func number(file, key string) float64 {
	f, err := os.Open(file)
	if err != nil {
		return 0
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) > 1 && fields[0] == key {
			n, _ := strconv.ParseFloat(fields[1], 64)
			return n
		}
	}
	return 0
}

// phases has berth say how long each phase of run took: BERTH_TRACE names a file that gets
// a line "name microseconds" a phase (a name may hold spaces).
func phases(ctx context.Context, es *engines, r *report, n int) error {
	file, err := os.CreateTemp("", "trace-")
	if err != nil {
		return err
	}
	file.Close()
	defer os.Remove(file.Name())
	traced := *es.berth
	traced.env = append(append([]string{}, es.berth.env...), "BERTH_TRACE="+file.Name())

	times := map[string]samples{}
	var order []string // as the phases first appear
	for range n {
		if err := os.Truncate(file.Name(), 0); err != nil {
			return err
		}
		if _, err := traced.run(ctx, "run", "--rm", "--network", "none", image, "true"); err != nil {
			return err
		}
		data, err := os.ReadFile(file.Name())
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			space := strings.LastIndexByte(line, ' ')
			us, err := strconv.ParseFloat(line[space+1:], 64)
			if space < 0 || err != nil {
				return fmt.Errorf("read the trace of run: bad line %q", line)
			}
			name := line[:space]
			if _, seen := times[name]; !seen {
				order = append(order, name)
			}
			times[name] = append(times[name], time.Duration(us*float64(time.Microsecond)))
		}
	}
	for _, name := range order {
		r.phase(name, times[name])
	}
	return nil
}
