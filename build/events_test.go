// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// collect returns a tracker and what it tells, one line an event.
func collect() (*tracker, *[]string) {
	var told []string
	return newTracker(func(e Event) {
		told = append(told, fmt.Sprintf("%s %d/%d %d/%d %s%s", e.Kind, e.Stage, e.Stages, e.Step, e.Steps, e.Text, e.Image))
	}), &told
}

func TestTrackerTellsStepsFromWhatTheyPrint(t *testing.T) {
	tr, told := collect()
	fmt.Fprintf(tr, "[1/2] STEP 1/3: %s\n", "FROM x AS a")
	fmt.Fprintf(tr, "[1/2] STEP 2/3: %s\n", "RUN echo")
	var run sync.WaitGroup
	run.Go(func() {
		fmt.Fprint(tr, "[2/2] STEP 9/9: not a step\n--> 0123456789ab\nno ")
		fmt.Fprint(tr, "newline")
	})
	run.Wait()
	fmt.Fprint(tr, "--> 0123456789ab\n[1/2] STEP 3/3: ENV a=b\n--> Using cache "+strings.Repeat("c", 64)+"\n--> cccccccccccc\n[1/2] COMMIT name\n")
	tr.finish(nil, Event{})
	fmt.Fprint(tr, "too late\n")
	want := []string{
		"step 1/2 1/3 FROM x AS a", "done 1/2 1/3 FROM x AS a", "step 1/2 2/3 RUN echo",
		"output 1/2 2/3 [2/2] STEP 9/9: not a step", "output 1/2 2/3 --> 0123456789ab", "output 1/2 2/3 no newline",
		"done 1/2 2/3 RUN echo0123456789ab", "step 1/2 3/3 ENV a=b", "cached 1/2 3/3 " + strings.Repeat("c", 64),
		"done 1/2 3/3 ENV a=bcccccccccccc", "output 1/2 3/3 COMMIT name",
	}
	if got := strings.Join(*told, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestTrackerKeepsStagesOfSeveralGoroutinesApart(t *testing.T) {
	tr, told := collect()
	var stages sync.WaitGroup
	for i := 1; i <= 4; i++ {
		stages.Go(func() {
			fmt.Fprintf(tr, "[%d/4] STEP 1/1: RUN %d\n", i, i)
			var run sync.WaitGroup
			run.Go(func() { fmt.Fprintf(tr, "printed by %d\n", i) })
			run.Wait()
		})
	}
	stages.Wait()
	for i := 1; i <= 4; i++ {
		want := fmt.Sprintf("output %d/4 1/1 printed by %d", i, i)
		if !strings.Contains(strings.Join(*told, "\n"), want) {
			t.Errorf("%q is not in\n%s", want, strings.Join(*told, "\n"))
		}
	}
}

func TestTrackerNamesTheStepThatFailed(t *testing.T) {
	tr, told := collect()
	fmt.Fprint(tr, "STEP 1/2: FROM x\nSTEP 2/2: RUN false\n")
	err := errors.New(`building at STEP "RUN false": exit status 1`)
	step, _ := tr.failing(err)
	tr.finish(err, step)
	if last := (*told)[len(*told)-1]; !strings.HasPrefix(last, "failed 0/0 2/2 ") {
		t.Errorf("the last event is %q", last)
	}
}

func TestTrackerNamesTheStepThatFailedWhereOtherStagesGoOn(t *testing.T) {
	for _, c := range []struct{ fails, goesOn, err, want string }{
		{"RUN false", "RUN true", `building at STEP "RUN false": exit status 1`, "RUN false"},
		{"COPY --from=r/other:1 /a /b", "FROM r/base:1 AS a", "COPY --from=r/other:1: no stage or image found with that name", "COPY --from=r/other:1 /a /b"},
		{"RUN --mount=type=bind,from=r/other:1,target=/x true", "COPY --from=r/other /a /b", "--mount=type=bind,from=r/other:1: no stage or image found with that name", "RUN --mount=type=bind,from=r/other:1,target=/x true"},
		{"RUN x", "RUN y", "committing container for step {...}: no space left on device", "RUN x"},
		{"COPY --from=r/other:1 /a /b", "COPY --from=r/other:1 /a /b", "COPY --from=r/other:1: no stage or image found with that name", ""},
	} {
		for _, over := range []bool{true, false} { // the stage that failed
			if !over && strings.HasPrefix(c.err, "committing") {
				continue // nothing tells
			}
			tr, _ := collect()
			stop, id := make(chan struct{}), make(chan string, 1)
			var failed, others sync.WaitGroup
			var ready sync.WaitGroup
			ready.Add(2)
			stage := func(n int, text string, ended bool) {
				fmt.Fprintf(tr, "[%d/2] STEP 1/1: %s\n", n, text)
				ready.Done()
				if n == 1 {
					self, _ := goroutine()
					id <- self
				}
				if !ended {
					<-stop
				}
			}
			failed.Go(func() { stage(1, c.fails, over) })
			others.Go(func() { stage(2, c.goesOn, false) })
			ready.Wait()
			if self := <-id; over {
				for goroutines()[self] {
					runtime.Gosched()
				}
			}
			step, _ := tr.failing(errors.New(c.err))
			close(stop)
			others.Wait()
			failed.Wait()
			if step.Text != c.want {
				t.Errorf("%s (over: %t): the step is %q, want %q", c.err, over, step.Text, c.want)
			}
		}
	}
}

func TestTrackerKeepsWhatTheRuntimeSaid(t *testing.T) {
	tr, told := collect()
	fmt.Fprint(tr, "STEP 1/1: RUN x\n")
	var run sync.WaitGroup
	run.Go(func() {
		fmt.Fprint(tr, "before\nerror running container: from /usr/bin/crun creating container for [/x]: no\nsuch thing\n: exit status 1\nafter\ncontainer exited on killed\n")
	})
	run.Wait()
	step, runtime := tr.failing(errors.New(`building at STEP "RUN x": while running runtime: exit status 1`))
	if want := "/usr/bin/crun creating container for [/x]: no such thing ended by a signal: killed"; step.Text != "RUN x" || runtime != want {
		t.Errorf("step %q, runtime %q, want %q", step.Text, runtime, want)
	}
	for _, line := range *told {
		if strings.Contains(line, "crun") || strings.Contains(line, "such thing") || strings.Contains(line, "exited on") {
			t.Errorf("it is told: %s", line)
		}
	}
	if all := strings.Join(*told, "\n"); !strings.Contains(all, "before") || !strings.Contains(all, "after") {
		t.Errorf("what the command printed is not told: %s", all)
	}
}

func TestProgressOfAFailedStepShowsWhatItPrinted(t *testing.T) {
	events := []Event{
		{Kind: StepBegins, Step: 1, Steps: 2, Text: "RUN good"}, {Kind: Output, Step: 1, Text: "said by good"}, {Kind: StepDone, Step: 1, Text: "RUN good"},
		{Kind: StepBegins, Step: 2, Steps: 2, Text: "RUN bad\x1b[2J"}, {Kind: Output, Step: 2, Text: "said by bad"}, {Kind: Failed, Step: 2, Text: "exit status 1"},
	}
	var out, screen bytes.Buffer
	for name, p := range map[string]Progress{"quiet": Quiet(&out, &screen), "terminal": Terminal(&out, &screen, func() int { return 80 })} {
		screen.Reset()
		for _, e := range events {
			p.Show(e)
		}
		p.Close()
		if !strings.Contains(screen.String(), "said by bad\n") {
			t.Errorf("%s does not show what the failed step printed: %q", name, screen.String())
		}
		if strings.Contains(screen.String(), "\x1b[2J") {
			t.Errorf("%s passes the escape sequences of a Containerfile on to the terminal", name)
		}
	}
	if out.Len() > 0 {
		t.Errorf("standard output has %q", out.String())
	}
}
