// SPDX-License-Identifier: Apache-2.0

package build

import (
	"bytes"
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Kind says what an Event tells.
type Kind string

// The kinds of events, in the order in which a step has them.
const (
	StepBegins Kind = "step"    // Text is the instruction
	Output     Kind = "output"  // Text is a line that RUN printed, or buildah
	StepCached Kind = "cached"  // Image is what the step would have made
	StepDone   Kind = "done"    // Image is what it made, where it made one; Seconds is the time it took
	Tagged     Kind = "tagged"  // Text is the name that the image got
	Built      Kind = "built"   // Image is the result
	Failed     Kind = "failed"  // the step; Text is the error
	Warning    Kind = "warning" // Text is what to know; each is told once
	Note       Kind = "note"    // Text is what to know of a composition (package build/partial)
)

// Event is one thing that happens in a build.
type Event struct {
	Time     time.Time `json:"time"`
	Kind     Kind      `json:"event"`
	Platform string    `json:"platform,omitempty"` // only where several are built
	Stage    int       `json:"stage,omitempty"`    // from 1; 0 where it is not known, or the only one
	Stages   int       `json:"stages,omitempty"`
	Step     int       `json:"step,omitempty"` // from 1
	Steps    int       `json:"steps,omitempty"`
	Text     string    `json:"text,omitempty"`
	Image    string    `json:"image,omitempty"`
	Cached   bool      `json:"cached,omitempty"` // with StepDone
	Seconds  float64   `json:"seconds,omitempty"`
	File     string    `json:"file,omitempty"` // with Failed: where the instruction stands, as far as that is known
	Line     int       `json:"line,omitempty"`
	ExitCode int       `json:"exitCode,omitempty"` // with Failed: of the RUN that failed
	OfRun    bool      `json:"ofRun,omitempty"`    // with Output: RUN printed it, not buildah
}

// tracker is the writer that buildah tells its progress to, in words meant for people, from several goroutines; it
// makes events of them. What RUN prints comes through the same writer, from a goroutine that the stage's own goroutine
// started; by that a line is known to be a RUN's, and whose.
type tracker struct {
	show func(Event)

	mu     sync.Mutex
	stages map[string]*stageState // by goroutine ID
	lines  map[string]*unended    // by goroutine ID
	over   bool                   // what stages say that are cut off is not told
	warned map[string]bool
}

// unended is what a goroutine wrote and has not ended with a newline.
type unended struct {
	text   []byte
	parent string
}

type stageState struct {
	now    Event // with the stage, the step and its text
	active bool
	cached bool
	began  time.Time
	failed []string // what the OCI runtime said when it could not run the command
	saying bool     // it has not said all
}

func newTracker(show func(Event)) *tracker {
	return &tracker{show: show, stages: map[string]*stageState{}, lines: map[string]*unended{}, warned: map[string]bool{}}
}

var (
	stepLine   = lazy(`^(?:\[([a-z][a-z0-9]*/[a-z0-9/]+)\] )?(?:\[(\d+)/(\d+)\] )?STEP (\d+)(?:/(\d+))?: (.*)$`)
	imageLine  = lazy(`^--> ([0-9a-f]{12,64})$`)
	commitLine = lazy(`^(?:\[[^\]]+\] )*(COMMIT(?: .*)?)$`)
	idLine     = lazy(`^[0-9a-f]{64}$`)
)

// lazy compiles an expression when it is used first: no other command pays for it.
func lazy(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

const cacheWords = "--> Using cache "

// Write takes what buildah or RUN prints. It never fails.
func (t *tracker) Write(p []byte) (int, error) {
	self, parent := goroutine()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return len(p), nil
	}
	u := t.lines[self]
	if u == nil {
		u = &unended{parent: parent}
		t.lines[self] = u
	}
	u.text = append(u.text, p...)
	for {
		line, rest, ok := bytes.Cut(u.text, []byte("\n"))
		if !ok {
			break
		}
		u.text = rest
		t.line(self, parent, strings.TrimSuffix(string(line), "\r"))
	}
	if len(u.text) == 0 {
		delete(t.lines, self)
	}
	return len(p), nil
}

// flush tells what RUN of a stage, or with an empty ID everybody, wrote without ending the line.
func (t *tracker) flush(stage string) {
	for self, u := range t.lines {
		if stage == "" || u.parent == stage {
			delete(t.lines, self)
			t.line(self, u.parent, string(u.text))
		}
	}
}

func (t *tracker) line(self, parent, line string) {
	if s := t.stages[parent]; s != nil && t.stages[self] == nil {
		if !s.runtimeFailed(line) {
			e := s.now
			e.OfRun = true
			t.emit(e, Output, line, "")
		}
		return
	}
	if text, ok := logged(line); ok {
		t.warn(text)
		return
	}
	s := t.stages[self]
	if m := stepLine().FindStringSubmatch(line); m != nil {
		t.begin(self, s, m)
		return
	}
	if s != nil {
		if id, ok := strings.CutPrefix(line, cacheWords); ok {
			s.cached = true
			t.emit(s.now, StepCached, "", id)
			return
		}
		if m := imageLine().FindStringSubmatch(line); m != nil {
			t.done(self, m[1])
			return
		}
		if m := commitLine().FindStringSubmatch(line); m != nil {
			line = m[1]
		}
		t.emit(s.now, Output, line, "")
		return
	}
	switch name, tagged := strings.CutPrefix(line, "Successfully tagged "); {
	case tagged:
		t.emit(Event{}, Tagged, name, "")
	case idLine().MatchString(line):
		t.emit(Event{}, Built, "", line)
	default:
		t.emit(Event{}, Output, line, "")
	}
}

func (t *tracker) begin(self string, s *stageState, m []string) {
	if s == nil {
		s = &stageState{}
		t.stages[self] = s
	}
	t.done(self, "")
	n := func(s string) int { i, _ := strconv.Atoi(s); return i } // digits, or nothing
	s.now = Event{Platform: m[1], Stage: n(m[2]), Stages: n(m[3]), Step: n(m[4]), Steps: n(m[5]), Text: m[6]}
	s.active, s.cached, s.began, s.failed, s.saying = true, false, time.Now(), nil, false
	t.emit(s.now, StepBegins, m[6], "")
}

// done ends the step that a stage is at.
func (t *tracker) done(stage, image string) {
	t.flush(stage)
	s := t.stages[stage]
	if !s.active {
		return
	}
	s.active = false
	e := s.now
	e.Cached, e.Seconds = s.cached, time.Since(s.began).Seconds()
	t.emit(e, StepDone, e.Text, image)
}

func (t *tracker) emit(e Event, k Kind, text, image string) {
	e.Time, e.Kind, e.Text, e.Image = time.Now(), k, text, image
	t.show(e)
}

// finish tells what has not been told: lines without an end, and steps that ended with the build, or of the one that failed
// what failing returned for it.
func (t *tracker) finish(err error, failed Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flush("")
	t.over = true
	if err == nil {
		for stage := range t.stages {
			t.done(stage, "")
		}
		return
	}
	var at *StepError
	if errors.As(err, &at) {
		failed.File, failed.Line, failed.ExitCode = at.File, at.Line, at.Code
	}
	t.emit(failed, Failed, err.Error(), "")
}

// failing is the step that an error of buildah's is about, or none, and what the OCI runtime said in it. Where the error does not
// tell, it is the step of the stage whose goroutine has ended: the others are at work still.
func (t *tracker) failing(err error) (step Event, runtime string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.flush("")
	text, platform := plainWords(err.Error()), ""
	if m := onPlatform().FindStringSubmatch(err.Error()); m != nil {
		platform = m[1]
	}
	source := notFound().FindString(err.Error())
	var active, ended, failed []*stageState
	running := goroutines()
	for id, s := range t.stages {
		if !s.active || platform != "" && s.now.Platform != platform {
			continue
		}
		active = append(active, s)
		if !running[id] {
			ended = append(ended, s)
		}
		if strings.Contains(text, "building at step "+plainWords(s.now.Text)+" :") || source != "" && copiesFrom(s.now.Text, source) {
			failed = append(failed, s)
		}
	}
	for _, found := range [][]*stageState{failed, ended, active} {
		if len(found) == 1 {
			return found[0].now, strings.Join(found[0].failed, " ")
		}
		if len(found) > 1 {
			break
		}
	}
	return Event{}, ""
}

// notFound matches what buildah says of a --from= or from= that is neither a stage nor an image, without naming the step.
var notFound = lazy(`from=\S+: no stage or image found`)

// copiesFrom reports whether an instruction has the from= that notFound matched.
func copiesFrom(instruction, found string) bool {
	from, _, _ := strings.Cut(found, ": no stage")
	return slices.ContainsFunc(strings.FieldsFunc(instruction, func(c rune) bool { return c == ' ' || c == ',' }), func(word string) bool {
		return strings.TrimPrefix(word, "--") == from
	})
}

// goroutines are the IDs of those that run.
func goroutines() map[string]bool {
	buf := make([]byte, 1<<20)
	ids := map[string]bool{}
	for line := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n") {
		if rest, ok := strings.CutPrefix(line, "goroutine "); ok {
			id, _, _ := strings.Cut(rest, " ")
			ids[id] = true
		}
	}
	return ids
}

// goroutine returns the IDs of this goroutine and of that which started it, read from the trace that the runtime
// prints. Where its words should change, lines lose their stage, nothing else.
func goroutine() (self, parent string) {
	buf := make([]byte, 16<<10)
	trace := string(buf[:runtime.Stack(buf, false)])
	self, _, _ = strings.Cut(strings.TrimPrefix(trace, "goroutine "), " ")
	if i := strings.LastIndex(trace, " in goroutine "); i >= 0 {
		parent, _, _ = strings.Cut(trace[i+len(" in goroutine "):], "\n")
	}
	return self, parent
}
