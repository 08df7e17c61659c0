// SPDX-License-Identifier: Apache-2.0

package live

import (
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
)

// container is one that runs, and what it has used after some seconds.
func container(name string, after int, cpu time.Duration, memory, rx uint64) (*libctr.Container, *libctr.Stats) {
	start := time.Unix(1000, 0)
	c := &libctr.Container{ID: name + strings.Repeat("0", 64-len(name)), State: &record.State{Name: name, ImageName: "localhost/img:" + name, Status: record.Running}}
	return c, &libctr.Stats{
		ID: c.ID, Name: name, Started: start, Time: start.Add(time.Duration(after) * time.Second), CPU: cpu, Memory: memory, MemoryLimit: 1000, PIDs: 3,
		Network: map[string]libctr.NetworkStats{"eth0": {RxBytes: rx}},
	}
}

func (m *model) see(after int, busy, big time.Duration) {
	a, x := container("aa", after, busy, 100, uint64(after)*5000)
	b, y := container("bb", after, big, 900, 0)
	c, z := container("cc", after, 0, 0, 0)
	c.State.Status = record.Exited
	m.update([]*libctr.Container{a, b, c}, []*libctr.Stats{x, y, z})
}

func names(list []*row) string {
	var names []string
	for _, r := range list {
		names = append(names, r.name)
	}
	return strings.Join(names, " ")
}

func TestModel(t *testing.T) {
	var m model
	m.see(1, time.Second, 0)
	m.see(2, 2*time.Second, 500*time.Millisecond)
	if r := m.rows[0]; r.cpu != 100 || r.memory != 10 || r.rx != 5000 {
		t.Errorf("cpu %v, memory %v, received %v a second; want 100, 10, 5000", r.cpu, r.memory, r.rx)
	}
	for i, want := range []string{"aa bb", "bb aa", "aa bb", "aa bb"} { // by CPU, memory, network, name
		if got := names(m.shown()); got != want {
			t.Errorf("order %d: %s, want %s", i, got, want)
		}
		m.nextOrder()
	}
	m.reverse = true
	if got := names(m.shown()); got != "bb aa" {
		t.Errorf("reversed: %s", got)
	}
	m.reverse, m.all = false, true
	if got := names(m.shown()); got != "aa bb cc" {
		t.Errorf("all: %s", got)
	}
	for _, r := range "bx" {
		m.typeFilter(tcell.KeyRune, r)
	}
	m.typeFilter(tcell.KeyBackspace2, 0)
	if got := names(m.shown()); got != "bb" || m.chosen().name != "bb" {
		t.Errorf("filtered: %s", got)
	}
	m.typeFilter(tcell.KeyEscape, 0)
	m.move(1)
	m.move(1)
	m.move(9)
	if m.chosen().name != "cc" {
		t.Errorf("chosen: %s, want the last", m.chosen().name)
	}
}

func TestGraph(t *testing.T) {
	if got := graph([]float64{0, 1, 50, 100, 200}, 6, 100); got != "  ▁▄██" {
		t.Errorf("got %q", got)
	}
	if got := graph([]float64{1, 2, 3}, 2, 0); got != "▅█" {
		t.Errorf("got %q", got)
	}
}

// screen is what is drawn, as text.
func screen(t *testing.T, m *model) string {
	t.Helper()
	s := tcell.NewSimulationScreen("UTF-8")
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	defer s.Fini()
	s.SetSize(140, 12)
	m.draw(s)
	s.Show()
	cells, width, _ := s.GetContents()
	var b strings.Builder
	for i, c := range cells {
		b.WriteString(string(c.Runes))
		if i%width == width-1 {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func TestDraw(t *testing.T) {
	var m model
	m.see(1, time.Second, 0)
	text := screen(t, &m)
	for _, want := range []string{"2 of 3 containers (running), by cpu", "NAME", "aa", "100.0", "localhost/img:bb", "q quit"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	m.logsOf, m.logsName = "x", "aa"
	for range keptLines + 5 {
		m.addLog("old")
	}
	m.addLog("the last line")
	if text := screen(t, &m); len(m.logs) != keptLines || !strings.Contains(text, "Log of aa") || !strings.Contains(text, "the last line") {
		t.Errorf("%d lines, shown as\n%s", len(m.logs), text)
	}
}
