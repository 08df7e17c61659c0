// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/berth-containers/berth/internal/visible"
)

// Progress shows a build to somebody. Show is called by one goroutine at a time.
type Progress interface {
	Show(Event)
	// Close takes away what is only shown while the build goes on.
	Close()
}

// Plain writes lines as podman does, to out. Lines that RUN prints begin with their stage where there are several. Warnings, and
// the last lines of a step that fails, go to errOut; those lines only if they are not the last of what the reader has seen.
func Plain(out, errOut io.Writer) Progress {
	return &plain{out: out, errOut: errOut, same: sameFile(out, errOut), printed: map[Event][]string{}}
}

type plain struct {
	out, errOut io.Writer
	same        bool               // both are seen in one place
	printed     map[Event][]string // by step
	last        Event              // the step that the last line was of
}

// shownAtEnd is how many lines of a step that failed are shown again.
const shownAtEnd = 10

func sameFile(a, b io.Writer) bool {
	x, ok := a.(*os.File)
	y, also := b.(*os.File)
	if !ok || !also {
		return a == b
	}
	xs, err := x.Stat()
	ys, err2 := y.Stat()
	return err == nil && err2 == nil && os.SameFile(xs, ys)
}

// shown is the event's text for people, in one line: what a RUN prints is its own, but an instruction, a name and what buildah
// tells do not drive the terminal.
func (e Event) shown() string {
	if e.Kind == Output && e.OfRun {
		return e.Text
	}
	return visible.Text(e.Text)
}

func (p *plain) Show(e Event) {
	e.Text = e.shown()
	defer func() { p.last = e.step() }()
	switch e.Kind {
	case StepBegins:
		fmt.Fprintf(p.out, "%sSTEP %s: %s\n", e.prefix(), e.count(), e.Text)
	case Output:
		fmt.Fprintf(p.out, "%s%s\n", e.prefix(), e.Text)
		p.printed[e.step()] = tail(p.printed[e.step()], e.Text)
	case StepCached:
		fmt.Fprintf(p.out, "%s%s%s\n", e.prefix(), cacheWords, e.Image)
	case StepDone:
		delete(p.printed, e.step())
		if e.Image != "" {
			fmt.Fprintf(p.out, "%s--> %s\n", e.prefix(), e.Image)
		}
	case Tagged:
		fmt.Fprintf(p.out, "Successfully tagged %s\n", e.Text)
	case Built:
		fmt.Fprintln(p.out, e.Image)
	case Warning:
		fmt.Fprintf(p.errOut, "Warning: %s\n", e.Text)
	case Failed: // the error is the caller's to print
		lines := p.printed[e.step()]
		if len(lines) == 0 || p.same && p.last == e.step() {
			return
		}
		fmt.Fprintf(p.errOut, "%sthe last lines of STEP %s:\n", e.prefix(), e.count())
		for _, line := range lines[max(0, len(lines)-shownAtEnd):] {
			fmt.Fprintf(p.errOut, "    %s\n", line)
		}
	}
}

func (*plain) Close() {}

// prefix names the platform and the stage where there are several.
func (e Event) prefix() string {
	var s string
	if e.Platform != "" {
		s = "[" + e.Platform + "] "
	}
	if e.Stages > 1 {
		s += fmt.Sprintf("[%d/%d] ", e.Stage, e.Stages)
	}
	return s
}

func (e Event) count() string {
	if e.Steps == 0 {
		return fmt.Sprint(e.Step)
	}
	return fmt.Sprintf("%d/%d", e.Step, e.Steps)
}

// JSON writes each event as one line of JSON.
func JSON(out io.Writer) Progress { return &jsonLines{out} }

type jsonLines struct{ out io.Writer }

func (j *jsonLines) Show(e Event) {
	if data, err := json.Marshal(e); err == nil {
		_, _ = j.out.Write(append(visible.JSON(data), '\n')) // who reads no more does not stop the build
	}
}

func (*jsonLines) Close() {}

// Quiet writes the ID of the result to out, and to errOut what a step that fails has printed.
func Quiet(out, errOut io.Writer) Progress {
	return &quiet{out: out, errOut: errOut, printed: map[Event][]string{}}
}

type quiet struct {
	out, errOut io.Writer
	printed     map[Event][]string // by step
}

// step is what tells an event's step from others.
func (e Event) step() Event { return Event{Platform: e.Platform, Stage: e.Stage, Step: e.Step} }

func (q *quiet) Show(e Event) {
	switch e.Kind {
	case Built:
		fmt.Fprintln(q.out, e.Image)
	case Output:
		q.printed[e.step()] = tail(q.printed[e.step()], e.Text)
	case Warning:
		fmt.Fprintf(q.errOut, "Warning: %s\n", e.Text)
	case StepDone:
		delete(q.printed, e.step())
	case Failed:
		for _, line := range q.printed[e.step()] {
			fmt.Fprintln(q.errOut, line)
		}
	}
}

func (*quiet) Close() {}

// tail adds a line to those that are kept.
func tail(lines []string, line string) []string {
	if len(lines) == tailLines {
		lines = lines[1:]
	}
	return append(lines, line)
}

// Terminal writes steps with their times to screen, a terminal of width columns: those that are done stay, those at work
// move below them with the last line they printed. A step that fails shows all it printed. The ID of the result goes to out.
func Terminal(out, screen io.Writer, width func() int) Progress {
	t := &terminal{out: out, screen: screen, width: width, stop: make(chan struct{})}
	t.ended.Add(1)
	go t.tick()
	return t
}

// tailLines is how much of a step's output is kept to be shown if it fails.
const tailLines = 200

type terminal struct {
	out, screen io.Writer
	width       func() int
	stop        chan struct{}
	ended       sync.WaitGroup

	mu    sync.Mutex
	steps []*liveStep
	drawn int // lines below the lasting ones
}

type liveStep struct {
	Event
	began  time.Time
	output []string
}

func (t *terminal) tick() {
	defer t.ended.Done()
	for {
		select {
		case <-t.stop:
			return
		case <-time.After(100 * time.Millisecond):
			t.mu.Lock()
			t.draw("")
			t.mu.Unlock()
		}
	}
}

func (t *terminal) Close() {
	close(t.stop)
	t.ended.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.steps = nil
	t.draw("")
}

func (t *terminal) Show(e Event) {
	e.Text = e.shown()
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.find(e)
	switch e.Kind {
	case StepBegins:
		t.steps = append(t.steps, &liveStep{Event: e, began: e.Time})
	case Output:
		if s == nil {
			t.draw(e.Text + "\n")
			return
		}
		s.output = tail(s.output, e.Text)
	case StepCached:
	case Warning:
		t.draw("Warning: " + e.Text + "\n")
	case StepDone:
		t.drop(s)
		took := fmt.Sprintf("%.1fs", e.Seconds)
		if e.Cached {
			took = "cached"
		}
		t.draw(t.row(e, took))
	case Failed:
		if s == nil {
			return
		}
		t.drop(s)
		t.draw(t.row(s.Event, "FAILED") + strings.Join(append(s.output, ""), "\n"))
	case Tagged:
		t.draw("Tagged " + e.Text + "\n")
	case Built:
		t.draw("")
		fmt.Fprintln(t.out, e.Image)
	}
}

func (t *terminal) find(e Event) *liveStep {
	for _, s := range t.steps {
		if s.Event.step() == e.step() {
			return s
		}
	}
	return nil
}

func (t *terminal) drop(gone *liveStep) {
	kept := t.steps[:0]
	for _, s := range t.steps {
		if s != gone {
			kept = append(kept, s)
		}
	}
	t.steps = kept
}

// draw writes what lasts, then the steps at work below it.
func (t *terminal) draw(lasting string) {
	var b strings.Builder
	if t.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", t.drawn) // up, and clear to the end
	}
	b.WriteString(lasting)
	t.drawn = 0
	for _, s := range t.steps {
		b.WriteString(t.row(s.Event, fmt.Sprintf("%.1fs", time.Since(s.began).Seconds())))
		t.drawn++
		if n := len(s.output); n > 0 {
			b.WriteString("    " + clip(s.output[n-1], t.width()-5) + "\n")
			t.drawn++
		}
	}
	if b.Len() > 0 {
		_, _ = io.WriteString(t.screen, b.String())
	}
}

// row is one line: the step on the left, its time on the right.
func (t *terminal) row(e Event, right string) string {
	left := fmt.Sprintf("%s%s %s", e.prefix(), e.count(), e.Text)
	width := t.width() - 1
	room := width - len(right) - 1
	left = clip(left, room)
	pad := room - len([]rune(left))
	return left + strings.Repeat(" ", max(pad, 0)+1) + right + "\n"
}

// clip cuts s to n characters that move no cursor.
func clip(s string, n int) string {
	r := []rune(strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case visible.Hidden(c), c == utf8.RuneError:
			return -1
		}
		return c
	}, s))
	if n < 1 {
		return ""
	}
	if len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return string(r)
}
