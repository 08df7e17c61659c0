// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

func TestLogLines(t *testing.T) {
	var b strings.Builder
	log := slog.New(&lineHandler{w: &b, level: slog.LevelWarn})
	swap := field.Errorf("%s is ignored", field.Name("memory-swap"))
	for want, write := range map[string]func(){
		"Warning: plain\n":                           func() { log.Warn("plain") },
		"Warning: with a value id=1\n":               func() { log.Warn("with a value", "id", 1) },
		"Warning: --memory-swap is ignored\n":        func() { log.Warn(swap.Error(), "warning", error(swap)) },
		"Error: no error=--memory-swap is ignored\n": func() { log.Error("no", "error", error(swap)) },
		"Warning: x error=y; see: berth ps -a\n":     func() { log.Warn("x", "see", hint.To(hint.ListContainers), "error", errors.New("y")) },
		"Warning: two\n  lines\n":                    func() { log.Warn("two\nlines") },
		"Warning: of a part name=web\n":              func() { log.With("name", "web").Warn("of a part") },
		"Warning: web; see: berth system check\n":    func() { log.Warn("web", "see", hint.To(hint.Check)) },
		"":                                func() { log.Info("nobody asked") },
		"Warning: nil error=<nil>\n":      func() { log.Warn("nil", "error", nil) },
		"Warning: a (b) warning=cgroup\n": func() { log.Warn("a (b)", "warning", errors.New("cgroup")) },
		"Warning: --memory-swap is ignored (no swap)\n": func() { w := fmt.Errorf("%w (no swap)", swap); log.Warn(w.Error(), "warning", w) },
	} {
		b.Reset()
		write()
		if b.String() != want {
			t.Errorf("got %q, want %q", b.String(), want)
		}
	}
}

func TestHints(t *testing.T) {
	inner := hint.Add(errors.New("no such image"), "pull it first with: %s", hint.To(hint.PullImage, "alpine"))
	for name, tc := range map[string]struct {
		err  error
		want []string
	}{
		"none":          {errors.New("x"), nil},
		"of an inner":   {fmt.Errorf("create: %w", inner), []string{"pull it first with: berth pull alpine"}},
		"the outermost": {hint.Add(inner, "use %s none", field.Name("network")), []string{"use --network none"}},
		"of several":    {errors.Join(errors.New("x"), inner), []string{"pull it first with: berth pull alpine"}},
	} {
		if got := Hints(tc.err); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestJoined(t *testing.T) {
	a, b := errors.New("a"), errors.New("b")
	if got := Joined(nil); got != nil {
		t.Errorf("of nil: %v", got)
	}
	if got := Joined(a); !slices.Equal(got, []error{a}) {
		t.Errorf("of one: %v", got)
	}
	if got := Joined(errors.Join(a, nil, b)); !slices.Equal(got, []error{a, b}) {
		t.Errorf("of two: %v", got)
	}
	if err := ReportAllButLast(errors.Join(&ExitError{Code: 1}, b)); err != b {
		t.Errorf("the last: %v", err)
	}
	if err := ReportAllButLast(nil); err != nil {
		t.Errorf("none: %v", err)
	}
}

func TestParseTime(t *testing.T) {
	if got, err := ParseTime("--since", ""); err != nil || !got.IsZero() {
		t.Errorf("without a value: %v, %v", got, err)
	}
	if got, err := ParseTime("--since", "100"); err != nil || !got.Equal(time.Unix(100, 0)) {
		t.Errorf("seconds: %v, %v", got, err)
	}
	if _, err := ParseTime("--since", "x"); err == nil || !strings.HasPrefix(err.Error(), `--since: "x" is neither`) {
		t.Errorf("no time: %v", err)
	}
}

func TestPrune(t *testing.T) {
	for name, tc := range map[string]struct {
		o      PruneOptions
		answer string
		out    string
		asked  string
		err    string
	}{
		"yes":             {answer: "y\n", out: "a\n", asked: "WARNING! This will remove it.\n"},
		"no":              {answer: "n\n", asked: "WARNING! This will remove it.\n"},
		"forced":          {o: PruneOptions{Force: true}, out: "a\n"},
		"with filters":    {o: PruneOptions{Filters: []string{"x=y"}}, answer: "y\n", out: "a\n", asked: "WARNING! This will remove it (only those that match the filters).\n"},
		"nobody answered": {asked: "WARNING! This will remove it.\n", err: "nothing was removed: read the answer: standard input has ended"},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errOut strings.Builder
			call := Call{In: strings.NewReader(tc.answer), Out: &out, Err: &errOut}
			err := Prune(call, &tc.o, "This will remove it", func(removed func(string)) error { removed("a"); return nil })
			if text := fmt.Sprint(err); out.String() != tc.out || !strings.HasPrefix(errOut.String(), tc.asked) || tc.asked == "" && errOut.Len() > 0 || (tc.err == "") != (err == nil) || err != nil && text != tc.err {
				t.Errorf("printed %q and %q, %v", out.String(), errOut.String(), err)
			}
		})
	}
}
